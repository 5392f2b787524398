using System.Collections.Immutable;
using DeepSeekOps.Decisions.Gangs;
using DeepSeekOps.Decisions.Health;
using DeepSeekOps.Decisions.Pods;

namespace DeepSeekOps.Decisions.Incidents;

/// <summary>A rank as it was when its attempt failed.</summary>
/// <param name="Role">"first to fail", "waited for it".</param>
/// <param name="Lines">The last that it printed, oldest first, as far as its agent has told them.</param>
public sealed record RankEvidence(
    int Rank, string Node, string Role, string State, int Pid, long Step, string Doing, string HowItEnded, string Class, string Cause,
    string Said, ImmutableArray<string> Lines);

/// <summary>A node of the gang as the cluster and its agent had it.</summary>
/// <param name="HeardAgo">Null: its agent was never heard.</param>
public sealed record NodeEvidence(string Node, string Health, string Reason, int AgentPid, TimeSpan? HeardAgo);

/// <summary>A pod of the gang that had ended, in the cluster's own words.</summary>
/// <param name="ExitCode">Null: nobody knows how.</param>
/// <param name="Lines">The last that its container printed.</param>
public sealed record PodWords(
    string Node, string Pod, int? ExitCode, string Reason, ImmutableArray<string> Lines, ImmutableArray<string> Events);

/// <summary>The last step that was told.</summary>
public sealed record MetricEvidence(
    long Step, DateTimeOffset At, double Loss, double GradNorm, double LearningRate, double StepSeconds,
    ImmutableDictionary<string, double> More);

/// <summary>
/// All that was known of an attempt when it failed, kept before anything of it is deleted or launched again. Bounded: the first rank that
/// failed, a few of those that waited for it, their nodes.
/// </summary>
public sealed record Evidence(
    StageId Stage, int Incident, int Attempt, DateTimeOffset At, string Sentence, ImmutableArray<RankEvidence> Ranks,
    ImmutableArray<NodeEvidence> Nodes, MetricEvidence? Last, double? LongestStepSeconds)
{
    /// <summary>What the cluster knew of the gang's pods that had ended. None: all ran on, or the cluster keeps no such account.</summary>
    public ImmutableArray<PodWords> Pods { get; init; } = [];

    /// <summary>Of each rank; what it printed before is in its log.</summary>
    public const int LinesKept = 200;

    /// <summary>Ours: more than a terminal is wide thrice; eight ranks of 200 such lines still fit one message in any script.</summary>
    public const int LineLengthMax = 500;

    /// <summary>Ours: those that waited say the same, and seven show whether they do.</summary>
    public const int WaitingKept = 7;

    /// <summary>Attempts of a stage of which evidence is kept; older goes. Twice the hundred restarts that it is to outlive.</summary>
    public const int AttemptsKept = 200;

    /// <param name="ended">The rank that failed, where its agent runs another in its place by now. Null: it is seen as it ended.</param>
    public static Evidence Of(
        WatchedStage stage, GangGrant gang, Failure failure, int incident, Observation seen, RankStatus? ended = null)
    {
        var ranks = seen.AgentsOf(gang)
            .SelectMany(a => a.Ranks.Where(r => r.Attempt == stage.Attempt).Select(r => (a.Node, Rank: r))).ToList();
        var first = ended is null ? ranks.Where(r => r.Rank.Rank == failure.Rank).ToList() : [(failure.Node, ended)];
        var waited = ranks.Where(r => r.Rank.Rank != failure.Rank)
            .OrderByDescending(r => r.Rank.State == RankState.Exited).ThenByDescending(r => r.Rank.LostPeer is not null)
            .ThenByDescending(r => r.Node == failure.Node).ThenBy(r => r.Rank.Rank).Take(WaitingKept).ToList();
        var on = first.Concat(waited).Select(r => r.Node).Append(failure.Node).Distinct().Where(gang.Nodes.Contains);
        return new Evidence(stage.Id, incident, stage.Attempt, failure.NoticedAt, failure.Sentence,
            [.. first.Select(r => OfRank(r.Node, r.Rank, "first to fail")), .. waited.Select(r => OfRank(r.Node, r.Rank, "waited for it"))],
            [.. on.Select(n => OfNode(n, seen))], OfSample(seen.Latest), seen.LongestStepSeconds);
    }

    /// <summary>Pods of other nodes than those that it is about say nothing of this failure.</summary>
    public Evidence With(ImmutableArray<PodEvidence> pods) => this with
    {
        Pods =
        [
            .. pods.Where(p => Nodes.Any(n => n.Node == p.Node.Name)).Take(1 + WaitingKept).Select(p => new PodWords(
                p.Node.Name, p.Pod, p.ExitCode, LastWords.Cut(p.Reason),
                [.. p.LogTail.Split('\n', StringSplitOptions.RemoveEmptyEntries).TakeLast(LinesKept).Select(LastWords.Cut)],
                [.. p.Events.TakeLast(LinesKept).Select(LastWords.Cut)])),
        ],
    };

    private static RankEvidence OfRank(NodeId node, RankStatus rank, string role)
    {
        bool exited = rank is { State: RankState.Exited, ExitCode: not null };
        var exit = exited ? RankEnd.Judge(rank) : null;
        string lost = rank.LostPeer is { } peer ? $"lost rank {peer} and waits for the gang to form again" : "";
        return new RankEvidence(rank.Rank, node.Name, role, rank.State.ToString().ToLowerInvariant(), rank.Pid, rank.Step, rank.Doing,
            exited ? RankEnd.HowItEnded(rank.ExitCode ?? 0) : lost, exit?.Class ?? "", exit?.Meaning.Cause ?? "", LastWords.Cut(rank.Error),
            [.. rank.LastLines.TakeLast(LinesKept).Select(LastWords.Cut)]);
    }

    private static NodeEvidence OfNode(NodeId node, Observation seen)
    {
        var known = seen.Cluster?.Nodes.FirstOrDefault(n => n.Id == node);
        var agent = seen.AgentOn(node);
        return new NodeEvidence(node.Name, known is null ? "unknown" : known.Health.ToString().ToLowerInvariant(), known?.Reason ?? "",
            agent?.Pid ?? 0, agent is null ? null : seen.SilenceOf(agent));
    }

    private static MetricEvidence? OfSample(StepSample? sample) => sample is null ? null : new MetricEvidence(
        sample.Step, sample.At, sample.Loss, sample.GradNorm, sample.LearningRate, sample.StepSeconds, sample.Extra);
}
