using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.ControlPlane.Cli.Verbs;
using DeepSeekOps.ControlPlane.Client;
using Google.Protobuf.WellKnownTypes;
using Xunit;

namespace DeepSeekOps.ControlPlane.Tests.Cli;

public sealed class TopScreenTests
{
    private static readonly DateTimeOffset Now = new(2026, 3, 1, 2, 14, 7, TimeSpan.Zero);

    [Fact]
    public void What_needs_a_person_stands_first_and_the_closed_is_not_shown()
    {
        var lines = Screen(View(incidents:
        [
            IncidentOf(1, "closed", minutes: 1), IncidentOf(2, "acting", minutes: 2), IncidentOf(3, "needs-human", minutes: 90),
        ]));
        Assert.Equal("needs a person: alpha/pretrain/3, 1 h 30 min ago: rank 3 stopped", lines[2]);
        Assert.Equal("acting: alpha/pretrain/2, 2 min ago: rank 2 stopped", lines[3]);
        Assert.DoesNotContain(lines, line => line.Contains("rank 1 stopped", StringComparison.Ordinal));
    }

    [Fact]
    public void Open_incidents_that_have_no_room_are_counted()
    {
        var lines = Screen(View(incidents: [.. Enumerable.Range(1, 40).Select(i => IncidentOf(i, "acting", minutes: i))]));
        Assert.Equal("… and 37 more that are open: `dsops incidents`", lines[5]);
    }

    [Fact]
    public void A_gpu_of_a_node_that_takes_no_work_is_not_free()
    {
        var cluster = new Cluster { Kind = "local", Spares = 1, SparesFree = 1 };
        cluster.Nodes.Add(new Node { Name = "n0", State = "ready", Slots = 8, SlotsUsed = 8 });
        cluster.Nodes.Add(new Node { Name = "n1", State = "ready", Slots = 8 });
        cluster.Nodes.Add(new Node { Name = "n2", State = "not-ready", Slots = 8 });
        cluster.Nodes.Add(new Node { Name = "n3", State = "cordoned", Slots = 8, SlotsUsed = 2 });
        Assert.Equal("10 of 32 GPUs in use, 8 free, 14 on 2 nodes that take no work (1 not-ready, 1 cordoned), 1 of 1 spare nodes free, "
            + "no gang waits", Screen(View(cluster: cluster))[1]);
    }

    [Theory]
    [InlineData(24, 240)]
    [InlineData(8, 240)]
    [InlineData(24, 3)]
    public void A_screen_is_never_taller_than_the_terminal_and_counts_what_it_leaves_out(int height, int runs)
    {
        var view = View(runs);
        var lines = Screen(view, height);
        Assert.InRange(lines.Count, 1, height);
        int shown = lines.Count(line => line.StartsWith("run-", StringComparison.Ordinal));
        Assert.Equal(shown < runs ? $"… and {runs - shown} more: `dsops runs`" : lines[^1], lines[^1]);
        Assert.True(shown == runs || shown > 0);
    }

    [Fact]
    public void Silence_is_said_and_the_time_is_that_of_the_last_answer()
    {
        var lines = TopScreen.Lines(View(), Now.AddMinutes(5), Plain, 24, "The control plane does not answer.");
        Assert.Equal("The control plane does not answer.", lines[2]);
        Assert.EndsWith("2 running, 1 failed of 3 runs", lines[0], StringComparison.Ordinal);
    }

    [Fact]
    public void Names_from_outside_do_not_steer_the_terminal()
    {
        var view = View(runs: 1);
        view.Runs.Runs[0].Reason = "\u001b]0;owned\u0007\u202eevil\nline";
        view.Health.Problems.Add(new HealthProblem { Level = "error", Text = "disk\u001b[2J", Fix = "free it" });
        Assert.All(Screen(view), line => Assert.DoesNotContain(line, c => char.IsControl(c) || c == '\u202e'));
    }

    private static Terminal Plain => new(TextWriter.Null, TextWriter.Null, 160, Colors: false, Interactive: false);

    private static IReadOnlyList<string> Screen(TopView view, int? height = null) => TopScreen.Lines(view, Now, Plain, height);

    private static TopView View(int runs = 3, Cluster? cluster = null, IReadOnlyList<Incident>? incidents = null)
    {
        var list = new ListRunsReply { Total = runs, All = runs, States = { ["running"] = Math.Max(1, runs - 1), ["failed"] = 1 } };
        list.Runs.AddRange(Enumerable.Range(0, Math.Min(runs, 100)).Select(i => new RunSummary
        {
            Name = $"run-{i}", State = "running", Reason = i % 3 == 0 ? string.Join(' ', Enumerable.Repeat("waits for a node", 9)) : "",
            Stages = { new StageSummary { Name = "pretrain", State = "running", Step = i, TotalSteps = 100, Attempt = 1 } },
        }));
        return new TopView(list, cluster ?? new Cluster(), new Health(), incidents ?? [], Now);
    }

    private static Incident IncidentOf(int number, string state, int minutes) => new()
    {
        Run = "alpha", Stage = "pretrain", Number = number, State = state, Sentence = $"rank {number} stopped",
        OpenedAt = Timestamp.FromDateTimeOffset(Now.AddMinutes(-minutes)),
    };
}
