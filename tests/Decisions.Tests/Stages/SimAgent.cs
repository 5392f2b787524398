using System.Collections.Immutable;
using DeepSeekOps.Decisions.Checkpoints;
using DeepSeekOps.Decisions.Gangs;
using DeepSeekOps.Decisions.Health;
using DeepSeekOps.Decisions.Placement;
using DeepSeekOps.Decisions.Stages;

namespace DeepSeekOps.Decisions.Tests.Stages;

/// <summary>
/// An agent with one rank that counts steps; everything since its start stands in each beat, as if nothing were acknowledged. Its rank
/// saves onto the stage's disk, and goes on from the newest whole checkpoint there.
/// </summary>
/// <param name="spoilt">Batches whose numbers break each time that they are trained.</param>
internal sealed class SimAgent(NodeId node, GangId gang, List<CheckpointOnDisk> disk, IReadOnlySet<long> spoilt)
{
    private ImmutableArray<long> leftOut = [];
    private readonly List<CheckpointMade> made = [];
    private readonly List<ResumedFrom> resumed = [];
    private readonly List<RefusedCheckpoint> refusals = [];
    private StepSample? sample;
    private long sequence;
    private bool standing;
    private bool stopped;

    public NodeId Node => node;

    public GangId Gang { get; } = gang;

    public int Attempt { get; private set; } = gang.Number;

    public bool Alive { get; private set; } = true;

    public RankSeen? Rank { get; private set; }

    public ImmutableArray<RankSeen> Ranks => Rank is null ? [] : [Rank];

    public bool Trains => Alive && Rank is { State: RankState.Training or RankState.Starting or RankState.Saving };

    public PodPhase Phase => Alive ? PodPhase.Running : stopped ? PodPhase.Stopped : PodPhase.Exited;

    /// <summary>The clean end of everything: what `dsops dev` does at Ctrl-C.</summary>
    public void StopWithCluster()
    {
        Die();
        stopped = true;
    }

    public void Die() => (Alive, Rank) = (false, null);

    public void EndRank(int code, string error)
    {
        if (Rank is { State: RankState.Training } rank)
        {
            Rank = rank with { State = RankState.Exited, ExitCode = code, Error = error };
        }
    }

    public void Train(int steps, int saveEvery, DateTimeOffset now)
    {
        if (Rank is not { State: RankState.Training } rank || standing)
        {
            return;
        }

        if (spoilt.Contains(BatchOrder.BatchOf(rank.Step + 1, leftOut)))
        {
            var broke = new NotFinite("loss", "NaN", rank.Step + 1, BatchOrder.BatchOf(rank.Step + 1, leftOut), 0, "", 0);
            Rank = rank with { State = RankState.Exited, ExitCode = NumberBreak.Exit, Error = broke.Sentence, Broke = broke };
            return;
        }

        Rank = rank with { Step = rank.Step + 1 };
        sample = new StepSample(Rank.Step, now, "", 1, 1, 1, Rank.Step * 100, 0.2, Attempt, ImmutableDictionary<string, double>.Empty);
        if (Rank.Step % saveEvery == 0 || Rank.Step >= steps)
        {
            Save(Rank.Step >= steps, now);
        }
    }

    public AgentBeat Beat(StageId stage) => new(node, $"agent-{Gang.Number}", stage, Attempt, ++sequence, Ranks,
        sample is null ? [] : [sample], [.. made], [], [], ImmutableDictionary<string, double>.Empty,
        [.. refusals], [])
    { Resumed = [.. resumed] };

    public void Obey(WorkerOrder order, IReadOnlySet<string> refused, DateTimeOffset now)
    {
        switch (order)
        {
            case WorkerOrder.Start start: Launch(start.Assignment, refused); break;
            case WorkerOrder.RestartRanks restart: Launch(restart.Assignment, refused); break;
            case WorkerOrder.RollBack back: Launch(back.Assignment, refused); break;
            case WorkerOrder.SaveCheckpoint: Save(false, now); break;
            case WorkerOrder.Stop { SaveWithin: not null } when Trains && !standing: Save(false, now); standing = true; break;
            case WorkerOrder.Stop: Die(); break;
            case WorkerOrder.Continue: break;
            default: throw new System.Diagnostics.UnreachableException($"order {order}");
        }
    }

    private void Save(bool final, DateTimeOffset now)
    {
        var rank = Rank!;
        var checkpoint = new CheckpointMade(rank.Step, $"step-{rank.Step}-attempt-{Attempt}", 1, $"digest-{rank.Step}-{Attempt}", 1, 1, "",
            TimeSpan.Zero, TimeSpan.Zero, now, Attempt, final);
        made.Add(checkpoint);
        disk.RemoveAll(c => c.Made.Step == rank.Step);
        disk.Add(new CheckpointOnDisk(checkpoint, ""));
        Rank = final ? rank with { State = RankState.Done } : rank;
    }

    private void Launch(Assignment assignment, IReadOnlySet<string> damaged)
    {
        (Attempt, leftOut) = (assignment.Attempt, assignment.LeftOut);
        long wanted = assignment.ResumeFrom?.Step ?? 0;
        var candidates = disk.Where(c => c.Made.Attempt > assignment.RoundBegan || c.Made.Step <= wanted)
            .OrderByDescending(c => c.Made.Step).ToList();
        foreach (var bad in candidates.TakeWhile(c => damaged.Contains(c.Made.Path)))
        {
            refusals.Add(new RefusedCheckpoint(bad.Made.Path, "truncated") { Attempt = Attempt, Digest = bad.Made.Digest });
            disk.Remove(bad);
        }

        var chosen = candidates.FirstOrDefault(c => !damaged.Contains(c.Made.Path))?.Made;
        bool none = chosen is null && assignment.ResumeFrom is not null;
        disk.RemoveAll(c => !none && c.Made.Step > (chosen?.Step ?? 0));
        if (!none)
        {
            resumed.Add(new ResumedFrom(Attempt, chosen));
        }

        Rank = new RankSeen(0, 1, none ? RankState.Exited : RankState.Training, Attempt, chosen?.Step ?? 0, "", TimeSpan.Zero,
            none ? FaultDetector.NoCheckpointExit : null, none ? "no checkpoint can be used: all are truncated" : "", 0);
    }
}
