using System.Collections.Immutable;
using DeepSeekOps.Decisions.Exits;
using DeepSeekOps.Decisions.Gangs;
using DeepSeekOps.Decisions.Health;
using DeepSeekOps.Decisions.Placement;
using DeepSeekOps.Decisions.Simulation;
using DeepSeekOps.Decisions.Stages;

namespace DeepSeekOps.Decisions.Tests.Stages;

/// <summary>An agent of a <see cref="SimGang"/>; everything since its start stands in each beat, as if nothing were acknowledged.</summary>
/// <param name="clock">The world's.</param>
internal sealed class SimAgent(SimGang of, NodeId node, GangId gang, Func<DateTimeOffset> clock)
    : SimulatedAgent(gang, node, $"agent-{gang.Number}-{node}", 1)
{
    private readonly List<SimRank> ranks = [];
    private readonly List<(int Attempt, int Rank, DateTimeOffset At)> before = [];
    private bool stopped;

    public bool Alive { get; private set; } = true;

    /// <summary>What it tells of its launch.</summary>
    public ImmutableDictionary<string, double> Told { get; set; } = ImmutableDictionary<string, double>.Empty;

    protected override ImmutableDictionary<string, double> LaunchSeconds => Told;

    /// <summary>Where all its ranks are.</summary>
    public long Step { get; set; }

    public bool AllTrain => ranks.Count > 0 && ranks.TrueForAll(r => r.State == RankState.Training);

    public bool AnyExited => ranks.Exists(r => r.State == RankState.Exited);

    /// <summary>Ranks that ended, with the moment. What it told before it died itself stays true.</summary>
    public IEnumerable<(int Attempt, int Rank, DateTimeOffset At)> Ended =>
        before.Concat(ranks.Where(r => r.EndedAt is not null).Select(r => (Launched, r.Number, r.EndedAt!.Value)));

    public RankStatus? Rank => Ranks.FirstOrDefault();

    public override ImmutableArray<RankStatus> Ranks =>
    [
        .. ranks.Select(r => new RankStatus(r.Number, 1, r.State, Launched, Step, "", TimeSpan.Zero, r.ExitCode, r.Error, Step)
        {
            Broke = r.Broke, SinceExit = r.EndedAt is { } ended ? clock() - ended : null,
        }),
    ];

    public PodPhase Phase => Alive ? PodPhase.Running : stopped ? PodPhase.Stopped : PodPhase.Exited;

    protected override bool CanSave => Alive && of.Training is not null && !of.Stands;

    /// <summary>The clean end of everything: what `dsops dev` does at Ctrl-C.</summary>
    public void StopWithCluster()
    {
        Die();
        stopped = true;
    }

    public void Die()
    {
        before.AddRange([.. Ended.Skip(before.Count)]);
        Alive = false;
        ranks.Clear();
    }

    /// <summary>One of its ranks ends by itself.</summary>
    public void EndRank(int code, string error, int which = 0)
    {
        if (ranks.Count > 0 && ranks[which % ranks.Count] is { State: RankState.Training } rank)
        {
            rank.End(code, error, clock());
        }
    }

    public void EndTraining(int code, string error, DateTimeOffset now) =>
        ranks.Where(r => r.State == RankState.Training).ToList().ForEach(r => r.End(code, error, now));

    public void BreakNumbers(NotFinite broke, DateTimeOffset now)
    {
        ranks[0].Broke = broke;
        ranks[0].End(ExitCodes.NotFinite, broke.Sentence, now);
    }

    public void Finish() => ranks.ForEach(r => r.State = RankState.Done);

    protected override void Launch(Assignment assignment, Assignment? before)
    {
        var (from, none) = of.Choose(assignment);
        Step = from?.Step ?? 0;
        ranks.Clear();
        ranks.AddRange(assignment.Ranks.Select(r => new SimRank(r.Rank)));
        if (none)
        {
            EndTraining(ExitCodes.NoCheckpoint, "no checkpoint can be used: all are truncated", clock());
        }
    }

    protected override void Save() => of.Save(clock());

    protected override void SaveThenEnd() => of.SaveThenStand(clock());

    protected override void End(string reason) => Die();

    private sealed class SimRank(int number)
    {
        public int Number { get; } = number;

        public RankState State { get; set; } = RankState.Training;

        public int? ExitCode { get; private set; }

        public string Error { get; private set; } = "";

        public NotFinite? Broke { get; set; }

        public DateTimeOffset? EndedAt { get; private set; }

        public void End(int code, string error, DateTimeOffset now) =>
            (State, ExitCode, Error, EndedAt) = (RankState.Exited, code, error, now);
    }
}
