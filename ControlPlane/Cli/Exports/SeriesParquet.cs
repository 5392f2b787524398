using System.Collections.Immutable;
using DeepSeekOps.Contracts.Ops.V1;
using Parquet;
using Parquet.Schema;

namespace DeepSeekOps.ControlPlane.Cli.Exports;

/// <summary>The table of a stage, or of a run's results, in Parquet's columns: the same names and values as in the CSV.</summary>
internal static class SeriesParquet
{
    /// <summary>Ours: of 40 series it is 20 MB in memory, and long enough that a reader of one column skips the others.</summary>
    private const int RowsInGroup = 65_536;

    /// <returns>Values of series that were written; a cell without a point is null.</returns>
    public static async Task<long> Write(Stream file, SeriesCsv table, CancellationToken cancellation)
    {
        var before = new DataField[]
        {
            new DataField<int>("attempt"), new DataField<bool>("superseded"), new DataField<long>("step"), new DataField<double>("tokens"),
            Moment("time"),
        };
        DataField[] series = [.. NamesOf(table.Names, before).Select(name => new DataField<double?>(name))];
        await using var writer = await ParquetWriter.CreateAsync(new ParquetSchema([.. before, .. series]), file,
            cancellationToken: cancellation);
        long points = 0;
        var rows = new List<SeriesRow>(RowsInGroup);
        await foreach (var row in table.Rows(cancellation))
        {
            rows.Add(row);
            points += row.Values.Count(v => v is not null);
            if (rows.Count == RowsInGroup)
            {
                await Group(writer, before, series, rows, cancellation);
                rows.Clear();
            }
        }

        await Group(writer, before, series, rows, cancellation);
        return points;
    }

    public static async Task WriteResults(
        Stream file, IReadOnlyList<(string Stage, Evaluation Result)> results, CancellationToken cancellation)
    {
        DataField<string> stage = new("stage"), name = new("name");
        var value = new DataField<double>("value");
        DataField<double?> low = new("low"), high = new("high");
        DataField<long> samples = new("samples"), step = new("step");
        await using var writer = await ParquetWriter.CreateAsync(new ParquetSchema(stage, name, value, low, high, samples, step), file,
            cancellationToken: cancellation);
        using var group = writer.CreateRowGroup();
        await group.WriteAsync(stage, [.. results.Select(r => r.Stage)]);
        await group.WriteAsync(name, [.. results.Select(r => r.Result.Name)]);
        await group.WriteAsync<double>(value, results.Select(r => r.Result.Value).ToArray(), cancellationToken: cancellation);
        await group.WriteAsync<double>(low, results.Select(r => r.Result.HasLow ? r.Result.Low : (double?)null).ToArray(),
            cancellationToken: cancellation);
        await group.WriteAsync<double>(high, results.Select(r => r.Result.HasHigh ? r.Result.High : (double?)null).ToArray(),
            cancellationToken: cancellation);
        await group.WriteAsync<long>(samples, results.Select(r => (long)r.Result.Samples).ToArray(), cancellationToken: cancellation);
        await group.WriteAsync<long>(step, results.Select(r => r.Result.Step).ToArray(), cancellationToken: cancellation);
    }

    /// <summary>Microseconds since 1970, UTC: what every reader of Parquet knows.</summary>
    private static DateTimeDataField Moment(string name) =>
        new(name, DateTimeFormat.Timestamp, isAdjustedToUTC: true, DateTimeTimeUnit.Micros, isNullable: false);

    /// <summary>A series may have the name of a column before it; Parquet has each name once.</summary>
    private static ImmutableArray<string> NamesOf(ImmutableArray<string> series, DataField[] before) =>
        [.. series.Select(name => before.Any(f => f.Name == name) ? $"train/{name}" : name)];

    private static async Task Group(
        ParquetWriter writer, DataField[] before, DataField[] series, List<SeriesRow> rows, CancellationToken cancellation)
    {
        if (rows.Count == 0)
        {
            return;
        }

        using var group = writer.CreateRowGroup();
        await group.WriteAsync<int>(before[0], rows.Select(r => r.Attempt).ToArray(), cancellationToken: cancellation);
        await group.WriteAsync<bool>(before[1], rows.Select(r => r.Superseded).ToArray(), cancellationToken: cancellation);
        await group.WriteAsync<long>(before[2], rows.Select(r => r.Step).ToArray(), cancellationToken: cancellation);
        await group.WriteAsync<double>(before[3], rows.Select(r => r.Tokens).ToArray(), cancellationToken: cancellation);
        await group.WriteAsync<DateTime>(before[4], rows.Select(r => r.At.UtcDateTime).ToArray(), cancellationToken: cancellation);
        for (int i = 0; i < series.Length; i++)
        {
            await group.WriteAsync<double>(series[i], rows.Select(r => r.Values[i]).ToArray(), cancellationToken: cancellation);
        }
    }
}
