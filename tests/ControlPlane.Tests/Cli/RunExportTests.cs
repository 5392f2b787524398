using System.Buffers.Binary;
using System.Globalization;
using System.Text;
using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.ControlPlane.Cli.Exports;
using DeepSeekOps.ControlPlane.Pipelines;
using DeepSeekOps.ControlPlane.Tests.Pipelines;
using Google.Protobuf.WellKnownTypes;
using Xunit;

namespace DeepSeekOps.ControlPlane.Tests.Cli;

/// <summary>
/// What `dsops export` writes, read by readers that know the formats and none of its code. Less than a second of a core.
/// </summary>
public sealed class RunExportTests : IDisposable
{
    private const string Table = "attempt,superseded,step,tokens,time,loss,\"odd, \"\"name\"\"\",grad_norm\n"
        + "1,0,1,512,2026-11-28T22:00:01.5000000+00:00,2.5,,0.1\n"
        + "1,1,2,1024,2026-11-28T22:00:02.0000000+00:00,9,7,0.2\n"
        + "2,0,2,1024,2026-11-28T22:01:02.0000000+00:00,2.25,-1.5,NaN\n"
        + "2,0,3000000000,1536,2026-11-28T22:01:03.0000000+00:00,0.1,,Infinity\n";

    private static readonly DateTimeOffset Begun = new(2026, 11, 28, 22, 0, 0, TimeSpan.Zero);

    private readonly string folder = Directory.CreateTempSubdirectory("dsops-export-").FullName;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task An_event_file_is_read_by_the_format_that_was_published()
    {
        var told = await Export("tensorboard");
        Assert.Equal((1, 3, 7L), (told.Stages, told.Series, told.Points));
        string file = Assert.Single(Directory.GetFiles(Path.Combine(folder, "tensorboard", "mini", "pretrain")));
        Assert.StartsWith("events.out.tfevents.1795903200.", Path.GetFileName(file), StringComparison.Ordinal);
        byte[] bytes = await File.ReadAllBytesAsync(file, Cancellation);
        // The beginning of every event file that there is: a record of 24 bytes.
        Assert.Equal("1800000000000000a37f4b2209", Convert.ToHexStringLower(bytes[..13]));
        var events = Records(bytes).Select(Event.Read).ToList();
        Assert.Equal("brain.Event:2", events[0].Version);
        Assert.Equal(
            [
                (1L, "train/loss", 2.5f), (1L, "train/grad_norm", 0.1f), (2L, "train/loss", 2.25f), (2L, "train/odd, \"name\"", -1.5f),
                (2L, "train/grad_norm", float.NaN), (3_000_000_000L, "train/loss", 0.1f),
                (3_000_000_000L, "train/grad_norm", float.PositiveInfinity),
                (3L, "eval/heldout_loss_after", 2.125f),
            ], events.Skip(1).Select(e => (e.Step, e.Tag, e.Value)));
        Assert.Equal(Begun.AddSeconds(1.5).ToUnixTimeMilliseconds() / 1000.0, events[1].WallTime);
    }

    /// <summary>RFC 3720, B.4, and the check value of CRC-32C; the mask is the one of LevelDB and TensorFlow.</summary>
    [Fact]
    public void The_checksum_is_the_published_one()
    {
        foreach (var (bytes, crc) in new (byte[], uint)[]
        {
            (new byte[32], 0x8a9136aa), ([.. Enumerable.Repeat((byte)0xff, 32)], 0x62a8ab43),
            ([.. Enumerable.Range(0, 32).Select(i => (byte)i)], 0x46dd794e), ("123456789"u8.ToArray(), 0xe3069283),
        })
        {
            Assert.Equal(((crc >> 15) | (crc << 17)) + 0xa282ead8, EventFile.MaskedCrc(bytes));
            Assert.Equal(crc, Crc(bytes));
        }
    }

