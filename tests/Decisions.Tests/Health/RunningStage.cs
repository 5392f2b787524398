using System.Collections.Immutable;
using DeepSeekOps.Decisions.Gangs;
using DeepSeekOps.Decisions.Health;
using DeepSeekOps.Decisions.Placement;
using DeepSeekOps.Decisions.Stages;
using DeepSeekOps.Decisions.Tests.Stages;

namespace DeepSeekOps.Decisions.Tests.Health;

/// <summary>A stage that trains on one node, with a beat just heard; what comes after is the test's.</summary>
internal sealed class RunningStage
{
    private readonly StageWorld world = new();

    public RunningStage()
    {
        while (world.Stage.Phase is not Phase.Running || world.Stage.Checkpoints.IsEmpty)
        {
            world.Apply(Happening.Tick);
            world.Apply(Happening.Beat);
        }

        Vitals = world.Vitals.Written(world.Vitals.News, world.Stage.Watched, world.Seen);
    }

    public Stage Stage => world.Stage with { Outbox = [] };

    public Vitals Vitals { get; private set; }

    public Instant Now => world.Seen;

    public GangGrant Gang => world.Stage.Phase.GangOrNull!;

    public NodeId Node => Gang.Nodes[0];

    public PodSeen Pod => new(Gang.Id, Node, PodPhase.Running, 42, null, "");

    public ClusterSnapshot Cluster => With(Pod);

    public ClusterSnapshot With(PodSeen pod) =>
        new([new NodeSeen(Node, NodeHealth.Ready, "", 1, ImmutableDictionary<string, string>.Empty)], [pod], Now.At);

    public Instant After(TimeSpan time, TimeSpan set = default) => new(Now.At + time + set, Now.Up + time);

    public Observation Observe(Instant now, ClusterSnapshot? cluster = null) => Vitals.Observe(Stage.Watched, cluster ?? Cluster, now);

    public Decision Decide(Instant now, Instant? awakeSince = null) => StagePlanner.Decide(
        Stage, (awakeSince is { } awake ? Vitals.NotBefore(awake) : Vitals).Observe(Stage.Watched, Cluster, now), now.At);

    /// <summary>A beat that comes now, from the agent that is there.</summary>
    public void Hear(params RankStatus[] ranks) => Vitals = Vitals.Take(BeatOf(Stage, ranks), Stage.Watched, false, Now);

    public void EndRank(int code, string error) => Hear(Rank(Stage) with { State = RankState.Exited, ExitCode = code, Error = error });

    public RankStatus Rank(Stage stage, long? step = null) => new(0, 7, RankState.Training, stage.Attempt,
        step ?? world.Live.First().Rank!.Step, "64", TimeSpan.Zero, null, "", 0);

    public AgentBeat Beat(Stage stage, long step) => BeatOf(stage, Rank(stage, step));

    private AgentBeat BeatOf(Stage stage, params RankStatus[] ranks) =>
        new(Node, Vitals.Agents[0].AgentId, stage.Id, stage.Attempt, Vitals.Agents[0].Sequence + 1,
        [.. ranks], [], [], [], [], ImmutableDictionary<string, double>.Empty, [], []);
}
