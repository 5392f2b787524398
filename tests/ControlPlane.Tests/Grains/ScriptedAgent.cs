using System.Collections.Immutable;
using DeepSeekOps.ControlPlane.Grains;
using DeepSeekOps.Decisions;
using DeepSeekOps.Decisions.Checkpoints;
using DeepSeekOps.Decisions.Exits;
using DeepSeekOps.Decisions.Gangs;
using DeepSeekOps.Decisions.Health;
using DeepSeekOps.Decisions.Recipes;
using DeepSeekOps.Decisions.Simulation;
using DeepSeekOps.Decisions.Stages;

namespace DeepSeekOps.ControlPlane.Tests.Grains;

/// <summary>An agent of a node. Each beat trains a step; a checkpoint each five; it obeys the order of each reply.</summary>
internal sealed class ScriptedAgent(GangId gang, NodeId node, int pid) : SimulatedAgent(gang, node, Guid.NewGuid().ToString("N"), pid)
{
    private const int SaveEvery = 5;
    private const int LoadEvery = 5;

    // The stage ends an agent beside the world's steps: neither may come between the other's look and its act.
    private readonly Lock gate = new();
    private RankStatus? rank;
    private ImmutableArray<long> leftOut = [];
    private long last;
    private DateTimeOffset at;

    public bool Alive { get; private set; } = true;

    public bool Removed { get; set; }

    public int? ExitCode { get; private set; }

    /// <summary>While set, it trains and its beats do not arrive.</summary>
    public bool Mute { get; set; }

    /// <summary>While set, its rank makes no step.</summary>
    public bool Stands { get; set; }

    /// <summary>While set, its rank crashes at step 3.</summary>
    public string CrashesWith { get; set; } = "";

    /// <summary>Batches whose numbers break each time that they are trained; its rank then ends, as a worker's does.</summary>
    public HashSet<long> Spoilt { get; } = [];

    /// <summary>The loss that its rank tells of a step, without ending by it.</summary>
    public Func<long, double> LossOf { get; set; } = step => 3.0 / step;

    /// <summary>Paths its rank refuses to load.</summary>
    public HashSet<string> Refuses { get; } = [];

    public RankStatus? Rank => rank;

    /// <summary>Every order that was not Continue.</summary>
    public List<WorkerOrder> Orders { get; } = [];

    public override ImmutableArray<RankStatus> Ranks => rank is null ? [] : [rank];

    protected override ImmutableDictionary<string, double> LaunchSeconds => ImmutableDictionary<string, double>.Empty.Add("load", 0.5);

    protected override bool CanSave => rank is { State: RankState.Training } && !Stands;

    public void End(int exitCode)
    {
        lock (gate)
        {
            if (Alive)
            {
                (Alive, ExitCode, rank) = (false, exitCode, null);
            }
        }
    }

    public void KillRank(int exitCode = 137, string error = "") =>
        rank = rank! with { State = RankState.Exited, ExitCode = exitCode, Error = error };

    public async Task<WorkerReply?> Beat(IGrainFactory grains, DateTimeOffset now)
    {
        if (!Alive)
        {
            return null;
        }

        at = now;
        lock (gate)
        {
            Train(now);
        }

        if (Mute)
        {
            return null;
        }

        var grain = grains.GetGrain<IStageGrain>(Stage.ToString());
        var reply = Registered ? await grain.Heartbeat(Beat()) : await grain.Register(Registration());
        if (reply.Order is not WorkerOrder.Continue)
        {
            Orders.Add(reply.Order);
        }

        Take(reply);
        return reply;
    }

    private void Train(DateTimeOffset now)
    {
        if (rank is not { State: RankState.Training } || Stands)
        {
            rank = rank is { State: RankState.Training } ? rank with { SinceProgress = rank.SinceProgress + TimeSpan.FromSeconds(30) }
                : rank;
            return;
        }

        if (Spoilt.Contains(BatchOrder.BatchOf(rank.Step + 1, leftOut)))
        {
            var broke = new NotFinite("loss", "NaN", rank.Step + 1, BatchOrder.BatchOf(rank.Step + 1, leftOut), 2, "pairs.jsonl, line 7",
                1e-3);
            rank = rank with { State = RankState.Exited, ExitCode = ExitCodes.NotFinite, Error = broke.Sentence, Broke = broke };
            return;
        }

        rank = rank with { Step = rank.Step + 1 };
        if (rank.Step == 3 && CrashesWith.Length > 0)
        {
            KillRank(1, CrashesWith);
            return;
        }

        Tell(new StepSample(rank.Step, now, "main", LossOf(rank.Step), 1, 1e-3, rank.Step * 100, 0.1, Launched,
            ImmutableDictionary<string, double>.Empty));
        if (rank.Step % LoadEvery == 0)
        {
            Tell(new ExpertLoad(rank.Step, now, Launched, 1, 0, 2, [0.5f, 1.5f]));
        }

        if (rank.Step % SaveEvery == 0 || rank.Step == last)
        {
            Save();
        }
    }

    protected override void Save()
    {
        bool final = rank!.Step == last;
        Tell(new CheckpointMade(
            rank.Step, $"{Stage}/step-{rank.Step:00000000}", 1000, $"digest-{rank.Step}", rank.Step * 100, LossOf(rank.Step),
            $"sample {rank.Step}", TimeSpan.FromMilliseconds(10), TimeSpan.FromMilliseconds(20), at, Launched, final));
        rank = final ? rank with { State = RankState.Done } : rank;
    }

    protected override void SaveThenEnd()
    {
        Save();
        Stands = true;
    }

    /// <summary>What it has saved is told first.</summary>
    protected override void End(string reason)
    {
        if (!CheckpointsWait)
        {
            End(0);
        }
    }

    protected override void Launch(Assignment assignment, Assignment? before)
    {
        leftOut = assignment.LeftOut;
        last = assignment.Pipeline.Stage(Stage.Stage).Recipe.Length().Steps;
        bool refused = assignment.ResumeFrom is { } from && Refuses.Contains(from.Path);
        foreach (string path in Refuses)
        {
            Tell(new RefusedCheckpoint(path, "its digest is not the manifest's"));
        }

        rank = new RankStatus(assignment.Ranks[0].Rank, Pid + (100 * Launched), refused ? RankState.Exited : RankState.Training, Launched,
            assignment.ResumeFrom?.Step ?? 0, "forward", TimeSpan.Zero, refused ? 1 : null, refused ? "checkpoint refused" : "", 0);
    }
}