    [Fact]
    public async Task Mlflow_finds_an_experiment_with_a_run_for_each_stage()
    {
        await Export("mlflow");
        string experiment = Assert.Single(Directory.GetDirectories(Path.Combine(folder, "mlruns")));
        Assert.Matches(@"^\d{18}\z", Path.GetFileName(experiment));
        var meta = Meta(experiment);
        Assert.Equal(($"\"{Path.GetFileName(experiment)}\"", "\"mini\"", "active"),
            (meta["experiment_id"], meta["name"], meta["lifecycle_stage"]));
        string run = Assert.Single(Directory.GetDirectories(experiment));
        Assert.Matches(@"^[0-9a-f]{32}\z", Path.GetFileName(run));
        meta = Meta(run);
        Assert.Equal((Path.GetFileName(run), "\"mini/pretrain\"", "3", "1795903200000", $"\"file://{run}/artifacts\""),
            (meta["run_id"], meta["run_name"], meta["status"], meta["start_time"], meta["artifact_uri"]));
        Assert.Equal(["1795903201500 2.5 1", "1795903262000 2.25 2", "1795903263000 0.1 3000000000"],
            await File.ReadAllLinesAsync(Path.Combine(run, "metrics", "train", "loss"), Cancellation));
        Assert.Equal(["1795903201500 0.1 1", "1795903262000 nan 2", "1795903263000 inf 3000000000"],
            await File.ReadAllLinesAsync(Path.Combine(run, "metrics", "train", "grad_norm"), Cancellation));
        Assert.True(File.Exists(Path.Combine(run, "metrics", "train", "odd_ _name_")));
        Assert.Equal("mini/pretrain", await File.ReadAllTextAsync(Path.Combine(run, "tags", "mlflow.runName"), Cancellation));
        Assert.Contains(Directory.GetFiles(Path.Combine(run, "params"), "*", SearchOption.AllDirectories),
            p => Path.GetFileName(p).EndsWith("hiddenSize", StringComparison.Ordinal));
        Assert.Equal(Text, await File.ReadAllTextAsync(Path.Combine(run, "artifacts", "pipeline.yaml"), Cancellation));
    }

    [Fact]
    public async Task Tables_are_as_they_came_and_what_fails_leaves_nothing()
    {
        var told = await Export("csv");
        Assert.Equal((1, 3, 10L), (told.Stages, told.Series, told.Points));
        Assert.Equal(Table, await File.ReadAllTextAsync(Path.Combine(folder, "csv", "mini", "pretrain.csv"), Cancellation));
        await Assert.ThrowsAsync<IOException>(() => Export("csv"));
        await Assert.ThrowsAsync<InvalidDataException>(() => Export("tensorboard", "error,what\n", "other"));
        await Assert.ThrowsAsync<InvalidDataException>(() => Export("mlflow", Table + "2,0,4,20", "other"));
        await Assert.ThrowsAsync<InvalidDataException>(() => Export("parquet", "error,what\n", "other", Path.Combine(folder, "a", "b")));
        await Assert.ThrowsAsync<InvalidDataException>(() => Export("csv", "error,what\n", "other"));
        Assert.Equal([Path.Combine(folder, "csv"), Path.Combine(folder, "csv", "mini")],
            Directory.EnumerateFileSystemEntries(folder, "*", new EnumerationOptions { AttributesToSkip = default })
                .Concat(Directory.EnumerateFileSystemEntries(Path.Combine(folder, "csv"))));
    }

