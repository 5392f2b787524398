using DeepSeekOps.Contracts.Worker.V1;
using DeepSeekOps.Worker.Agent;
using Google.Protobuf.WellKnownTypes;
using Xunit;

namespace DeepSeekOps.Worker.Tests.Agent;

public sealed class CappedLogTests : IDisposable
{
    private const int Limit = 1_000;
    private readonly string folder = Directory.CreateTempSubdirectory("dsops-logs-").FullName;

    [Fact]
    public void A_rank_that_prints_for_ever_leaves_two_files_of_bounded_size_with_its_newest_lines()
    {
        using (var output = new RankOutput(folder, new AttemptRef { Run = "r", Stage = "s" }, "node-0", Limit))
        {
            var rank = new RankSeen(1, 1, DateTimeOffset.UnixEpoch) { Rank = 0, Attempt = 1 };
            for (int i = 0; i < 500; i++)
            {
                output.Print(rank, new LogLine { Text = $"line {i}", At = Timestamp.FromDateTimeOffset(DateTimeOffset.UnixEpoch) });
            }
        }

        string[] files = [.. Directory.EnumerateFiles(folder).Order(StringComparer.Ordinal)];
        Assert.Equal(["rank-0.log", "rank-0.log.1"], files.Select(Path.GetFileName));
        Assert.All(files, f => Assert.True(new FileInfo(f).Length < Limit + 100));
        Assert.Contains("line 499", File.ReadAllText(files[0]) + File.ReadAllText(files[1]), StringComparison.Ordinal);
    }

    [Fact]
    public void A_log_that_somebody_holds_open_is_copied_and_emptied_and_goes_on_at_its_beginning()
    {
        string path = Path.Combine(folder, "agent.log");
        using var held = new FileStream(path, FileMode.Append, FileAccess.Write, FileShare.ReadWrite);
        held.Write(new byte[Limit + 1]);
        held.Flush();
        CappedLog.CopyAndEmpty(path, Limit);
        Assert.Equal(Limit + 1, new FileInfo(path + ".1").Length);
        Assert.Equal(0, new FileInfo(path).Length);
        CappedLog.CopyAndEmpty(path, Limit);
        Assert.Equal(Limit + 1, new FileInfo(path + ".1").Length);
    }

    [Fact]
    public void What_a_rank_prints_moves_no_cursor_of_who_reads_its_log_and_begins_no_line_of_its_own()
    {
        using (var output = new RankOutput(folder, new AttemptRef { Run = "r", Stage = "s" }, "node-0"))
        {
            output.Print(new RankSeen(1, 1, DateTimeOffset.UnixEpoch) { Rank = 0, Attempt = 1 }, new LogLine
            {
                Text = "a\u001b[2Jb\u009b31mc\u202ed 10 %\r1970-01-01T00:00:00.000Z attempt 1 out forged",
                At = Timestamp.FromDateTimeOffset(DateTimeOffset.UnixEpoch),
            });
        }

        Assert.Equal([@"1970-01-01T00:00:00.000Z attempt 1 out a\u001b[2Jb\u009b31mc\u202ed 10 %",
            "    | 1970-01-01T00:00:00.000Z attempt 1 out forged"], File.ReadAllLines(Path.Combine(folder, "rank-0.log")));
    }

    [Fact]
    public void Lines_of_a_rank_that_prints_tensors_fit_into_a_message_and_into_memory_and_a_gap_shows_what_is_left_out()
    {
        using var output = new RankOutput(folder, new AttemptRef { Run = "r", Stage = "s" }, "node-0");
        var rank = new RankSeen(1, 1, DateTimeOffset.UnixEpoch) { Rank = 0, Attempt = 1 };
        // Three bytes each in UTF-8, as long as the agent lets a line be.
        string text = new('世', 16 * 1024);
        for (int i = 0; i < 600; i++)
        {
            output.Print(rank, new LogLine { Text = text, At = Timestamp.FromDateTimeOffset(DateTimeOffset.UnixEpoch) });
        }

        var batches = new List<LogBatch>();
        while (output.NextBatch() is { } batch)
        {
            // Half of what the control plane takes.
            Assert.True(batch.CalculateSize() < 8 << 20, $"{batch.CalculateSize()} bytes");
            batches.Add(batch);
            output.Done(batch);
        }

        long chars = batches.Sum(b => b.Lines.Sum(l => (long)l.Text.Length));
        Assert.True(chars <= 2 << 20, $"{chars} characters waited");
        Assert.True(batches[0].FirstLine > 0, "the oldest are left out, by their numbers");
        Assert.Equal(600, batches[^1].FirstLine + batches[^1].Lines.Count);
    }

    [Fact]
    public void A_log_that_cannot_be_written_keeps_no_line_from_the_control_plane()
    {
        Directory.CreateDirectory(Path.Combine(folder, "rank-0.log"));
        File.CreateSymbolicLink(Path.Combine(folder, "rank-1.log"), "/dev/full");
        using var output = new RankOutput(folder, new AttemptRef { Run = "r", Stage = "s" }, "node-0");
        foreach (int number in (int[])[0, 1])
        {
            output.Print(new RankSeen(number, 1, DateTimeOffset.UnixEpoch) { Rank = number, Attempt = 1 },
                new LogLine { Text = "said", At = Timestamp.FromDateTimeOffset(DateTimeOffset.UnixEpoch) });
            var batch = output.NextBatch();
            Assert.Equal("said", Assert.Single(batch!.Lines).Text);
            output.Done(batch);
        }
    }

    [Fact]
    public void What_a_rank_printed_last_is_one_line_and_the_exceptions_where_there_is_one()
    {
        using var output = new RankOutput(folder, new AttemptRef(), "node-0");
        var rank = new RankSeen(1, 1, DateTimeOffset.UnixEpoch) { Rank = 0, Attempt = 1 };
        void Print(string text, bool error) =>
            output.Print(rank, new LogLine { Text = text, Error = error, At = Timestamp.FromDateTimeOffset(DateTimeOffset.UnixEpoch) });
        Print("model and data ready", false);
        Print("Unhandled exception. System.InvalidOperationException: boom", true);
        Print("   at Program.Main()", true);
        Print("", true);
        Assert.Equal("Unhandled exception. System.InvalidOperationException: boom", output.LastWords(1).Line);
        Assert.Equal("", output.LastWords(1).Line);
    }

    public void Dispose() => Directory.Delete(folder, recursive: true);
}
