using System.Buffers.Binary;
using System.Diagnostics;
using System.Globalization;
using DeepSeekOps.Contracts.Worker.V1;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Xunit;

namespace DeepSeekOps.EndToEnd.Tests;

/// <summary>Somebody else on the machine, for real: commands as the user nobody against a control plane that trains.</summary>
public sealed class AnotherUserTests
{
    private const string Nobody = "65534";

    [Fact]
    public async Task Another_user_of_the_machine_can_neither_look_nor_act_nor_read_nor_report_as_an_agent()
    {
        Assert.SkipUnless(Environment.UserName == "root", "Only root can act as another user.");
        Assert.SkipUnless(File.Exists("/usr/bin/setpriv") && File.Exists("/usr/bin/curl"),
            "setpriv or curl is not installed (apt-get install util-linux curl)");
        await using var dsops = await Dsops.Start();
        var (code, _, error) =
            await dsops.Verb("submit", TinyPipeline.File(dsops.DataDirectory, TinyPipeline.Pretraining("mine", 200_000)));
        Assert.True(code == 0, error);
        var stage = await dsops.UntilStage("mine", "pretrain", "has a checkpoint", Eventually.Patience, s => (long)s["step"]! > 20);

        await Calls_are_refused(dsops);
        await Files_are_closed(dsops);
        await Forged_reports_change_nothing(dsops);

        var after =
            await dsops.UntilStage("mine", "pretrain", "trains on", Eventually.Patience, s => (long)s["step"]! > (long)stage["step"]! + 20);
        Assert.Equal(1, (int)after["attempt"]!);
        Assert.Equal((int)stage["ranks"]![0]!["pid"]!, (int)after["ranks"]![0]!["pid"]!);
        var told = (await dsops.Json("events", "mine")).AsArray().Select(e => (string?)e!["text"]);
        Assert.DoesNotContain(told, text => text!.Contains("forged", StringComparison.Ordinal));
        Assert.Equal(2, ListeningPorts(dsops.Pid));
        Assert.Equal(0, (await dsops.Verb("cancel", "mine")).Code);
    }

    private static async Task Calls_are_refused(Dsops dsops)
    {
        string submit = """{"text":"name: theirs"}""";
        string[][] calls =
        [
            ["/v1/runs"], ["/v1/runs/mine"], ["/v1/runs/mine/logs"], ["/v1/cluster"], ["/series/export.csv?run=mine&stage=pretrain"],
            ["/control-plane.json"],
            ["/"], ["/runs/mine"], ["/v1/runs", "-d", submit], ["/v1/runs/mine:cancel", "-d", "{}"], ["/v1/runs/mine:pause", "-d", "{}"],
            ["/?code=guess"], ["/v1/runs", "-H", "Authorization: Bearer guess"],
        ];
        foreach (string[] call in calls)
        {
            string status = await AsNobody(["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "-H", "Content-Type: application/json",
                $"{dsops.Http}{call[0]}", .. call[1..]]);
            Assert.True(status == "401", $"{string.Join(' ', call)}: {status}");
        }
    }

    private static async Task Files_are_closed(Dsops dsops)
    {
        string[] open =
            [.. Directory.EnumerateFileSystemEntries(dsops.DataDirectory, "*", SearchOption.AllDirectories).Prepend(dsops.DataDirectory)
            .Where(entry => (ModeOf(entry) & ~(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute)) != 0)
            .Where(entry => !entry.EndsWith(".yaml", StringComparison.Ordinal))];
        Assert.Empty(open);
        foreach (string file in new[] { "control-plane.json", "dsops.key", "dsops.db", "logs/control-plane.log", "" })
        {
            Assert.Equal("", await AsNobody(["ls", Path.Combine(dsops.DataDirectory, file)]));
            Assert.Equal("", await AsNobody(["cat", Path.Combine(dsops.DataDirectory, file)]));
        }

        foreach (int agent in dsops.LiveAgents())
        {
            Assert.Equal("", await AsNobody(["cat", $"/proc/{agent}/environ"]));
            Assert.DoesNotContain(dsops.Token, await AsNobody(["cat", $"/proc/{agent}/cmdline"]), StringComparison.Ordinal);
        }

        string control = await AsNobody(["cat", $"/proc/{dsops.Pid}/cmdline"]);
        Assert.NotEmpty(control);
        Assert.DoesNotContain(dsops.Token, control, StringComparison.Ordinal);
    }

