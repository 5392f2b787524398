using System.Collections.Immutable;
using DeepSeekOps.Decisions;
using DeepSeekOps.Decisions.Checkpoints;
using DeepSeekOps.Decisions.Gangs;
using DeepSeekOps.Decisions.Health;
using DeepSeekOps.Decisions.Placement;
using DeepSeekOps.Decisions.Stages;

namespace DeepSeekOps.ControlPlane.Clusters.Simulated;

/// <summary>An agent that exists only in memory: what it was told to run, and what it has not been told was taken.</summary>
/// <param name="StartsAt">Simulated seconds from which the container runs.</param>
internal sealed class SimulatedPod(GangId gang, NodeId node, int number, double startsAt)
{
    private readonly List<(long FirstSent, StepSample Sample)> samples = [];
    private readonly List<(long FirstSent, CheckpointMade Made)> checkpoints = [];
    private long sequence;

    public StageId Stage => Gang.Stage;

    public GangId Gang { get; } = gang;

    public NodeId Node { get; } = node;

    public double StartsAt { get; } = startsAt;

    public bool Registered { get; private set; }

    public Assignment? Assignment { get; private set; }

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

    public bool SavesThenEnds { get; set; }

    public int Waiting => samples.Count;

    public string AgentId => $"simulated-{Stage}-{Gang.Number}-{Node}";

    public void Launch(Assignment assignment, double now)
    {
        if (Assignment?.Attempt != assignment.Attempt)
        {
            (Assignment, LaunchedAt, RankError, Hung, Broke) = (assignment, now, null, false, null);
            samples.Clear();
        }
    }

    public void Exit(int code, string reason) => (ExitCode, Reason) = ExitCode is null ? (code, reason) : (ExitCode, Reason);

    public void FailRank(string error) => (RankError, RankExit) = RankError is null ? (error, 1) : (RankError, RankExit);

    public void BreakNumbers(NotFinite broke) => (RankError, RankExit, Broke) = (broke.Sentence, NumberBreak.Exit, broke);

    public void Hang() => Hung = true;

    public void Tell(StepSample sample) => samples.Add((sequence + 1, sample));

    public void Tell(CheckpointMade made) => checkpoints.Add((sequence + 1, made));

    public AgentRegistration Registration()
    {
        Registered = true;
        return new AgentRegistration("simulated", Node, AgentId, number, Stage, Gang.Number, []);
    }

    public AgentBeat Beat(ImmutableArray<RankSeen> ranks) => new(
        Node, AgentId, Stage, Assignment?.Attempt ?? Gang.Number, ++sequence, ranks, [.. samples.Select(s => s.Sample)],
        [.. checkpoints.Select(c => c.Made)], [], [], ImmutableDictionary<string, double>.Empty, [], []);

    public void Acknowledge(long taken)
    {
        samples.RemoveAll(s => s.FirstSent <= taken);
        checkpoints.RemoveAll(c => c.FirstSent <= taken);
    }

    public PodSeen Seen(double now) => new(Gang, Node,
        ExitCode is not null ? PodPhase.Exited : now < StartsAt ? PodPhase.Pending : PodPhase.Running, number, ExitCode, Reason);
}
