using System.Collections.Immutable;
using DeepSeekOps.Decisions;
using DeepSeekOps.Decisions.Exits;
using DeepSeekOps.Decisions.Gangs;
using DeepSeekOps.Decisions.Health;
using DeepSeekOps.Decisions.Placement;
using DeepSeekOps.Decisions.Simulation;
using DeepSeekOps.Decisions.Stages;

namespace DeepSeekOps.ControlPlane.Clusters.Simulated;

/// <summary>A pod with its agent, whose ranks step with their gang.</summary>
/// <param name="startsAt">Simulated seconds from which the container runs.</param>
/// <param name="clock">Simulated seconds.</param>
internal sealed class SimulatedPod(SimulatedGang of, GangId gang, NodeId node, int number, double startsAt, Func<double> clock)
    : SimulatedAgent(gang, node, $"simulated-{gang.Stage}-{gang.Number}-{node}-{number}", number)
{
    public double StartsAt { get; } = startsAt;

    public double LaunchedAt { get; private set; }

    public int? ExitCode { get; private set; }

    public string Reason { get; private set; } = "";

    /// <summary>A rank of the current launch ended by itself; cleared by the next launch.</summary>
    public string? RankError { get; private set; }

    /// <summary>With <see cref="RankError"/>: its exit code.</summary>
    public int RankExit { get; private set; }

    /// <summary>The number that ended the ranks of the current launch; cleared by the next launch.</summary>
    public NotFinite? Broke { get; private set; }

    /// <summary>A rank of the current launch makes no step any more and says nothing; cleared by the next launch.</summary>
    public bool Hung { get; private set; }

    public override ImmutableArray<RankStatus> Ranks
    {
        get
        {
            var since = TimeSpan.FromSeconds(Math.Min(of.SinceProgress, TimeSpan.FromDays(1).TotalSeconds));
            return Assignment is { } assignment ? [.. assignment.Ranks.Select(r => Rank(r, assignment, since))] : [];
        }
    }

    protected override bool CanSave => !SavesThenEnds && of.Whole;

    private bool SavesThenEnds { get; set; }

    public void Exit(int code, string reason) => (ExitCode, Reason) = ExitCode is null ? (code, reason) : (ExitCode, Reason);

    public void FailRank(string error) => (RankError, RankExit) = RankError is null ? (error, 1) : (RankError, RankExit);

    public void BreakNumbers(NotFinite broke) => (RankError, RankExit, Broke) = (broke.Sentence, ExitCodes.NotFinite, broke);

    public void Hang() => Hung = true;

    public PodSeen Seen(double now) => new(Gang, Node,
        ExitCode is not null ? PodPhase.Exited : now < StartsAt ? PodPhase.Pending : PodPhase.Running, Pid, ExitCode, Reason);

    protected override void Launch(Assignment assignment, Assignment? before) =>
        (LaunchedAt, RankError, Hung, Broke) = (clock(), null, false, null);

    protected override void Save() => of.Save();

    protected override void SaveThenEnd()
    {
        SavesThenEnds = true;
        of.Save();
    }

    protected override void End(string reason) => Exit(0, reason);

    /// <summary>One rank of the node ends by itself; the others wait for it in a collective.</summary>
    private RankStatus Rank(RankPlacement placed, Assignment assignment, TimeSpan since)
    {
        bool stepping = of.Attempt == assignment.Attempt;
        bool ended = RankError is not null && placed.LocalRank == 0;
        var state = ended ? RankState.Exited
            : RankError is not null ? RankState.Training : !stepping ? RankState.Starting : of.Done ? RankState.Done : RankState.Training;
        return new RankStatus(placed.Rank, 1, state, assignment.Attempt, stepping ? of.Step : assignment.ResumeFrom?.Step ?? 0,
            stepping ? "simulated" : "loading", since, ended ? RankExit : null, RankError ?? "", stepping ? of.Step : 0)
        {
            Broke = Broke,
        };
    }
}
