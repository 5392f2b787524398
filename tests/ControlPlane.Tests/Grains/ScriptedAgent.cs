using System.Collections.Immutable;
using DeepSeekOps.ControlPlane.Grains;
using DeepSeekOps.Decisions;
using DeepSeekOps.Decisions.Checkpoints;
using DeepSeekOps.Decisions.Gangs;
using DeepSeekOps.Decisions.Health;
using DeepSeekOps.Decisions.Recipes;
using DeepSeekOps.Decisions.Stages;

namespace DeepSeekOps.ControlPlane.Tests.Grains;

/// <summary>An agent with one rank. Each beat trains a step; a checkpoint each five; it obeys the order of each reply.</summary>
internal sealed class ScriptedAgent(GangId gang, NodeId node, int pid)
{
    private const int SaveEvery = 5;
    private const int LoadEvery = 5;

    private readonly List<StepSample> samples = [];
    private readonly List<CheckpointMade> checkpoints = [];
    private readonly List<ExpertLoad> loads = [];
    private readonly string id = Guid.NewGuid().ToString("N");
    private bool registered;
    private long sequence;
    private readonly StageId stage = gang.Stage;
    private int attempt = gang.Number;
    private RankSeen? rank;
    private ImmutableArray<long> leftOut = [];
    private long last;

    /// <summary>The first beat that carries the newest checkpoint.</summary>
    private long checkpointsCarriedBy;

    public StageId Stage => stage;

    public GangId Gang => gang;

    public NodeId Node => node;

    public int Pid => pid;

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

    public RankSeen? Rank => rank;

    /// <summary>Every order that was not Continue.</summary>
    public List<WorkerOrder> Orders { get; } = [];

    public void End(int exitCode)
    {
        if (Alive)
        {
            (Alive, ExitCode, rank) = (false, exitCode, null);
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

        Train(now);
        if (Mute)
        {
            return null;
        }

        var grain = grains.GetGrain<IStageGrain>(stage.ToString());
        ImmutableArray<RankSeen> ranks = rank is null ? [] : [rank];
        WorkerReply reply;
        if (!registered)
        {
            reply = await grain.Register(new AgentRegistration("test", node, id, pid, stage, attempt, ranks));
            registered = true;
        }
        else
        {
            reply = await grain.Heartbeat(new AgentBeat(node, id, stage, attempt, ++sequence, ranks, [.. samples], [.. checkpoints], [], [],
                ImmutableDictionary<string, double>.Empty.Add("load", 0.5), [.. Refusals()], [.. loads]));
        }

        if (reply.Acknowledged == sequence)
        {
            samples.Clear();
            checkpoints.Clear();
            loads.Clear();
        }

        if (reply.Acknowledged >= checkpointsCarriedBy)
        {
            checkpoints.Clear();
        }

        Obey(reply.Order, now);
        return reply;
    }

    private IEnumerable<RefusedCheckpoint> Refusals() =>
        Refuses.Select(path => new RefusedCheckpoint(path, "its digest is not the manifest's"));

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
            rank = rank with { State = RankState.Exited, ExitCode = NumberBreak.Exit, Error = broke.Sentence, Broke = broke };
            return;
        }

        rank = rank with { Step = rank.Step + 1 };
        if (rank.Step == 3 && CrashesWith.Length > 0)
        {
            KillRank(1, CrashesWith);
            return;
        }

        samples.Add(new StepSample(rank.Step, now, "main", LossOf(rank.Step), 1, 1e-3, rank.Step * 100, 0.1, attempt,
            ImmutableDictionary<string, double>.Empty));
        if (rank.Step % LoadEvery == 0)
        {
            loads.Add(new ExpertLoad(rank.Step, now, attempt, 1, 0, 2, [0.5f, 1.5f]));
        }

        if (rank.Step % SaveEvery == 0 || rank.Step == last)
        {
            Save(now);
        }
    }

    private void Save(DateTimeOffset now)
    {
        bool final = rank!.Step == last;
        checkpointsCarriedBy = sequence + 1;
        checkpoints.Add(
            new CheckpointMade(rank.Step, $"{stage}/step-{rank.Step:00000000}", 1000, $"digest-{rank.Step}", rank.Step * 100,
                LossOf(rank.Step),
            $"sample {rank.Step}", TimeSpan.FromMilliseconds(10), TimeSpan.FromMilliseconds(20), now, attempt, final));
        rank = final ? rank with { State = RankState.Done } : rank;
    }

    private void Obey(WorkerOrder order, DateTimeOffset now)
    {
        if (order is not WorkerOrder.Continue)
        {
            Orders.Add(order);
        }

        switch (order)
        {
            case WorkerOrder.Start start:
                Launch(start.Assignment);
                break;
            case WorkerOrder.RestartRanks restart:
                Launch(restart.Assignment);
                break;
            case WorkerOrder.RollBack back:
                Launch(back.Assignment);
                break;
            case WorkerOrder.SaveCheckpoint:
                Save(now);
                break;
            case WorkerOrder.Stop stop:
                if (stop.SaveWithin is not null && rank is { State: RankState.Training } && !Stands)
                {
                    Save(now);
                    Stands = true;
                }

                if (checkpoints.Count == 0)
                {
                    End(0);
                }

                break;
            case WorkerOrder.Continue:
                break;
            default:
                throw new System.Diagnostics.UnreachableException($"order {order}");
        }
    }

    private void Launch(Assignment assignment)
    {
        (attempt, leftOut) = (assignment.Attempt, assignment.LeftOut);
        last = assignment.Pipeline.Stage(stage.Stage).Recipe.Length().Steps;
        bool refused = assignment.ResumeFrom is { } from && Refuses.Contains(from.Path);
        rank = new RankSeen(0, pid + (100 * attempt), refused ? RankState.Exited : RankState.Training, attempt,
            assignment.ResumeFrom?.Step ?? 0,
            "forward", TimeSpan.Zero, refused ? 1 : null, refused ? "checkpoint refused" : "", 0);
    }
}
