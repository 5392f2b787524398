using System.Collections.Immutable;
using DeepSeekOps.Decisions.Gangs;

namespace DeepSeekOps.Decisions.Placement;

/// <summary>What an action would do, told before it is done. Nothing is changed by asking.</summary>
/// <param name="Consequences">One sentence each, the weightiest first.</param>
/// <param name="Impossible">Why it cannot be done, or would be of no use. Empty: it can.</param>
public sealed record Foresight(ImmutableArray<string> Consequences, string Impossible = "")
{
    public static Foresight No(string why) => new([], why);
}

/// <summary>
/// The same queue that decides plays the action through on a copy of the cluster, so that the question before a button and what follows it
/// cannot differ.
/// </summary>
public static class PlacementForesight
{
    public static Foresight Move(PlacementQuestion question, StageId stage, StageId? before)
    {
        var order = PlacementQueue.Decide(question).Order;
        var request = question.Waiting.FirstOrDefault(w => w.Stage == stage);
        if (request is not null && PlacementQueue.CannotStart(request, question) is { } never)
        {
            return Foresight.No($"{stage} can never start on this cluster, at no place of the queue: it {never}.");
        }

        var (moves, refusal) = HandMoves.Add(question.Moves, order, stage, before, "");
        if (refusal is not null)
        {
            return Foresight.No($"{refusal}.");
        }

        var after = PlacementQueue.Decide(question with { Moves = moves });
        int passed = order.IndexOf(stage) - (before is { } other ? order.IndexOf(other) : 0);
        var told = ImmutableArray.CreateBuilder<string>();
        if (after.Placed.FirstOrDefault(p => p.Grant.Stage == stage) is { } placed)
        {
            told.Add($"{stage} starts at once on {Words.Nodes(placed.Grant.Nodes)}, and does not give them to those it passes.");
        }
        else
        {
            var victims = after.Preemptions.Where(p => p.For == stage).ToImmutableArray();
            told.AddRange(victims.Select(v => $"{v.Stage} saves a checkpoint, stops on all its nodes and waits: {v.Reason}."));
            string start = after.Pending[stage].Eta is { } eta ? $"; it should start in {Words.Duration(eta.Likely - question.Now)}" : "";
            told.Add(
                victims.IsEmpty
                    ? $"{stage} still waits: {after.Pending[stage].Reasons[0].Text}{start}." : $"{stage} starts when they have stopped.");
        }

        told.Add($"{Words.Count(passed, "gang ahead of it waits", "gangs ahead of it wait")} behind it.");
        return new Foresight(told.ToImmutable());
    }

    /// <summary>
    /// What would become of a request in a gang's stead, once that one has given its nodes back: whether one with fewer nodes can grow.
    /// Where the gang may stay, first whether what it lacks is there.
    /// </summary>
    public static PlacementDecision InStead(PlacementQuestion question, GangRequest request)
    {
        if (Refilling.Find(question, request) is { } refilled)
        {
            return refilled;
        }

        var answer = PlacementQueue.Decide(question with
        {
            Held = question.Held.RemoveAll(h => h.Id == request.InStead),
            Waiting = question.Waiting.RemoveAll(w => w.Stage == request.Stage).Add(request),
        });
        return answer.Placed.FirstOrDefault(p => p.Grant.Stage == request.Stage) as PlacementDecision ?? answer.Pending[request.Stage];
    }

    public static Foresight Cordon(PlacementQuestion question, NodeId node)
    {
        var without = Without(question, node);
        int running = question.Held.Count(h => h.Nodes.Contains(node));
        string there = running == 0 ? "nothing runs there now"
            : $"{Words.Count(running, "gang that runs there goes", "gangs that run there go")} on";
        return Exists(question, node) ?? new Foresight([
            $"Nothing more is placed on {node}; {there}.",
            .. NoLongerFits(question, without)]);
    }

    /// <summary>Each gang with a pod there saves, gives all its nodes back and asks anew.</summary>
    public static Foresight Drain(PlacementQuestion question, NodeId node)
    {
        var there = question.Held.Where(h => h.Nodes.Contains(node)).ToImmutableArray();
        var leaving = there.RemoveAll(h => h.Hold.Length > 0);
        return Exists(question, node) ?? (there.IsEmpty
            ? new Foresight([$"Nothing runs on {node}; nothing more is placed there.", .. NoLongerFits(question, Without(question, node))])
            : new Foresight([.. AfterGivingBack(Without(question, node), leaving), .. there.Except(leaving).Select(Stays),
                $"Nothing more is placed on {node}."]));
    }

