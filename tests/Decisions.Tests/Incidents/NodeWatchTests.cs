using System.Collections.Immutable;
using DeepSeekOps.Decisions.Gangs;
using DeepSeekOps.Decisions.Incidents;
using DeepSeekOps.Decisions.Placement;
using Xunit;

namespace DeepSeekOps.Decisions.Tests.Incidents;

public sealed class NodeWatchTests
{
    private static readonly DateTimeOffset Began = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);
    private static readonly StageId Stage = new("mini", "pretrain");

    private readonly Dictionary<int, NodeSeen> _nodes = Enumerable.Range(0, 4).ToDictionary(i => i, i => new NodeSeen(
        new NodeId($"node-{i}"), NodeHealth.Ready, "ready", 8, ImmutableDictionary<string, string>.Empty));

    private readonly List<NodeIncident> _told = [];
    private ImmutableArray<GangGrant> _held = [];
    private ImmutableHashSet<NodeId> _byPeople = [];
    private NodeIncidents _known = new();
    private DateTimeOffset _now = Began;

    [Fact]
    public void An_idle_node_that_goes_and_comes_back_is_one_incident_with_cause_deed_and_end()
    {
        Look(0);
        Go(2, "Kubelet stopped posting node status");
        Look(5);
        Look(20);
        Assert.Empty(_told);
        Look(10);
        var opened = Assert.Single(_known.Open);
        Assert.Equal((IncidentState.Acting, 1, NodeIncident.NotReady, 8), (opened.State, opened.Number, opened.Cause, opened.Slots));
        Assert.Equal("node-2 is not ready: Kubelet stopped posting node status; nothing is placed there, and 3 other sound nodes are free.",
            opened.Sentence);
        Look(3600);
        Assert.Single(_told);
        Return(2);
        Look(60);
        Assert.Equal(IncidentState.Verifying, Assert.Single(_known.Open).State);
        Look(540);
        Look(120);
        Assert.Empty(_known.Open);
        var closed = _told[^1];
        Assert.Equal([IncidentState.Diagnosed, IncidentState.Acting, IncidentState.Verifying, IncidentState.Closed],
            closed.Steps.Select(s => s.State));
        Assert.Equal("node-2 was out of use for 1 h 2 min (not ready: Kubelet stopped posting node status); "
            + "it has been ready again for 11 min.", closed.Sentence);
        Go(2, "again");
        Look(0);
        Look(31);
        Assert.Equal(2, Assert.Single(_known.Open).Number);
    }

    [Fact]
    public void A_failed_test_opens_at_once_with_its_figures_and_a_passed_one_or_a_person_closes()
    {
        foreach (bool repaired in (bool[])[true, false])
        {
            var failed = new NodeTest(new NodeId("node-1"), _now, "weekly", NodeTestResult.Failed, "its test found wrong results: gpu 3")
            {
                Figures = new NodeFigures { Wrong = ["gpu 3"] },
            };
            _nodes[1] = _nodes[1] with { Test = failed };
            Look(5);
            var opened = Assert.Single(_known.Open);
            Assert.Equal((NodeIncident.FailedTest, "gpu 3"), (opened.Cause, opened.Test!.Figures!.Wrong.Single()));
            _nodes[1] = _nodes[1] with
            {
                Test = repaired ? failed with { At = _now.AddMinutes(5), Result = NodeTestResult.Passed } : failed with { Released = true },
            };
            Look(600);
            Assert.Empty(_known.Open);
            Assert.EndsWith(repaired ? "; it passed its test." : "; a person lets it be used all the same.", _told[^1].Sentence,
                StringComparison.Ordinal);
        }
    }

    [Fact]
    public void Whom_it_took_its_node_from_is_named_and_a_node_that_fails_again_while_watched_stays_one_incident()
    {
        _held = [new GangGrant(Stage, 1, [new NodeId("node-0"), new NodeId("node-1")], 8, Began)];
        Go(0, "gone");
        Look(1);
        _held = [];
        Look(60);
        var opened = Assert.Single(_known.Open);
        Assert.Equal([Stage], opened.Held);
        Assert.Contains("it was held by mini/pretrain, whose own incident says", opened.Sentence, StringComparison.Ordinal);
        Return(0);
        Look(60);
        Go(0, "gone once more");
        Look(10);
        var again = Assert.Single(_known.Open);
        Assert.Equal((IncidentState.Acting, 1, null), (again.State, again.Number, again.BackAt));
        Assert.StartsWith("node-0 is not ready: gone once more", again.Sentence, StringComparison.Ordinal);
    }

    [Fact]
    public void What_people_do_to_a_node_what_nobody_knows_and_a_pod_that_ended_are_no_incidents()
    {
        _byPeople = [new NodeId("node-0")];
        Go(0, "rebooted by hand");
        _nodes[1] = _nodes[1] with { Health = NodeHealth.Unknown };
        _nodes[2] = _nodes[2] with { Health = NodeHealth.NotReady, OutUntilGone = new GangId(Stage, 1) };
        Look(0);
        Look(3600);
        Assert.Empty(_told);
        // What is over for people is watched from now on.
        _byPeople = [];
        Look(5);
        Assert.Equal("node-0", Assert.Single(_known.Open).Node.Name);
        _nodes.Remove(0);
        Look(5);
        Assert.Contains("no longer part of the cluster", _told[^1].Sentence, StringComparison.Ordinal);
    }

    /// <summary>Not ready, ready, tested, cordoned and gone, in any order.</summary>
    [Fact]
    public void Whatever_happens_to_nodes_makes_the_edges_of_the_chart_and_pages_nobody()
    {
        var made = new SortedSet<string>(StringComparer.Ordinal);
        for (int seed = 0; seed < 400; seed++)
        {
            var random = new Random(seed);
            var course = new NodeWatchTests { _now = Began };
            for (int turn = 0; turn < 40; turn++)
            {
                course.Happen(random);
                course.Look(random.Next(1, 700));
                Assert.All(course._known.Open, i => Assert.NotEqual(IncidentState.Closed, i.State));
                Assert.Equal(course._known.Open.Length, course._known.Open.Select(i => i.Node).Distinct().Count());
            }

            foreach (var incident in course._told)
            {
                Assert.False(Noteworthy.Of(incident).Asks);
                made.UnionWith(incident.Steps.Zip(incident.Steps.Skip(1)).Where(p => p.First.State != p.Second.State)
                    .Select(p => $"{p.First.State} -> {p.Second.State}"));
            }
        }

        Assert.Equal(string.Join("\n", StateChart.Edges("Incident of a node")), string.Join("\n", made));
    }

    private void Happen(Random random)
    {
        int node = random.Next(4);
        if (!_nodes.TryGetValue(node, out var seen))
        {
            return;
        }

        switch (random.Next(9))
        {
            case 0 or 1:
                Go(node, $"reason {random.Next(3)}");
                break;
            case 2 or 3 or 4:
                Return(node);
                break;
            case 5 or 6:
                _nodes[node] = seen with
                {
                    Test = new NodeTest(seen.Id, _now, "", (NodeTestResult)random.Next(4), "as it came out")
                    {
                        Released = random.Next(3) == 0,
                    },
                };
                break;
            case 7:
                _byPeople = _byPeople.Contains(seen.Id) ? _byPeople.Remove(seen.Id) : _byPeople.Add(seen.Id);
                break;
            case 8 when random.Next(20) == 0:
                _nodes.Remove(node);
                break;
        }
    }

    private void Go(int node, string reason) => _nodes[node] = _nodes[node] with { Health = NodeHealth.NotReady, Reason = reason };

    private void Return(int node) => _nodes[node] = _nodes[node] with { Health = NodeHealth.Ready, Reason = "ready" };

    private void Look(double seconds)
    {
        _now = _now.AddSeconds(seconds);
        var seen = new ClusterSnapshot([.. _nodes.Values], [], _now);
        _known = NodeWatch.Look(_known, new NodeWatchQuestion(seen, _held, _byPeople, 1, _now));
        _told.AddRange(_known.Untold);
        _known = _known with { Untold = [] };
    }
}
