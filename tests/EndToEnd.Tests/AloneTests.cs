using System.Diagnostics;
using System.Globalization;
using System.Text.Json.Nodes;
using Xunit;

namespace DeepSeekOps.EndToEnd.Tests;

/// <summary>What agents do when nobody answers, and what nobody does when everything stood still.</summary>
public sealed class AloneTests
{
    private static readonly TimeSpan Minutes = Eventually.Patience;

    /// <summary>Longer than the hang limit of the pipeline below, whatever the longest step was on a busy machine.</summary>
    private static readonly TimeSpan Sleep = TimeSpan.FromSeconds(30);

    [Fact]
    public async Task A_machine_that_sleeps_for_longer_than_a_hang_may_last_ends_nothing()
    {
        await using var dsops = await Dsops.Start();
        string pipeline = SideBySide.Pipeline("asleep") + "\nrecovery: {hangFloor: 20s}\n";
        await dsops.Submit(pipeline);
        long before = (long)(await AtStep(dsops, "asleep", 20))["step"]!;
        int[] all = [dsops.Pid, .. SessionsOf(dsops.LiveAgents())];
        Signal("STOP", all);
        var asleep = Stopwatch.StartNew();
        await Eventually.Is("everything has stood for longer than the limit", Minutes, () => Task.FromResult(asleep.Elapsed > Sleep));
        Signal("CONT", all);
        // Who would have judged by the time that passed would have done it at once.
        var stage = await AtStep(dsops, "asleep", before + 40);
        Assert.Equal(1, (int)stage["attempt"]!);
        var events = await Events(dsops, "asleep");
        Assert.Contains(events, e => e.Text.Contains("stood still for", StringComparison.Ordinal));
        Assert.DoesNotContain(events, e => e.Kind is "rank-hung" or "agent-lost" or "recovered");
    }

    [Fact]
    public async Task A_rank_that_dies_while_the_control_plane_is_away_trains_again_before_it_is_back()
    {
        await using var dsops = await Dsops.Start();
        await dsops.Submit(SideBySide.Pipeline("alone"));
        var stage = await AtStep(dsops, "alone", 30);
        int rank = (int)stage["ranks"]![0]!["pid"]!;
        await dsops.KillControlPlane();
        Dsops.Kill(rank);
        await Eventually.Is("the agent launched the rank again and it made a step", Minutes,
            () => Task.FromResult(AgentLog(dsops, "alone").Contains("goes on from step", StringComparison.Ordinal)),
            () => AgentLog(dsops, "alone"));
        await dsops.StartDev();
        var after = await AtStep(dsops, "alone", (long)stage["step"]! + 1);
        Assert.Equal(1, (int)after["attempt"]!);
        await SideBySide.Same(dsops, "alone", (long)after["step"]! + 20);
        var events = await Events(dsops, "alone");
        var told = Assert.Single(events, e => e.Kind == "restarted-by-agent");
        Assert.Contains("was ended by signal 9 (SIGKILL)", told.Text, StringComparison.Ordinal);
        Assert.Contains("its agent launched it again by itself: local try 1 of attempt 1", told.Text, StringComparison.Ordinal);
        Assert.DoesNotContain(events, e => e.Kind == "rank-exited");
    }

    [Fact]
    public async Task A_terminal_that_closes_saves_and_ends_everything()
    {
        await using var dsops = await Dsops.Start();
        await dsops.Submit(TinyPipeline.Pretraining("closed", 2_000));
        await AtStep(dsops, "closed", 25);
        Signal("HUP", [dsops.Pid]);
        await Eventually.Is("dev has ended", Minutes, () => Task.FromResult(!Dsops.IsAlive(dsops.Pid)), () => dsops.Evidence);
        Assert.Empty(dsops.LiveAgents());
        Assert.False(File.Exists(Path.Combine(dsops.DataDirectory, "control-plane.json")));
        Assert.Contains("Stopped.", dsops.Output, StringComparison.Ordinal);
    }

    private static Task<JsonNode> AtStep(Dsops dsops, string run, long step) =>
        dsops.UntilStage(run, "pretrain", $"is at step {step.ToString(CultureInfo.InvariantCulture)}", Minutes,
            s => (long)s["step"]! >= step && s["ranks"]!.AsArray().Count > 0 && (int)s["ranks"]![0]!["pid"]! > 0);

    private static async Task<(string Kind, string Text)[]> Events(Dsops dsops, string run) =>
        [.. (await dsops.Json("events", run)).AsArray().Select(e => ((string)e!["kind"]!, (string)e["text"]!))];

    private static string AgentLog(Dsops dsops, string run) => string.Concat(
        Directory.EnumerateFiles(Path.Combine(dsops.DataDirectory, "nodes"), "agent.log", SearchOption.AllDirectories)
            .Where(f => f.Contains($"/{run}.", StringComparison.Ordinal)).Select(ReadShared));

    private static string ReadShared(string file)
    {
        using var reader = new StreamReader(new FileStream(file, FileMode.Open, FileAccess.Read, FileShare.ReadWrite));
        return reader.ReadToEnd();
    }

    /// <summary>Agents lead sessions, which hold their ranks and standbys.</summary>
    private static int[] SessionsOf(IEnumerable<int> agents)
    {
        var leaders = agents.ToHashSet();
        return [.. Directory.EnumerateDirectories("/proc").Select(d => int.TryParse(Path.GetFileName(d), out int pid) ? pid : 0)
            .Where(pid => pid > 0 && leaders.Contains(Session(pid)))];
    }

    private static int Session(int pid)
    {
        try
        {
            string stat = File.ReadAllText($"/proc/{pid}/stat");
            return int.Parse(stat[(stat.LastIndexOf(')') + 2)..].Split(' ')[3], CultureInfo.InvariantCulture);
        }
        catch (IOException)
        {
            return 0;
        }
    }

    private static void Signal(string name, int[] pids)
    {
        using var kill = Process.Start("kill", [$"-{name}", .. pids.Select(p => p.ToString(CultureInfo.InvariantCulture))]);
        kill.WaitForExit();
    }
}
