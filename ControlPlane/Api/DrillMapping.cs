using DeepSeekOps.Decisions.Drills;
using Google.Protobuf.WellKnownTypes;
using Proto = DeepSeekOps.Contracts.Ops.V1;

namespace DeepSeekOps.ControlPlane.Api;

/// <summary>Drills as the messages that people and tools read, and what was injected back as a record.</summary>
internal static class DrillMapping
{
    private const int WordsMax = 4_096;

    public static Proto.DrillTruth ToProto(this DrillTruth truth, bool simulated)
    {
        var proto = new Proto.DrillTruth
        {
            Run = truth.Stage.Run, Stage = truth.Stage.Stage, Fault = truth.Fault.NameOf(), Attempt = truth.Attempt, Node = truth.Node,
            Step = truth.Step, At = truth.At.ToTimestamp(), IncidentsBefore = truth.IncidentsBefore, What = truth.What,
            Checkpoint = truth.Checkpoint, File = truth.File, Simulated = simulated,
        };
        if (truth.Outage is { } outage)
        {
            proto.Told = outage.Words;
            proto.ToldAfter = outage.ToldAfter is { } after ? Duration.FromTimeSpan(after) : null;
            proto.BackAt = outage.BackAt?.ToTimestamp();
        }

        if (truth.Rank is { } rank)
        {
            proto.Rank = rank;
        }

        return proto;
    }

    public static DrillTruth ToRecord(this Proto.DrillTruth truth) => new(
        ToFault(truth.Fault), Checked.Stage(truth.Run, truth.Stage), Checked.NotNegative(truth.Attempt, "attempt"),
        truth.HasRank ? Checked.NotNegative(truth.Rank, "rank") : null, truth.Node.Length > 0 ? Checked.Name(truth.Node, "node") : "",
        Checked.NotNegative(truth.Step, "step"), Checked.Time(truth.At, "at"),
        Checked.NotNegative(truth.IncidentsBefore, "incidentsBefore"), Checked.Words(truth.What, WordsMax))
    {
        Checkpoint = Checked.Words(truth.Checkpoint, WordsMax),
        File = Checked.Words(truth.File, WordsMax),
        Outage = ToFault(truth.Fault).IsOutage() ? new OutageSeen(
            truth.ToldAfter is null ? null : Checked.Span(truth.ToldAfter, "toldAfter"), Checked.Words(truth.Told, WordsMax),
            truth.BackAt is null ? null : Checked.Time(truth.BackAt, "backAt")) : null,
    };

    public static DrillFault ToFault(string name) => DrillFaults.Parse(name)
        ?? throw Checked.Invalid($"fault is '{Checked.Shown(name)}'; a drill knows {string.Join(", ", DrillFaults.Names)}.");

    public static Proto.DrillCard ToProto(this DrillCard card, bool simulated)
    {
        var proto = new Proto.DrillCard
        {
            Truth = card.Truth.ToProto(simulated), Over = card.Over, Incident = card.Incident, State = card.State,
            DetectedAfter = card.DetectedAfter is { } detected ? Duration.FromTimeSpan(detected) : null,
            NamedAfter = card.NamedAfter is { } named ? Duration.FromTimeSpan(named) : null,
            Cause = card.Cause, Sentence = card.Sentence, Grade = card.Grade, Because = card.Because, Verified = card.Verified,
            Phases = { card.Phases.Select(p => new Proto.IncidentPhase { Name = p.Name, Took = Duration.FromTimeSpan(p.Took) }) },
        };
        if (card.StepsLost is { } lost)
        {
            proto.StepsLost = lost;
        }

        return proto;
    }
}