    private static string Stays(GangGrant held) => $"{held.Stage} is {held.Hold} and stays until the hold ends: release it "
        + $"(`dsops incidents release {held.Stage.Run}`), or ask it to go (`dsops queue preempt {held.Stage}`).";

    /// <param name="heir">Who waits for the nodes; null: nobody.</param>
    public static Foresight GiveWay(PlacementQuestion question, ImmutableArray<StageId> stages, StageId? heir)
    {
        var leaving = question.Held.Where(h => stages.Contains(h.Stage)).ToImmutableArray();
        if (stages.FirstOrDefault(s => leaving.All(h => h.Stage != s)) is { Run: not null } idle)
        {
            return Foresight.No($"{idle} holds no nodes.");
        }

        if (heir is not { } named)
        {
            return new Foresight([.. AfterGivingBack(question, leaving)]);
        }

        return question.Waiting.Any(w => w.Stage == named)
            ? new Foresight(
                [.. AfterGivingBack(question with { Moves = question.Moves.Add(new HandMove(named, stages, "")) }, leaving, named)])
            : Foresight.No($"{named} does not wait for nodes.");
    }

    private static IEnumerable<string> AfterGivingBack(PlacementQuestion question, ImmutableArray<GangGrant> leaving, StageId? heir = null)
    {
        var answer = PlacementQueue.Decide(question with
        {
            Held = question.Held.RemoveRange(leaving),
            Waiting = question.Waiting.AddRange(leaving.Select(h => Again(h, question.Now))),
        });
        if (heir is { } named)
        {
            yield return answer.Placed.Any(p => p.Grant.Stage == named) ? $"{named} starts on the nodes that become free."
                : $"{named} waits all the same: {answer.Pending[named].Reasons[0].Text}.";
        }

        foreach (var gang in leaving)
        {
            string stops = $"{gang.Stage} saves a checkpoint and stops on all its {Words.Count(gang.Nodes.Length, "node", "nodes")}";
            yield return answer.Placed.Any(p => p.Grant.Stage == gang.Stage) ? $"{stops}, then starts again elsewhere at once."
                : $"{stops}. There is no room for all of it then: it goes on with fewer nodes if its layout can, or "
                    + $"{Words.Count(gang.Slots, "GPU", "GPUs")} of work will stand idle ({answer.Pending[gang.Stage].Reasons[0].Text}).";
        }

        foreach (var gain in answer.Placed.Where(p => leaving.All(l => l.Stage != p.Grant.Stage) && p.Grant.Stage != heir))
        {
            yield return $"{gain.Grant.Stage}, which waits, starts in their place.";
        }
    }

    private static GangRequest Again(GangGrant held, DateTimeOffset now) =>
        new(held.Stage, held.Gang + 1, held.Nodes.Length, held.SlotsPerNode, held.Priority, held.Team, now,
            ImmutableDictionary<NodeId, string>.Empty)
        {
            Group = held.Group, Expected = held.ExpectedEnd - now, SaveTime = held.SaveTime,
        };

    private static Foresight? Exists(PlacementQuestion question, NodeId node) =>
        question.Cluster.Nodes.Any(n => n.Id == node) ? null
        : Foresight.No($"There is no node named {node}.{Near(question, node)} `dsops cluster` lists them.");

    private static string Near(PlacementQuestion question, NodeId node) =>
        Nearest.To(node.Name, question.Cluster.Nodes.Select(n => n.Id.Name)).FirstOrDefault() is { } near ? $" Did you mean {near}?" : "";

    private static PlacementQuestion Without(PlacementQuestion question, NodeId node) => question with
    {
        Cluster = question.Cluster.With([new Cordon(node, "", question.Now, Drains: false)]),
    };

    /// <summary>Gangs that would start now, and would not any more.</summary>
    private static IEnumerable<string> NoLongerFits(PlacementQuestion question, PlacementQuestion without)
    {
        var after = PlacementQueue.Decide(without);
        return PlacementQueue.Decide(question).Placed.Where(p => after.Pending.ContainsKey(p.Grant.Stage))
            .Select(p => $"{p.Grant.Stage} could start now and will have to wait: {after.Pending[p.Grant.Stage].Reasons[0].Text}.");
    }
}
