using System.Globalization;
using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.ControlPlane.Client;
using Sentences = DeepSeekOps.Decisions.Words;

namespace DeepSeekOps.ControlPlane.Cli.Verbs;

/// <summary>`dsops why RUN`: one incident on a terminal, its sentence first.</summary>
internal sealed class IncidentText(Terminal terminal)
{
    /// <summary>Of 200 that are kept: a terminal's half. `--json` has all.</summary>
    private const int LinesShown = 12;

    public static void Write(Terminal terminal, IncidentReport report)
    {
        var (text, incident) = (new IncidentText(terminal), report.Incident);
        text.Say(0, $"{(report.Simulated ? "Simulated: " : "")}{incident.Sentence}");
        string afterwards = incident.ToldAfterwards.Length > 0 ? $"; reported afterwards: {incident.ToldAfterwards}" : "";
        text.Say(2, $"{incident.Run}/{incident.Stage}/{Whole(incident.Number)}, {incident.State}{afterwards}");
        if (incident.Diagnosis is { } diagnosis)
        {
            text.Write(diagnosis);
        }

        if (incident.Decision is { } decision)
        {
            text.Say(2, $"decided: {decision.Remedy} (rung '{decision.Rung}'), from step {Whole(decision.GoesOnFrom)}");
            text.Ideas("rather than", decision.AlternativesRefused);
        }

        if (report.Hold is { } hold)
        {
            text.Say(2, $"{hold.Words}{(hold.Reason.Length > 0 ? $": {hold.Reason}" : "")}");
        }

        if (report.Undo is { } undo)
        {
            string verb = $"dsops incidents undo {incident.Run}/{incident.Stage}/{Whole(incident.Number)}";
            text.Say(2, undo.Possible ? $"can be taken back (`{verb}`): {undo.Words}" : $"cannot be taken back: {undo.Words}");
        }

        foreach (var refused in incident.RefusedCheckpoints)
        {
            text.Say(2, $"not used again: {refused.Path}: {refused.Reason}");
        }

        if (incident.Outcome is { } outcome)
        {
            text.Write(report, incident, outcome);
        }

        if (incident.HasGrade)
        {
            text.Say(2, $"graded {Whole(incident.Grade)} of 100 by a person");
        }

        if (report.Evidence is { } evidence)
        {
            text.Write(evidence);
        }
    }

    private void Write(Diagnosis diagnosis)
    {
        string @class = diagnosis.ExitClass.Length > 0 ? $" ({diagnosis.ExitClass})" : "";
        Say(2, $"cause: {diagnosis.Cause}{@class}: {diagnosis.Sentence}");
        if (diagnosis.Line.Length > 0)
        {
            Say(2, $"said by: {diagnosis.Line}");
        }

        if (diagnosis.Fix.Length > 0)
        {
            Say(2, $"fix: {diagnosis.Fix}");
        }

        Ideas("it was not", diagnosis.TheoriesRefused);
    }

    private void Write(IncidentReport report, Incident incident, IncidentOutcome outcome)
    {
        string phases = string.Join(", ", incident.Phases.Select(p => $"{p.Name} {Words.Time(p.Took.ToTimeSpan())}"));
        Say(2, $"outcome: first new step {Whole(outcome.FirstStep)} ({phases})");
        Write(incident);
        if (outcome.Compared > 0)
        {
            string apart = outcome.LargestDifference == 0 ? "all equal to the last bit"
                : $"largest difference {outcome.LargestDifference.ToString("0.##e-0", CultureInfo.InvariantCulture)}";
            Say(4, $"{Whole(outcome.Compared)} {(outcome.Compared == 1 ? "step" : "steps")} made twice; loss of the first "
                + $"{Words.Figure(outcome.FirstLoss)}, recorded {Words.Figure(outcome.RecordedLoss)}; {apart}");
        }

        if (outcome.HasGpuHours)
        {
            string money = report.HasDollarsPerGpuHour ? CostText.Money(outcome.GpuHours * report.DollarsPerGpuHour) : "price not set";
            Say(4, $"cost: {Sentences.GpuHours(outcome.GpuHours)} GPU-hours of {Whole(incident.Ranks)} ranks"
                + $" ({money})");
        }
    }

    /// <summary>Who did what, from the failure on: the trace that is exported, less what its phases have said.</summary>
    private void Write(Incident incident)
    {
        if (incident.Spans.FirstOrDefault(s => s.Name == "launch") is not { } launch)
        {
            return;
        }

        var began = incident.Spans[0].BeganAt.ToDateTimeOffset();
        var depths = new Dictionary<string, int> { [launch.Id] = 0 };
        Say(2, $"trace {incident.TraceId}: who did what, in seconds after the failure");
        foreach (var span in incident.Spans.Where(s => depths.ContainsKey(s.Parent)))
        {
            int depth = depths[span.Id] = depths[span.Parent] + 1;
            double at = (span.BeganAt.ToDateTimeOffset() - began).TotalSeconds;
            Say(4, string.Create(CultureInfo.InvariantCulture, $"{at,8:0.000} {new string(' ', 2 * (depth - 1))}{span.Name}: ")
                + Words.Time(span.Took.ToTimeSpan()));
        }

        foreach (var spread in incident.Spreads.Where(s => s.Ranks > 1))
        {
            Say(4, $"{spread.What} of {Whole(spread.Ranks)} ranks: median {Words.Time(spread.Median.ToTimeSpan())}, longest "
                + $"{Words.Time(spread.Longest.ToTimeSpan())} (rank {Whole(spread.Rank)})");
        }
    }

    private void Write(Evidence evidence)
    {
        Say(2, $"evidence of attempt {Whole(evidence.Attempt)}:");
        foreach (var node in evidence.Nodes)
        {
            string heard = node.HeardAgo is { } ago ? $"agent heard {Words.Time(ago.ToTimeSpan())} before" : "agent never heard";
            string reason = node.Reason.Length > 0 && node.Reason != node.Health ? $" ({node.Reason})" : "";
            Say(4, $"{node.Node}: {node.Health}{reason}, {heard}");
        }

        foreach (var rank in evidence.Ranks)
        {
            string how = rank.HowItEnded.Length > 0 ? rank.HowItEnded : rank.State;
            string lines = $"{Whole(rank.Lines.Count)} {(rank.Lines.Count == 1 ? "line" : "lines")} kept";
            Say(4, $"rank {Whole(rank.Rank)} on {rank.Node}, {rank.Role}: {how}, step {Whole(rank.Step)}, {lines}");
        }

        foreach (var pod in evidence.Pods)
        {
            string code = pod.HasExitCode ? $" (exit {Whole(pod.ExitCode)})" : "";
            Say(4, $"pod {pod.Pod} on {pod.Node}{code}: {pod.Reason}");
            foreach (string told in pod.Events.TakeLast(3))
            {
                Say(6, $"| {told}");
            }
        }

        foreach (string line in evidence.Ranks.FirstOrDefault()?.Lines.TakeLast(LinesShown) ?? [])
        {
            Say(6, $"| {line}");
        }
    }

    private void Ideas(string name, IEnumerable<RefusedIdea> ideas)
    {
        foreach (var idea in ideas)
        {
            Say(4, $"{name} '{idea.Idea}': {idea.Because}");
        }
    }

    private void Say(int indent, string text)
    {
        foreach (string line in Columns.Hang(text, Math.Max(40, terminal.Width), indent, 4))
        {
            terminal.Output.WriteLine(line);
        }
    }

    private static string Whole(long value) => value.ToString(CultureInfo.InvariantCulture);
}
