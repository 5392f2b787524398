using DeepSeekOps.ControlPlane.Storage;
using DeepSeekOps.Decisions.Incidents;
using Google.Protobuf.WellKnownTypes;
using Proto = DeepSeekOps.Contracts.Ops.V1;

namespace DeepSeekOps.ControlPlane.Api;

/// <summary>Incidents and their evidence as the messages that people and tools read.</summary>
internal static class IncidentMapping
{
    public static Proto.Incident ToProto(this GradedIncident graded)
    {
        var proto = ToProto(graded.Incident);
        if (graded.Grade is { } grade)
        {
            proto.Grade = grade;
        }

        if (graded.Incident.StepsLost() is { } lost)
        {
            proto.StepsLost = lost;
        }

        return proto;
    }

    private static Proto.Incident ToProto(Incident incident) => Traced(new()
    {
        Run = incident.Stage.Run, Stage = incident.Stage.Stage, Number = incident.Number, State = NameOf(incident.State),
        Sentence = incident.Sentence, OpenedAt = incident.OpenedAt.ToTimestamp(), HappenedAt = incident.HappenedAt?.ToTimestamp(),
        EndedAt = incident.EndedAt?.ToTimestamp(), Ranks = incident.Ranks, Diagnosis = incident.Diagnosis?.ToProto(),
        Decision = incident.Decision?.ToProto(), Outcome = incident.Outcome?.ToProto(),
        Phases = { incident.Phases.Select(p => new Proto.IncidentPhase { Name = p.Name, Took = Duration.FromTimeSpan(p.Took) }) },
        Steps = { incident.Steps.Select(ToProto) },
        FailedAttempts = { incident.FailedAttempts }, ToldAfterwards = incident.ToldAfterwards,
        SuspectedNode = incident.SuspectedNode, TakenBy = incident.TakenBy, Undone = incident.Undone,
        RefusedCheckpoints =
        {
            incident.RefusedCheckpoints.Select(r => new Proto.RefusedPath { Path = r.Path, Reason = r.Reason }),
        },
    }, incident);

    private static Proto.Incident Traced(Proto.Incident proto, Incident incident)
    {
        var spans = RecoveryTrace.Of(incident);
        proto.TraceId = spans.IsEmpty ? incident.TraceId : RecoveryTrace.IdOf(incident);
        proto.Spans.Add(spans.Select(ToProto));
        proto.Spreads.Add((incident.Launch?.Spreads ?? []).Select(s => new Proto.RankSpread
        {
            What = s.What, Ranks = s.Ranks, Median = Duration.FromTimeSpan(s.Median), Longest = Duration.FromTimeSpan(s.Longest),
            Rank = s.Rank,
        }));
        return proto;
    }

    private static Proto.RecoverySpan ToProto(RecoverySpan span)
    {
        var proto = new Proto.RecoverySpan
        {
            Id = span.Id, Parent = span.Parent, Name = span.Name, BeganAt = span.Began.ToTimestamp(),
            Took = Duration.FromTimeSpan(span.Took), Node = span.Node,
        };
        if (span.Rank is { } rank)
        {
            proto.Rank = rank;
        }

        return proto;
    }

    public static Proto.NodeIncident ToProto(this NodeIncident incident) => new()
    {
        Node = incident.Node.Name, Number = incident.Number, State = NameOf(incident.State), Sentence = incident.Sentence,
        OpenedAt = incident.OpenedAt.ToTimestamp(), HappenedAt = incident.HappenedAt.ToTimestamp(),
        BackAt = incident.BackAt?.ToTimestamp(), EndedAt = incident.EndedAt?.ToTimestamp(), Cause = incident.Cause,
        Evidence = incident.Evidence, Test = incident.Test is { } test ? ClusterMapping.ToProto(test) : null,
        Held = { incident.Held.Select(s => s.ToString()) }, Done = incident.Done, Slots = incident.Slots,
        Steps = { incident.Steps.Select(ToProto) },
    };

    private static Proto.IncidentStep ToProto(IncidentStep step) =>
        new() { At = step.At.ToTimestamp(), State = NameOf(step.State), Text = step.Text };

    public static Proto.PersonsHold ToProto(this PersonsHold hold) => new()
    {
        By = hold.By, Reason = hold.Why, Since = hold.Since.ToTimestamp(), Until = hold.Until?.ToTimestamp(), Stage = hold.Stage,
        Number = hold.Incident, Taken = hold.Taken, Words = hold.InWords,
    };

    public static Proto.UndoAnswer ToProto(this UndoAnswer answer) => new() { Possible = answer.Can, Words = answer.Words };

