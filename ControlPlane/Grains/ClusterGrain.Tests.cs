using System.Collections.Immutable;
using DeepSeekOps.Decisions;
using DeepSeekOps.Decisions.Audit;
using DeepSeekOps.Decisions.Gangs;
using DeepSeekOps.Decisions.Health;
using DeepSeekOps.Decisions.Placement;

namespace DeepSeekOps.ControlPlane.Grains;

/// <summary>Tests of nodes: <see cref="NodeTestPlan"/> says which and when, <see cref="NodeTestJudge"/> what they mean.</summary>
internal sealed partial class ClusterGrain
{
    /// <summary>A test lasts seconds to a minute, and asking for one is answered by a click.</summary>
    private static readonly TimeSpan TestsEvery = TimeSpan.FromSeconds(1);

    private readonly NodeTester tester = new();

    // Memory only. What a silo's end forgets is asked for again, or tested in its week.
    private readonly Dictionary<NodeId, string> wanted = [];
    private readonly HashSet<NodeId> away = [];
    private readonly HashSet<NodeId> returned = [];

    public async Task<string?> Test(NodeId node, CancellationToken cancellation)
    {
        var seen = await cluster.Observe(cancellation);
        var refusal = cluster.Testing is null ? $"Nodes of a {cluster.Kind} cluster cannot be tested yet, only local and simulated ones."
            : NodeTestPlan.Refusal(node, seen, state.State.Held);
        if (refusal is null && seen.Nodes.Any(n => n.Id == node))
        {
            wanted[node] = "asked for";
        }

        return refusal;
    }

    private async Task TestNodes(CancellationToken cancellation)
    {
        if (cluster.Testing is not { } testing)
        {
            return;
        }

        try
        {
            foreach (var (due, found, trouble) in tester.TakeEnded())
            {
                await Tested(due, found, trouble, testing.Machines, cancellation);
            }

            var seen = await Shown(cancellation);
            Follow(seen);
            // A node may have been taken by a gang since it was asked for.
            wanted.Keys.Where(n => NodeTestPlan.Refusal(n, seen, state.State.Held) is not null).ToList().ForEach(n => wanted.Remove(n));
            var every = Policy.TestNodesEvery ?? (testing.Machines ? NodeTestPlan.Weekly : TimeSpan.Zero);
            var next = NodeTestPlan.Next(new NodeTestQuestion(seen, state.State.Held, !state.State.Waiting.IsEmpty,
                [.. wanted.Keys], [.. returned], [.. tester.Running.Select(r => r.Node)],
                every > TimeSpan.Zero ? every / cluster.TimeFactor : null, clock.GetUtcNow()));
            foreach (var due in next)
            {
                wanted.Remove(due.Node);
                returned.Remove(due.Node);
                tester.Begin(testing, due);
            }
        }
        catch (Exception failed) when (failed is not OperationCanceledException)
        {
            LogTestsFailed(failed);
        }
    }

    /// <summary>Who was not ready and is again.</summary>
    private void Follow(ClusterSnapshot seen)
    {
        foreach (var node in seen.Nodes)
        {
            if (node.Health is NodeHealth.NotReady)
            {
                away.Add(node.Id);
            }
            else if (node.Health is not NodeHealth.Unknown && away.Remove(node.Id))
            {
                returned.Add(node.Id);
            }
        }
    }

    private async Task Tested(NodeTestDue due, NodeFigures? found, string trouble, bool speedActs, CancellationToken cancellation)
    {
        var now = clock.GetUtcNow();
        var test = found is { } measured ? NodeTestJudge.Judge(due.Node, now, due.Why, measured, tests.State.Known, speedActs)
            : NodeTestJudge.Untested(due.Node, now, due.Why, trouble, tests.State.Known);
        await KeepTests(NodeTests.Add(tests.State.Known, test));
        LogTested(test.Node, test.Result, test.Reason);
        if (test is { Result: NodeTestResult.Failed, Figures: not null })
        {
            string simulated = cluster.Simulated ? "simulated: " : "";
            await ledger.RecordActs([new AuditAct($"failed-test {test.Node.Name} {test.At:O}", now, "cluster", "system",
                $"about {test.Node.Name}", "took-out-of-use", "", test.Node.Name, simulated + test.Reason, AuditAct.Done)], cancellation);
        }
    }

    /// <summary>
    /// A node that fails the first steps of a gang is tested at once where nodes are tested by themselves, and comes last until then.
    /// </summary>
    public async Task NodesChecked(CheckedNodes told)
    {
        var before = tests.State;
        var next = before with { Tried = TriedNodes.Add(before.Tried, told.Sound, told.Stage, told.At) };
        if (told.Failed is { } failed)
        {
            var test = new NodeTest(failed.Node, told.At, $"the first steps of {told.Stage}", NodeTestResult.Suspect,
                $"{told.Reason}; it is tested once more");
            next = new NodeTestsRecord
            {
                Known = NodeTests.Add(before.Known, test),
                Tried = next.Tried.RemoveAll(t => t.Node == failed.Node),
            };
            LogTested(test.Node, test.Result, test.Reason);
            await NodeFailed(failed);
        }

        await KeepTests(next);
    }

    /// <summary>Who was away is new to the gangs to come.</summary>
    private async Task FollowTried(ClusterSnapshot seen)
    {
        var tried = TriedNodes.Follow(tests.State.Tried, seen, state.State.Held);
        if (tried != tests.State.Tried)
        {
            await KeepTests(tests.State with { Tried = tried });
        }
    }

    /// <summary>With all that takes nodes out of placement.</summary>
    private async Task<ClusterSnapshot> Shown(CancellationToken cancellation) => (await cluster.Observe(cancellation))
        .With(state.State.Cordons).With(tests.State.Known).With(Policy, clock.GetUtcNow());

    private Task KeepTests(ImmutableArray<NodeTest> known) => KeepTests(tests.State with { Known = known });

    private async Task KeepTests(NodeTestsRecord next)
    {
        var before = tests.State;
        bool written = false;
        tests.State = next;
        try
        {
            await tests.WriteStateAsync();
            written = true;
        }
        finally
        {
            tests.State = written ? tests.State : before;
        }
    }

    /// <summary>A gang that has been given nodes, or waits for some, has what tests would take.</summary>
    private void WorkFirst(IEnumerable<GangGrant> granted)
    {
        var taken = granted.SelectMany(g => g.Nodes).ToHashSet();
        bool wait = !state.State.Waiting.IsEmpty;
        tester.CallOff(t => taken.Contains(t.Node) || (wait && !t.ByPerson));
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "Tested {Node}: {Result}; {Reason}")]
    private partial void LogTested(NodeId node, NodeTestResult result, string reason);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Nodes could not be tested")]
    private partial void LogTestsFailed(Exception failed);
}