    /// <summary>What one needs to know for it can be guessed: names, the attempt, the node.</summary>
    private static async Task Forged_reports_change_nothing(Dsops dsops)
    {
        var attempt = new AttemptRef { Run = "mine", Stage = "pretrain", Attempt = 1 };
        var now = Timestamp.FromDateTimeOffset(TimeProvider.System.GetUtcNow());
        var died = new HeartbeatRequest
        {
            Node = "node-0", AgentId = "forged", Attempt = attempt, Sequence = 1L << 40,
            Ranks = { new RankStatus { State = RankState.Exited, Attempt = 1, ExitCode = 65, Error = "forged" } },
            RefusedCheckpoints = { new RefusedCheckpoint { Path = "mine/pretrain/step-00000010", Reason = "forged" } },
        };
        var done = new HeartbeatRequest
        {
            Node = "node-0", AgentId = "forged", Attempt = attempt, Sequence = 1L << 41,
            Ranks = { new RankStatus { State = RankState.Done, Attempt = 1, Step = 200_000 } },
            Checkpoints = { new CheckpointReport { Step = 200_000, Path = "../../../../etc", Attempt = 1, Final = true, At = now } },
        };
        (string Method, IMessage Message)[] reports =
        [
            ("Register", new RegisterRequest { Protocol = 1, Node = "node-0", AgentId = "forged", Attempt = attempt }), ("Heartbeat", died),
            ("Heartbeat", done),
            ("ReportLogs", new LogBatch { Node = "node-0", Attempt = attempt, Lines = { new LogLine { At = now, Text = "forged" } } }),
        ];
        foreach (var (method, message) in reports)
        {
            foreach (string token in new[] { "", "guess" })
            {
                string status = await Report(dsops, method, message, token);
                Assert.True(status == "16", $"{method}: grpc-status {status}");
            }

            // Not even the people's token, should somebody hand it on, reports.
            Assert.Equal("7", await Report(dsops, method, message, dsops.Token));
        }
    }

    /// <returns>grpc-status.</returns>
    private static async Task<string> Report(Dsops dsops, string method, IMessage message, string token)
    {
        byte[] body = message.ToByteArray();
        byte[] frame = new byte[5 + body.Length];
        BinaryPrimitives.WriteInt32BigEndian(frame.AsSpan(1), body.Length);
        body.CopyTo(frame, 5);
        string headers = await AsNobody(
            ["curl", "-s", "-o", "/dev/null", "-D", "-", "--http2-prior-knowledge", "-H", "Content-Type: application/grpc", "-H",
                "TE: trailers",
                "-H", $"Authorization: Bearer {token}", "--data-binary",
                "@-", $"{dsops.Grpc}/deepseekops.worker.v1.WorkerService/{method}"], frame);
        return headers.Split('\n').Select(line => line.Trim().Split(": ")).Where(parts => parts[0] == "grpc-status")
            .Select(parts => parts[1]).Single();
    }

    /// <returns>Standard output; what was refused has none.</returns>
    private static async Task<string> AsNobody(string[] command, byte[]? input = null)
    {
        var start = new ProcessStartInfo("setpriv", [$"--reuid={Nobody}", $"--regid={Nobody}", "--clear-groups", .. command])
        {
            RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true, WorkingDirectory = "/",
        };
        using var process = Process.Start(start) ?? throw new InvalidOperationException("setpriv did not start");
        await process.StandardInput.BaseStream.WriteAsync(input ?? [], TestContext.Current.CancellationToken);
        process.StandardInput.Close();
        var complaints = process.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
        string output = await process.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken);
        await process.WaitForExitAsync(TestContext.Current.CancellationToken);
        await complaints;
        return output;
    }

    private static UnixFileMode ModeOf(string entry)
    {
        try
        {
            return OperatingSystem.IsWindows() ? default : File.GetUnixFileMode(entry);
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            // A checkpoint that was just superseded.
            return default;
        }
    }

    /// <summary>Of one process: pages and gRPC, and no port of the silo.</summary>
    private static int ListeningPorts(int pid)
    {
        var sockets = Directory.EnumerateFiles($"/proc/{pid}/fd").Select(fd => new FileInfo(fd).LinkTarget ?? "")
            .Where(target => target.StartsWith("socket:[", StringComparison.Ordinal)).Select(target => target[8..^1]).ToHashSet();
        return File.ReadLines($"/proc/{pid}/net/tcp").Concat(File.ReadLines($"/proc/{pid}/net/tcp6"))
            .Select(line => line.Split(' ', StringSplitOptions.RemoveEmptyEntries))
            .Count(columns => columns[3] == 0x0A.ToString("X2", CultureInfo.InvariantCulture) && sockets.Contains(columns[9]));
    }
}
