using System.Collections.Immutable;
using DeepSeekOps.Decisions.Gangs;

namespace DeepSeekOps.Decisions.Placement;

/// <summary>
/// Nodes for a gang that stays on most of its own. First it is told which there would be, so that it can write down whom it waits for;
/// then it takes those, once it has given up the others. So no node is held that no record knows of.
/// </summary>
public static class Refilling
{
    /// <summary>
    /// What the queue would give it. One that just failed the stage is not among them, though nothing else were free: what is left of the
    /// gang is not stopped twice for the same node. Null: there are too few.
    /// </summary>
    public static PlacementDecision.Placed? Find(PlacementQuestion question, GangRequest request)
    {
        if (request is not { InStead: { } gang, Refill: { } refill } || question.Held.FirstOrDefault(h => h.Id == gang) is not { } held)
        {
            return null;
        }

        ImmutableArray<Cordon> barred =
        [
            .. request.Avoid.Keys.Union(held.Nodes.Except(refill.Keeps)).Select(n => new Cordon(n, "", question.Now, Drains: false)),
        ];
        var answer = PlacementQueue.Decide(question with
        {
            Cluster = question.Cluster.With(barred),
            Held = question.Held.Replace(held, held with { Nodes = refill.Keeps }),
            Waiting = question.Waiting.RemoveAll(w => w.Stage == request.Stage)
                .Add(request with { Nodes = refill.Lacks, InStead = null, Refill = null }),
        });
        return answer.Placed.FirstOrDefault(p => p.Grant.Stage == request.Stage) is { } placed
            ? placed with { Grant = held with { Nodes = [.. refill.Keeps, .. placed.Grant.Nodes] } } : null;
    }

    /// <summary>The grant with those that it is to have now. Null: one of them is not free any more.</summary>
    public static PlacementDecision.Placed? Take(PlacementQuestion question, GangRequest request)
    {
        if (request is not { InStead: { } gang, Refill.Takes: { IsEmpty: false } takes }
            || question.Held.FirstOrDefault(h => h.Id == gang) is not { } held)
        {
            return null;
        }

        var free = new FreeNodes(question.Cluster.Nodes, question.Held, question.Policy, question.Now);
        var feasible = free.Feasible(request).Select(i => free[i].Id).ToHashSet();
        var more = request with { Nodes = takes.Length };
        return takes.All(feasible.Contains) && new TeamShares(question).Refusal(more) is null
            ? new PlacementDecision.Placed(held with { Nodes = held.Nodes.AddRange(takes), Untried = NewOf(takes, question.Cluster) },
                $"{Words.Nodes(takes)} come to it") : null;
    }

    private static ImmutableArray<NodeId> NewOf(ImmutableArray<NodeId> nodes, ClusterSnapshot cluster) =>
        [.. cluster.Nodes.Where(n => n.Untried && nodes.Contains(n.Id)).Select(n => n.Id)];
}
