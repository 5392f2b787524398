using System.Collections.Immutable;
using System.Globalization;
using System.Runtime.CompilerServices;
using System.Text;

namespace DeepSeekOps.ControlPlane.Cli.Exports;

/// <summary>All series of a stage at one step of one attempt.</summary>
/// <param name="Superseded">A later attempt made the step again.</param>
/// <param name="Values">In the order of the names; null: no point lies there.</param>
internal sealed record SeriesRow(int Attempt, bool Superseded, long Step, double Tokens, DateTimeOffset At, ImmutableArray<double?> Values);

/// <summary>Reads what `GET /series/export.csv` tells of a stage.</summary>
internal sealed class SeriesCsv
{
    /// <summary>attempt, superseded, step, tokens, time.</summary>
    private const int Before = 5;

    private const string MarkOfSimulated = "simulated";

    private readonly TextReader reader;

    private SeriesCsv(TextReader reader, ImmutableArray<string> names) => (this.reader, Names) = (reader, names);

    public ImmutableArray<string> Names { get; }

    /// <exception cref="InvalidDataException">It is no such text.</exception>
    public static async Task<SeriesCsv> Open(TextReader reader, CancellationToken cancellation)
    {
        string? first = await reader.ReadLineAsync(cancellation);
        return new SeriesCsv(reader, NamesOf(first));
    }

    /// <summary>Of the series, by the table's first line.</summary>
    /// <exception cref="InvalidDataException">It is none.</exception>
    public static ImmutableArray<string> NamesOf(string? line)
    {
        var fields = Fields(line ?? "");
        return fields.Count >= Before && fields[0] == "attempt" && fields[4] == "time"
            ? [.. fields.Skip(Before).Where(name => name != MarkOfSimulated)]
            : throw new InvalidDataException("the control plane's table of series has other columns than this version of dsops reads");
    }

    /// <summary>Values in a line of the table that is not its first.</summary>
    public static int ValuesIn(string line, int names) => line.Split(',').Skip(Before).Take(names).Count(value => value.Length > 0);

    public async IAsyncEnumerable<SeriesRow> Rows([EnumeratorCancellation] CancellationToken cancellation)
    {
        while (await reader.ReadLineAsync(cancellation) is { } line)
        {
            string[] fields = line.Split(',');
            if (fields.Length < Before + Names.Length)
            {
                throw new InvalidDataException("the control plane's table of series ends within a line");
            }

            yield return new SeriesRow(int.Parse(fields[0], CultureInfo.InvariantCulture), fields[1] == "1",
                long.Parse(fields[2], CultureInfo.InvariantCulture), double.Parse(fields[3], CultureInfo.InvariantCulture),
                DateTimeOffset.Parse(fields[4], CultureInfo.InvariantCulture, DateTimeStyles.RoundtripKind),
                [.. fields.Skip(Before).Take(Names.Length)
                    .Select(v => v.Length == 0 ? (double?)null : double.Parse(v, CultureInfo.InvariantCulture))]);
        }
    }

    /// <summary>Names come from workers, so that they may be quoted.</summary>
    private static List<string> Fields(string line)
    {
        var fields = new List<string>();
        var field = new StringBuilder();
        bool quoted = false;
        for (int i = 0; i < line.Length; i++)
        {
            if (line[i] == '"')
            {
                bool twice = quoted && i + 1 < line.Length && line[i + 1] == '"';
                field.Append(twice ? "\"" : "");
                (quoted, i) = twice ? (true, i + 1) : (!quoted, i);
            }
            else if (line[i] == ',' && !quoted)
            {
                fields.Add(field.ToString());
                field.Clear();
            }
            else
            {
                field.Append(line[i]);
            }
        }

        fields.Add(field.ToString());
        return fields;
    }
}