    /// <summary>Read by the library's reader, from the columns and not from what we wrote them of.</summary>
    [Fact]
    public async Task Columns_of_parquet_hold_every_value_and_null_where_no_point_lies()
    {
        var told = await Export("parquet");
        Assert.Equal((1, 3, 10L), (told.Stages, told.Series, told.Points));
        var columns = await Columns("pretrain");
        Assert.Equal(["attempt", "superseded", "step", "tokens", "time", "loss", "odd, \"name\"", "grad_norm"], columns.Keys);
        Assert.Equal([1, 1, 2, 2], columns["attempt"].Cast<int>());
        Assert.Equal([false, true, false, false], columns["superseded"].Cast<bool>());
        Assert.Equal([1, 2, 2, 3_000_000_000], columns["step"].Cast<long>());
        Assert.Equal(Begun.UtcDateTime.AddSeconds(1.5), columns["time"].Cast<DateTime>().First());
        Assert.Equal([2.5, 9, 2.25, 0.1], columns["loss"].Cast<double?>());
        Assert.Equal([null, 7, -1.5, null], columns["odd, \"name\""].Cast<double?>());
        Assert.Equal([0.1, 0.2, double.NaN, double.PositiveInfinity], columns["grad_norm"].Cast<double?>());
        var results = await Columns("_results");
        Assert.Equal(("pretrain", "heldout_loss_after", 2.125, null, 3L), (results["stage"].Cast<string>().Single(),
            results["name"].Cast<string>().Single(), results["value"].Cast<double>().Single(), results["low"].Cast<double?>().Single(),
            results["step"].Cast<long>().Single()));
        await Export("csv");
        Assert.Equal(["stage,name,value,low,high,samples,step", "pretrain,heldout_loss_after,2.125,,,0,3"],
            await File.ReadAllLinesAsync(Path.Combine(folder, "csv", "mini", "_results.csv"), Cancellation));
    }

    [Theory]
    [InlineData("train/loss", "train/loss")]
    [InlineData("../../etc/passwd", "etc/passwd")]
    [InlineData("/a//b/./c", "a/b/c")]
    [InlineData("é=1", "__1")]
    public void A_name_that_a_worker_told_leads_nowhere_else(string name, string kept) => Assert.Equal(kept, MlflowStore.NameOf(name));

    public void Dispose() => Directory.Delete(folder, recursive: true);

    private static string Text => Examples.Mini;

    private async Task<Exported> Export(string format, string table = Table, string name = "mini", string? into = null)
    {
        var stage = new Stage
        {
            Name = "pretrain", Kind = "pretraining", State = "completed", Step = 3, Attempt = 2,
            StartedAt = Timestamp.FromDateTimeOffset(Begun), EndedAt = Timestamp.FromDateTimeOffset(Begun.AddMinutes(2)),
            Evaluations = { new Evaluation { Name = "heldout_loss_after", Value = 2.125, Step = 3 } },
        };
        var run = new Run
        {
            Name = name, Team = "tests", Pipeline = Text, SubmittedAt = Timestamp.FromDateTimeOffset(Begun),
            Stages = { stage, new Stage { Name = "sft", State = "waiting" } },
        };
        return await new RunExport(run, (of, _) =>
        {
            Assert.Equal("pretrain", of);
            return Task.FromResult<TextReader>(new StringReader(table));
        }).Write(into ?? folder, format, Cancellation);
    }

    private async Task<Dictionary<string, Array>> Columns(string name)
    {
        await using var reader = await Parquet.ParquetReader.CreateAsync(Path.Combine(folder, "parquet", "mini", $"{name}.parquet"),
            cancellationToken: Cancellation);
        using var group = reader.OpenRowGroupReader(0);
        var columns = new Dictionary<string, Array>();
        foreach (var field in reader.Schema.GetDataFields())
        {
            columns[field.Name] = await Read(group, field);
        }

        return columns;
    }

    private static async Task<Array> Read(Parquet.ParquetRowGroupReader group, Parquet.Schema.DataField field)
    {
        int rows = (int)group.RowCount;
        Task<Array> Filled<T>(Func<T[], ValueTask> read) => Fill(new T[rows], read);
        var type = (Nullable.GetUnderlyingType(field.ClrType) ?? field.ClrType, field.IsNullable);
        return type switch
        {
            (var t, _) when t == typeof(int) => await Filled<int>(to => group.ReadAsync<int>(field, to.AsMemory(), null, Cancellation)),
            (var t, _) when t == typeof(bool) => await Filled<bool>(to => group.ReadAsync<bool>(field, to.AsMemory(), null, Cancellation)),
            (var t, _) when t == typeof(long) => await Filled<long>(to => group.ReadAsync<long>(field, to.AsMemory(), null, Cancellation)),
            (var t, _) when t == typeof(DateTime) =>
                await Filled<DateTime>(to => group.ReadAsync<DateTime>(field, to.AsMemory(), null, Cancellation)),
            (var t, true) when t == typeof(double) =>
                await Filled<double?>(to => group.ReadAsync<double>(field, to.AsMemory(), null, Cancellation)),
            (var t, _) when t == typeof(double) =>
                await Filled<double>(to => group.ReadAsync<double>(field, to.AsMemory(), null, Cancellation)),
            _ => await Filled<string?>(to => group.ReadAsync(field, to.AsMemory(), null, Cancellation)),
        };
    }