    public static string NameOf(IncidentState state) => state switch
    {
        IncidentState.Suspected => "suspected",
        IncidentState.Diagnosed => "diagnosed",
        IncidentState.Acting => "acting",
        IncidentState.Verifying => "verifying",
        IncidentState.Closed => "closed",
        IncidentState.NeedsHuman => "needs-human",
        _ => throw new System.Diagnostics.UnreachableException($"state {state}"),
    };

    public static Proto.Evidence ToProto(this Evidence evidence)
    {
        var proto = new Proto.Evidence
        {
            Attempt = evidence.Attempt, At = evidence.At.ToTimestamp(), Sentence = evidence.Sentence,
            Ranks = { evidence.Ranks.Select(ToProto) }, Nodes = { evidence.Nodes.Select(ToProto) },
            Last = evidence.Last?.ToProto(), Pods = { evidence.Pods.Select(ToProto) },
        };
        if (evidence.LongestStepSeconds is { } longest)
        {
            proto.LongestStepSeconds = longest;
        }

        return proto;
    }

    private static Proto.Diagnosis ToProto(this Diagnosis diagnosis)
    {
        var proto = new Proto.Diagnosis
        {
            Cause = diagnosis.Cause, Sentence = diagnosis.Sentence, ExitClass = diagnosis.Class, Fix = diagnosis.Fix, Line = diagnosis.Line,
            Node = diagnosis.Node, Attempt = diagnosis.Attempt, Step = diagnosis.Step,
            TheoriesRefused = { diagnosis.Refused.Select(r => new Proto.RefusedIdea { Idea = r.Theory, Because = r.Because }) },
        };
        if (diagnosis.Rank is { } rank)
        {
            proto.Rank = rank;
        }

        return proto;
    }

    private static Proto.IncidentDecision ToProto(this IncidentDecision decision) => new()
    {
        Remedy = decision.Remedy, Rung = decision.Rung, GoesOnFrom = decision.GoesOnFrom, At = decision.At.ToTimestamp(),
        AlternativesRefused = { decision.Refused.Select(r => new Proto.RefusedIdea { Idea = r.Remedy, Because = r.Because }) },
    };

    private static Proto.IncidentOutcome ToProto(this IncidentOutcome outcome)
    {
        var proto = new Proto.IncidentOutcome
        {
            FirstStepAt = outcome.FirstStepAt.ToTimestamp(), FirstStep = outcome.FirstStep, Compared = outcome.Compared,
            LargestDifference = outcome.LargestDifference, Proof = outcome.Proof, BackAt = outcome.BackAt?.ToTimestamp(),
        };
        if (outcome.FirstLoss is { } first)
        {
            proto.FirstLoss = first;
        }

        if (outcome.RecordedLoss is { } recorded)
        {
            proto.RecordedLoss = recorded;
        }

        if (outcome.GpuHours is { } hours)
        {
            proto.GpuHours = hours;
        }

        return proto;
    }

    private static Proto.RankEvidence ToProto(RankEvidence rank) => new()
    {
        Rank = rank.Rank, Node = rank.Node, Role = rank.Role, State = rank.State, Pid = rank.Pid, Step = rank.Step, Doing = rank.Doing,
        HowItEnded = rank.HowItEnded, ExitClass = rank.Class, ExitCause = rank.Cause, Said = rank.Said, Lines = { rank.Lines },
    };

    private static Proto.PodWords ToProto(PodWords pod)
    {
        var proto = new Proto.PodWords
        {
            Node = pod.Node, Pod = pod.Pod, Reason = pod.Reason, Lines = { pod.Lines }, Events = { pod.Events },
        };
        if (pod.ExitCode is { } code)
        {
            proto.ExitCode = code;
        }

        return proto;
    }

    private static Proto.NodeEvidence ToProto(NodeEvidence node) => new()
    {
        Node = node.Node, Health = node.Health, Reason = node.Reason, AgentPid = node.AgentPid,
        HeardAgo = node.HeardAgo is { } ago ? Duration.FromTimeSpan(ago) : null,
    };

    private static Proto.MetricEvidence ToProto(this MetricEvidence last)
    {
        var proto = new Proto.MetricEvidence
        {
            Step = last.Step, At = last.At.ToTimestamp(), Loss = last.Loss, GradNorm = last.GradNorm, LearningRate = last.LearningRate,
            StepSeconds = last.StepSeconds,
        };
        proto.More.Add(last.More.ToDictionary(m => m.Key, m => m.Value));
        return proto;
    }
}
