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
/// A gang loses a node, and its other nodes keep their pods and processes. Where another node is free it takes the lost one's place; where
/// none is, those that are left form a smaller gang. Either is formed under the next attempt's number. What of the gang is on nodes that it
/// gives up has ended for certain, and what comes to it is its own, before anything of that attempt is launched.
/// </summary>
internal static class StageReforming
{
    private const string LaterOne = ", or from a later one that its ranks have kept";

    /// <summary>
    /// It is about to end its gang for the sake of a node: whether there is another one is asked before. Null: nothing is to be asked.
    /// </summary>
    public static GangRequest? AsksForRoom(Stage before, Stage next, Observation seen)
    {
        if (before.Phase is not (Phase.Running or Phase.Restarting) || next.Restarts == before.Restarts
            || next.Incident is not { NodeIsSuspect: true } failure
            || next.Phase is not Phase.Stopping { Then: Ending.Relaunch, Gang: { Nodes.Length: > 1 } gang })
        {
            return null;
        }

        var sound = Sound(gang, failure, seen);
        return MayRefill(gang, failure, sound)
            ? StagePlanner.InStead(next, gang) with { Refill = new GangRefill(sound, gang.Nodes.Length - sound.Length) }
            : StageShrinking.MayShrinkOnceItTrains(next) ? StagePlanner.InStead(next, gang) : null;
    }

    /// <summary>Null: waiting is cheaper, or too few of the gang are left, or what came to it failed too: another gang, then.</summary>
    public static Decision? FormAgain(Stage stage, GangGrant gang, Failure failure, Observation seen, DateTimeOffset now) =>
        Refilled(stage, gang, failure, seen, now) is { } whole ? Refill(stage, gang, whole, failure, now)
        : MayStay(stage, now) && seen.Placement is PlacementDecision.Pending { Room: { } room } pending
            ? Shrink(stage, gang, failure, pending, room, seen, now) : null;

    /// <summary>Who takes the lost one's place. Empty: nobody does.</summary>
    public static string InWords(Stage stage, GangGrant gang, Failure failure, Observation seen, DateTimeOffset now) =>
        Refilled(stage, gang, failure, seen, now) is { } whole ? InWords(gang, whole) : "";

    /// <summary>What a gang takes that has given up what it lost.</summary>
    public static GangRequest Claim(Stage stage, Phase.Restarting joining) => StagePlanner.InStead(stage, joining.Gang) with
    {
        Refill = new GangRefill([.. joining.Gang.Nodes.Except(joining.Joining)], joining.Joining.Length) { Takes = joining.Joining },
    };

    /// <summary>Also mends a crash between the write of the phase and the end of the pods.</summary>
    public static Decision LetGo(Stage stage, Phase.Restarting restarting, Observation seen)
    {
        bool certain = seen.Left is var (gang, nodes) && gang == restarting.Gang.Id && restarting.Leaving.All(nodes.Contains);
        string where = Words.Nodes(restarting.Leaving);
        return certain ? stage.To(restarting with { Leaving = [] }, stage.Reason)
            : stage.Stay($"{stage.Reason}; waits until the cluster is certain that nothing of it runs on {where}",
                Action(restarting, stage.Reason));
    }

    /// <summary>Who comes is started once the gang holds it. One that went to somebody else meanwhile leaves another gang.</summary>
    public static Decision Join(Stage stage, Phase.Restarting restarting, Observation seen, DateTimeOffset now)
    {
        string who = Words.Nodes(restarting.Joining);
        if (seen.Placement is not { } answer)
        {
            return stage.Stay($"{stage.Reason}; waits to be given {who}");
        }

        if (answer is PlacementDecision.Placed { Grant: var grant } && restarting.Joining.All(grant.Holds))
        {
            var told = new RunEvent(now, stage.Id.Run, stage.Id.Stage, stage.Attempt, "joined", EventLevel.Info,
                $"{who} joined gang {restarting.Gang.Gang}, whose other nodes keep their processes")
            {
                Node = restarting.Joining[0].Name,
            };
            // Whoever is new is checked by the first steps, as in a new gang.
            var whole = restarting.Gang with
            {
                Untried = [.. restarting.Gang.Untried.Union(grant.Untried.Where(restarting.Joining.Contains))],
            };
            return stage.Say(told)
                .To(restarting with { Gang = whole, Joining = [] }, stage.Reason, new StageAction.CreatePods(Coming(whole)));
        }

        string why = $"{who}, which was to come to gang {restarting.Gang.Gang}, is not free any more";
        return stage.Say(now, "not-joined", EventLevel.Warning, $"{why}: a new gang; {CheckpointChoice.FromWhere(stage.Checkpoints)}")
            .Stop(restarting.Gang, new Ending.Relaunch(why, now), why, now);
    }

