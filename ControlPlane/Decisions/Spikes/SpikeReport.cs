using System.Collections.Immutable;
using System.Diagnostics;
using DeepSeekOps.Decisions.Recipes;

namespace DeepSeekOps.Decisions.Spikes;

/// <summary>What would be done.</summary>
/// <param name="Step">Of the sample at which it is decided.</param>
/// <param name="Policy">As a recipe names it: "rollback", "pause", …</param>
public sealed record SpikeAction(long Step, string Policy, string Reason);

/// <summary>A whole course of losses, watched from its beginning: what `dsops spikes` prints.</summary>
public sealed record SpikeReport(ImmutableArray<SpikeAlarm> Alarms, ImmutableArray<SpikeAction> Actions)
{
    public static SpikeReport Of(ReadOnlySpan<LossSample> samples, LossSpikePolicy policy = LossSpikePolicy.RollBack)
    {
        var detector = new SpikeDetector();
        var alarms = new List<SpikeAlarm>();
        var actions = ImmutableArray.CreateBuilder<SpikeAction>();
        // Where each flagged step's newest alarm stands, until it is judged.
        var waiting = new Dictionary<long, int>();
        foreach (ref readonly var sample in samples)
        {
            detector.Take(sample);
            foreach (var judged in detector.Judged)
            {
                if (waiting.Remove(judged.Step, out int at))
                {
                    alarms[at] = judged;
                }
            }

            foreach (var alarm in detector.Alarms)
            {
                if (alarm.Kind == SpikeKind.Suspected)
                {
                    waiting[alarm.Step] = alarms.Count;
                }

                alarms.Add(alarm);
            }

            foreach (var verdict in detector.Verdicts)
            {
                string reason = $"{verdict.Reason}; {WhatIsDone(policy, verdict)}";
                actions.Add(new SpikeAction(verdict.Step, LossSpikes.NameOf(policy), reason));
            }
        }

        foreach (var last in detector.Unjudged)
        {
            alarms[waiting[last.Step]] = last;
        }

        return new SpikeReport([.. alarms.Select(Left)], actions.DrainToImmutable());
    }

    private static string WhatIsDone(LossSpikePolicy policy, SpikeVerdict verdict)
    {
        string batches = verdict.Begins == verdict.Step ? $"batch of step {verdict.Step}"
            : $"batches of steps {verdict.Begins} to {verdict.Step}";
        string back = $"go back to the newest checkpoint before step {verdict.Begins}";
        string without = $"{back} and leave out the {batches}";
        return policy switch
        {
            LossSpikePolicy.Alert => $"reported only; 'rollback' would {without}",
            LossSpikePolicy.Skip => $"go on from the newest checkpoint and leave out the {batches}",
            LossSpikePolicy.RollBack => without,
            LossSpikePolicy.LowerRate => $"{back} and train on from there at a lower learning rate for a while",
            LossSpikePolicy.Pause => $"hold the run for a person; 'rollback' would {without}",
            _ => throw new UnreachableException($"policy {policy}"),
        };
    }

    /// <summary>The course went back, or on with other data, before it could be judged.</summary>
    private static SpikeAlarm Left(SpikeAlarm alarm) => alarm.Kind != SpikeKind.Suspected ? alarm
        : alarm with { Kind = SpikeKind.Spike, Reason = $"{alarm.Reason}; the run went back before it could be judged" };
}
