using System.Collections.Immutable;
using System.Diagnostics;
using System.Globalization;
using DeepSeekOps.Decisions.Health;
using DeepSeekOps.Decisions.Incidents;
using DeepSeekOps.Decisions.Stages;

namespace DeepSeekOps.Decisions.Drills;

/// <summary>How well a fault was met: a function of what was injected and of the incidents that were recorded since.</summary>
/// <param name="Over">Nothing of it will change any more.</param>
/// <param name="Incident">Number of the incident that is scored; 0: none has been opened.</param>
/// <param name="DetectedAfter">From the fault to the first doubt. Null: there was none.</param>
/// <param name="NamedAfter">From the fault to the cause that stands in the incident now. Null: it has none.</param>
/// <param name="Grade">100: cause and culprit; 65: the cause alone; 35: it was noticed, under another cause; 0: nobody noticed.</param>
/// <param name="Because">Why this grade.</param>
/// <param name="Verified">It trains as before, and that was measured.</param>
/// <param name="StepsLost">Steps that were made and had to be made again. Null: not known.</param>
public sealed record DrillCard(
    DrillTruth Truth, bool Over, int Incident, string State, TimeSpan? DetectedAfter, TimeSpan? NamedAfter, string Cause, string Sentence,
    int Grade, string Because, bool Verified, ImmutableArray<IncidentPhase> Phases, long? StepsLost)
{
    public const int Right = 100;
    public const int CauseAlone = 65;
    public const int Noticed = 35;

    /// <summary>
    /// A rate of thirty times is a divergence within a few steps, and steps may be made until a rank is told: a flag that comes later than
    /// this would be of something else.
    /// </summary>
    private const int SpikeWithin = 100;

    public static DrillCard Of(DrillTruth truth, ImmutableArray<Incident> incidents)
    {
        var since = incidents.Where(i => i.Stage == truth.Stage && i.Number > truth.IncidentsBefore).OrderBy(i => i.Number).ToList();
        // A doubt that came to nothing is not the fault where another incident tells of one.
        if ((since.Find(i => i.Diagnosis is not null) ?? since.FirstOrDefault()) is not { } incident)
        {
            return new DrillCard(truth, false, 0, "", null, null, "", "", 0, "no incident has been opened", false, [], null);
        }

        var (grade, because) = Graded(truth, incident);
        bool verified = truth.Fault == DrillFault.LoseContact ? incident is { State: IncidentState.Closed, Diagnosis: null }
            : incident is { State: IncidentState.Closed, Outcome.BackAt: not null };
        return new DrillCard(truth, !incident.Open, incident.Number, incident.State.ToString().ToLowerInvariant(),
            Since(truth, incident.OpenedAt), Since(truth, incident.Diagnosis?.At), incident.Diagnosis?.Cause ?? "", incident.Sentence,
            grade, because, verified, incident.Phases, incident.StepsLost());
    }

    private static TimeSpan? Since(DrillTruth truth, DateTimeOffset? at) =>
        at is not { } then ? null : then < truth.At ? TimeSpan.Zero : then - truth.At;

    private static (int Grade, string Because) Graded(DrillTruth truth, Incident incident) => truth.Fault switch
    {
        DrillFault.KillRank => ByRank(truth, incident, FailureCause.RankExited),
        DrillFault.Hang => ByRank(truth, incident, FailureCause.RankHung),
        DrillFault.Slow => ByRank(truth, incident, Named(incident, SlowRank.Cause)),
        DrillFault.KillAgent => ByNode(truth, incident, FailureCause.AgentLost),
        // That a machine broke nobody can know who only sees its processes end.
        DrillFault.KillNode => ByNode(truth, incident, FailureCause.AgentLost, FailureCause.NodeLost),
        // After the gradients are summed up all ranks see it: there is no culprit to name.
        DrillFault.NotANumber => Found(incident, FailureCause.NotFinite) is null ? Other(incident) : (Right, "the cause is right"),
        DrillFault.Spike => Spiked(truth, incident),
        DrillFault.CorruptCheckpoint => Corrupt(truth, incident),
        DrillFault.LoseContact => Lost(truth, incident),
        DrillFault.FillDisk => Full(truth, Named(incident, StageFullDisk.Cause), incident),
        DrillFault.KillControlPlane or DrillFault.DatabaseDown => throw new UnreachableException("OutageCard scores it"),
        _ => throw new UnreachableException($"fault {truth.Fault}"),
    };

    private static (int, string) ByRank(DrillTruth truth, Incident incident, FailureCause cause) =>
        ByRank(truth, incident, Found(incident, cause));

    private static (int, string) ByRank(DrillTruth truth, Incident incident, Diagnosis? named) =>
        named is not { } found ? Other(incident)
        : found.Rank == truth.Rank ? (Right, "cause and rank are right")
        : (CauseAlone, $"the cause is right, the rank is not: {RankOf(found)} instead of {truth.Rank}");

    private static (int, string) ByNode(DrillTruth truth, Incident incident, params FailureCause[] causes) =>
        Found(incident, causes) is not { } found ? Other(incident)
        : found.Node == truth.Node ? (Right, "cause and node are right")
        : (CauseAlone, $"the cause is right, the node is not: {found.Node} instead of {truth.Node}");

    private static (int, string) Spiked(DrillTruth truth, Incident incident) =>
        Found(incident, FailureCause.LossRose, FailureCause.NotFinite) is not { } found ? Other(incident)
        : found.Step >= truth.Step && found.Step <= truth.Step + SpikeWithin ? (Right, "the cause is right, and so is when it began")
        : (CauseAlone, $"the cause is right, but at step {found.Step}; it was injected after step {truth.Step}");

    private static (int, string) Corrupt(DrillTruth truth, Incident incident)
    {
        var named = incident.RefusedCheckpoints.FirstOrDefault(r => r.Path == truth.Checkpoint);
        return named is null ? Other(incident)
            : named.Reason.Contains(truth.File, StringComparison.Ordinal) ? (Right, $"the checkpoint and {truth.File} in it are named")
            : (CauseAlone, $"the checkpoint is named, {truth.File} in it is not: {named.Reason}");
    }

    private static (int, string) Full(DrillTruth truth, Diagnosis? named, Incident incident) => named is null ? Other(incident)
        : named.Sentence.Contains(truth.File, StringComparison.Ordinal) ? (Right, $"the disk is named, and that it is {truth.File}")
        : (CauseAlone, $"a full disk is named, {truth.File} is not: {named.Sentence}");

    private static (int, string) Lost(DrillTruth truth, Incident incident) =>
        incident.Diagnosis is not null ? Other(incident)
        : incident.SuspectedNode == truth.Node ? (Right, "the silence and its node are reported, and nothing was ended for it")
        : (CauseAlone, "a silence is reported, but not whose");

    private static Diagnosis? Found(Incident incident, params FailureCause[] causes) =>
        Named(incident, [.. causes.Select(c => c.InWords())]);

    private static Diagnosis? Named(Incident incident, params string[] causes) =>
        incident.Diagnosis is { } found && causes.Contains(found.Cause) ? found : null;

    private static (int, string) Other(Incident incident) => (Noticed,
        incident.Diagnosis is { } found ? $"it was noticed as '{found.Cause}'" : "it was noticed, and has no cause yet");

    private static string RankOf(Diagnosis found) => found.Rank?.ToString(CultureInfo.InvariantCulture) ?? "none";
}