    /// <summary>Those of a gang whose pods are made while it restarts.</summary>
    public static GangGrant Coming(GangGrant gang) => gang with { Nodes = gang.Newcomers };

    private static bool MayRefill(GangGrant gang, Failure failure, ImmutableArray<NodeId> sound) =>
        !sound.IsEmpty && !gang.Newcomers.Contains(failure.Node);

    private static bool MayStay(Stage stage, DateTimeOffset now) =>
        stage.Phase is Phase.Running or Phase.Restarting && StageHolding.Of(stage, now) is null;

    /// <summary>The gang with others in the places of those that it lost. Null: there are none, or they are not to come.</summary>
    private static GangGrant? Refilled(Stage stage, GangGrant gang, Failure failure, Observation seen, DateTimeOffset now)
    {
        if (!MayStay(stage, now) || seen.Placement is not PlacementDecision.Placed { Grant.Nodes: var whole })
        {
            return null;
        }

        var sound = Sound(gang, failure, seen);
        var others = whole.RemoveRange(sound);
        // An answer to another question, about a gang that had lost less or that is to have another size, says nothing of this one.
        if (!MayRefill(gang, failure, sound) || whole.Length != gang.Nodes.Length || others.Length != gang.Nodes.Length - sound.Length
            || others.Any(gang.Holds))
        {
            return null;
        }

        var coming = new Queue<NodeId>(others);
        return gang with
        {
            Nodes = [.. gang.Nodes.Select(n => sound.Contains(n) ? n : coming.Dequeue())],
            Newcomers = [.. gang.Newcomers.Where(sound.Contains), .. others],
        };
    }

    private static Decision Refill(Stage stage, GangGrant gang, GangGrant whole, Failure failure, DateTimeOffset now)
    {
        var places = whole.Newcomers.Select(n => whole.Nodes.IndexOf(n)).ToHashSet();
        // What it lacks another replica gives it, over the network.
        bool inMemory = KeepsAlike(stage)
            && GangSeats.HeldElsewhere(LayoutOf(stage, stage.Shrunk?.Layout), whole.Nodes.Length, whole.SlotsPerNode, places);
        string from = CheckpointChoice.FromWhere(stage.Checkpoints) + (inMemory ? LaterOne : "");
        var told = StageRecovery.Tell(stage, failure, $"{InWords(gang, whole)}; {from}", now);
        return FormedAgain(told, whole, gang, [.. whole.Nodes.Except(gang.Nodes)], failure, now);
    }

    private static string InWords(GangGrant gang, GangGrant whole) =>
        whole.Nodes.Except(gang.Nodes).ToImmutableArray() is var come && come.Length == 1 ? $"{come[0]} takes {PlaceOf(gang, whole)}"
            : $"{Words.Nodes(come)} take {PlaceOf(gang, whole)}";

    private static string PlaceOf(GangGrant gang, GangGrant whole) =>
        $"the place of {Words.Nodes([.. gang.Nodes.Except(whole.Nodes)])}, the others keep their processes";

    private static Decision? Shrink(
        Stage stage, GangGrant gang, Failure failure, PlacementDecision.Pending pending, RoomSeen room, Observation seen,
        DateTimeOffset now)
    {
        if (!StageShrinking.MayShrinkOnceItTrains(stage) || !StageShrinking.Lacks(stage, pending, room))
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
        string from = CheckpointChoice.FromWhere(stage.Checkpoints) + (inMemory ? LaterOne : "");
        string stays = $"what is left keeps its processes and forms again on {Words.Nodes(nodes)}";
        var told = StageRecovery.Tell(shrunk, failure, $"{stays}; {from}", now)
            .Say(now, "shrunk", EventLevel.Warning, $"{answer.Reason}; {stays}; {from}");
        var next = told with { Shrunk = told.Shrunk! with { Layout = layout, StatesFit = inMemory } };
        var decision = FormedAgain(next, gang with { Nodes = nodes, Newcomers = [.. gang.Newcomers.Where(nodes.Contains)] },
            gang, [], failure, now);
        return decision with { Next = decision.Next with { LayoutFrom = decision.Next.Attempt } };
    }

    /// <summary>The next attempt, on other nodes than before.</summary>
    private static Decision FormedAgain(
        Stage stage, GangGrant gang, GangGrant before, ImmutableArray<NodeId> joining, Failure failure, DateTimeOffset now)
    {
        var decision = stage.RestartInPlace(gang with { Untried = [.. gang.Untried.Where(gang.Nodes.Contains)] }, now);
        var restarting = (Phase.Restarting)decision.Next.Phase;
        restarting = restarting with { Leaving = [.. restarting.Leaving.Union(before.Nodes.Except(gang.Nodes))], Joining = joining };
        return decision with
        {
            Next = decision.Next with { Phase = restarting },
            Actions = [Action(restarting, failure.Sentence)],
        };
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
