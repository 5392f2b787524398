using System.Collections.Immutable;
using DeepSeekOps.Decisions.Checkpoints;
using DeepSeekOps.Decisions.Gangs;
using DeepSeekOps.Decisions.Health;
using DeepSeekOps.Decisions.Placement;
using DeepSeekOps.Decisions.Planning;
using DeepSeekOps.Decisions.Recipes;
using DeepSeekOps.Decisions.Recovery;

namespace DeepSeekOps.Decisions.Stages;

/// <summary>
/// A gang loses a node, and no other is free: those that are left keep their pods and processes, and form the smaller gang under the next
/// attempt's number. What of the gang is on nodes that it gives up has ended for certain before anything of that attempt is launched.
/// </summary>
internal static class StageReforming
{
    /// <summary>
    /// It is about to end its gang for the sake of a node: whether there is another one is asked before. Null: nothing is to be asked.
    /// </summary>
    public static GangRequest? AsksForRoom(Stage before, Stage next) =>
        before.Phase is Phase.Running or Phase.Restarting && next.Restarts != before.Restarts && next.Incident is { NodeIsSuspect: true }
        && next.Phase is Phase.Stopping { Then: Ending.Relaunch, Gang: { Nodes.Length: > 1 } gang }
        && StageShrinking.MayShrinkOnceItTrains(next)
            ? StagePlanner.InStead(next, gang) : null;

    /// <summary>Null: another node is free, or waiting is cheaper, or too few of the gang are left: another gang, then.</summary>
    public static Decision? Shrink(Stage stage, GangGrant gang, Failure failure, Observation seen, DateTimeOffset now)
    {
        if (stage.Phase is not (Phase.Running or Phase.Restarting) || !StageShrinking.MayShrinkOnceItTrains(stage)
            || StageHolding.Of(stage, now) is not null || seen.Placement is not PlacementDecision.Pending { Room: { } room } pending
            || !StageShrinking.Lacks(stage, pending, room))
        {
            return null;
        }

        var sound = Sound(gang, failure, seen);
        var (answer, shrunk) = StageShrinking.Weigh(stage, pending, sound.Length, now);
        // More room than the gang has left is worth a new gang: its layout has more nodes.
        if (sound.Length < room.Nodes || answer is not ShrinkAnswer.GoOn { Layout: var layout } || layout.Nodes >= gang.Nodes.Length)
        {
            return null;
        }

        var (nodes, fit) = GangSeats.Of(gang, sound, LayoutOf(stage, stage.Shrunk?.Layout), LayoutOf(stage, layout), layout.Nodes);
        bool inMemory = fit && layout.Way == ShrinkWay.FewerReplicas && KeepsAlike(stage);
        string from = CheckpointChoice.FromWhere(stage.Checkpoints) + (inMemory ? ", or from a later one that its ranks have kept" : "");
        string stays = $"what is left keeps its processes and forms again on {Words.Nodes(nodes)}";
        var next = StageRecovery.Tell(shrunk, failure, $"{stays}; {from}", now)
            .Say(now, "shrunk", EventLevel.Warning, $"{answer.Reason}; {stays}; {from}");
        var decision = (next with { Shrunk = next.Shrunk! with { Layout = layout, StatesFit = inMemory } })
            .RestartInPlace(gang with { Nodes = nodes }, now);
        ImmutableArray<NodeId> before = stage.Phase is Phase.Restarting earlier ? earlier.Leaving : [];
        var restarting = (Phase.Restarting)decision.Next.Phase with { Leaving = [.. before, .. gang.Nodes.Except(nodes)] };
        return decision with
        {
            Next = decision.Next with { Phase = restarting, LayoutFrom = decision.Next.Attempt },
            Actions = [Action(restarting, failure.Sentence)],
        };
    }

    /// <summary>Also mends a crash between the write of the phase and the end of the pods.</summary>
    public static Decision LetGo(Stage stage, Phase.Restarting restarting, Observation seen)
    {
        bool certain = seen.Left is var (gang, nodes) && gang == restarting.Gang.Id && restarting.Leaving.All(nodes.Contains);
        string where = Words.Nodes(restarting.Leaving);
        return certain ? stage.To(restarting with { Leaving = [] }, stage.Reason)
            : stage.Stay($"{stage.Reason}; waits until the cluster is certain that nothing of it runs on {where}",
                Action(restarting, stage.Reason));
    }

    private static StageAction.LetGo Action(Phase.Restarting restarting, string reason) =>
        new(restarting.Gang.Id, restarting.Leaving, reason);

    /// <summary>Its pod runs, its agent has just been heard, and nothing is said against the node.</summary>
    private static ImmutableArray<NodeId> Sound(GangGrant gang, Failure failure, Observation seen)
    {
        if (seen.Cluster is not { } cluster)
        {
            return [];
        }

        var runs = cluster.Pods.Where(p => p.Gang == gang.Id && p.Phase == PodPhase.Running).Select(p => p.Node).ToHashSet();
        var broken = cluster.Nodes.Where(n => n.Health is NodeHealth.NotReady or NodeHealth.Unknown or NodeHealth.Maintenance)
            .Select(n => n.Id).ToHashSet();
        var heard = seen.AgentsOf(gang).Where(a => a.Beaten && seen.SilenceOf(a) < FaultDetector.Fresh).Select(a => a.Node).ToHashSet();
        return [.. gang.Nodes.Where(n => n != failure.Node && runs.Contains(n) && heard.Contains(n) && !broken.Contains(n))];
    }

    private static ParallelLayout LayoutOf(Stage stage, ShrunkLayout? layout)
    {
        var pipeline = layout?.Apply(stage.Wish.Pipeline, stage.Id.Stage) ?? stage.Wish.Pipeline;
        return pipeline.ParallelismOf(pipeline.Stage(stage.Id.Stage));
    }

    /// <summary>
    /// Replicas hold the same, as their worker knows of them (StateMemory): moments that are dealt among them are not the same, nor is what
    /// a stage with rollouts has beside its weights.
    /// </summary>
    private static bool KeepsAlike(Stage stage) => stage.KeepsInMemory()
        && stage.Wish.Pipeline.Stage(stage.Id.Stage) is var spec && stage.Wish.Pipeline.ParallelismOf(spec).Zero == 0
        && spec.Recipe.ReplicasAreAlike;
}