    private static async Task<Array> Fill<T>(T[] values, Func<T[], ValueTask> read)
    {
        await read(values);
        return values;
    }

    private static Dictionary<string, string> Meta(string of) => File.ReadAllLines(Path.Combine(of, "meta.yaml"))
        .ToDictionary(line => line.Split(": ")[0], line => line.Split(": ", 2)[1]);

    private static IEnumerable<byte[]> Records(byte[] file)
    {
        for (int at = 0; at < file.Length;)
        {
            int length = (int)BinaryPrimitives.ReadUInt64LittleEndian(file.AsSpan(at));
            Assert.Equal(Masked(file[at..(at + 8)]), BinaryPrimitives.ReadUInt32LittleEndian(file.AsSpan(at + 8)));
            byte[] data = file[(at + 12)..(at + 12 + length)];
            Assert.Equal(Masked(data), BinaryPrimitives.ReadUInt32LittleEndian(file.AsSpan(at + 12 + length)));
            yield return data;
            at += 16 + length;
        }
    }

    private static uint Masked(byte[] bytes) => ((Crc(bytes) >> 15) | (Crc(bytes) << 17)) + 0xa282ead8;

    /// <summary>Bit by bit, by the polynomial of Castagnoli.</summary>
    private static uint Crc(byte[] bytes)
    {
        uint crc = 0xffffffff;
        foreach (byte one in bytes)
        {
            crc ^= one;
            for (int bit = 0; bit < 8; bit++)
            {
                crc = (crc & 1) == 1 ? (crc >> 1) ^ 0x82f63b78 : crc >> 1;
            }
        }

        return ~crc;
    }

    /// <summary>Of the message's bytes, field by field.</summary>
    private sealed record Event(double WallTime, long Step, string Version, string Tag, float Value)
    {
        public static Event Read(byte[] message)
        {
            var read = new Event(0, 0, "", "", 0);
            foreach (var (field, value) in Fields(message))
            {
                read = field switch
                {
                    1 => read with { WallTime = BitConverter.ToDouble(value) },
                    2 => read with { Step = BitConverter.ToInt64(value) },
                    3 => read with { Version = Encoding.UTF8.GetString(value) },
                    5 => Summary(read, Assert.Single(Fields(value)).Value),
                    _ => throw new InvalidDataException(field.ToString(CultureInfo.InvariantCulture)),
                };
            }

            return read;
        }

        private static Event Summary(Event read, byte[] value)
        {
            var fields = Fields(value).ToDictionary(f => f.Field, f => f.Value);
            return read with { Tag = Encoding.UTF8.GetString(fields[1]), Value = BitConverter.ToSingle(fields[2]) };
        }

        private static List<(int Field, byte[] Value)> Fields(byte[] message)
        {
            var fields = new List<(int, byte[])>();
            for (int at = 0; at < message.Length;)
            {
                int tag = (int)Varint(message, ref at);
                int length = (tag & 7) switch { 1 => 8, 5 => 4, 2 => (int)Varint(message, ref at), _ => 0 };
                if ((tag & 7) == 0)
                {
                    fields.Add((tag >> 3, BitConverter.GetBytes(Varint(message, ref at))));
                }
                else
                {
                    fields.Add((tag >> 3, message[at..(at + length)]));
                    at += length;
                }
            }

            return fields;
        }

        private static long Varint(byte[] message, ref int at)
        {
            long value = 0;
            for (int shift = 0; ; shift += 7)
            {
                byte one = message[at++];
                value |= (long)(one & 0x7f) << shift;
                if (one < 0x80)
                {
                    return value;
                }
            }
        }
    }
}
