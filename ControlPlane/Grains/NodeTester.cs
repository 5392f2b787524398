using DeepSeekOps.ControlPlane.Clusters;
using DeepSeekOps.Decisions;
using DeepSeekOps.Decisions.Placement;

namespace DeepSeekOps.ControlPlane.Grains;

/// <summary>Tests that run now. They outlast a turn of the grain, which looks in each turn at what has ended.</summary>
internal sealed class NodeTester
{
    private readonly Dictionary<NodeId, (NodeTestDue Due, CancellationTokenSource Stop, Task<NodeFigures> Test)> running = [];

    public IEnumerable<NodeTestDue> Running => running.Values.Select(r => r.Due);

    public void Begin(NodeTesting testing, NodeTestDue due)
    {
        var stop = new CancellationTokenSource();
        running.Add(due.Node, (due, stop, testing.Run(due.Node, stop.Token)));
    }

    /// <summary>Work comes first. What is called off has no result; it is over when it is taken.</summary>
    public void CallOff(Func<NodeTestDue, bool> which)
    {
        foreach (var (_, stop, _) in running.Values.Where(r => which(r.Due)))
        {
            stop.Cancel();
        }
    }

    /// <summary>Those that ended since, each with what it found or why it found nothing.</summary>
    public IEnumerable<(NodeTestDue Due, NodeFigures? Found, string Trouble)> TakeEnded()
    {
        foreach (var (due, stop, test) in running.Values.Where(r => r.Test.IsCompleted).ToArray())
        {
            running.Remove(due.Node);
            bool calledOff = stop.IsCancellationRequested;
            stop.Dispose();
            if (!calledOff)
            {
                yield return test.IsCompletedSuccessfully ? (due, test.Result, "")
                    : (due, null, test.Exception?.GetBaseException().Message ?? "it was broken off");
            }
        }
    }
}
