using DeepSeekOps.Decisions.Checkpoints;

namespace DeepSeekOps.Decisions.Runs;

/// <summary>The moves that <see cref="RunPlanner"/> and <see cref="RunCommands"/> put together.</summary>
public static class RunTransitions
{
    /// <param name="kind">Of the event that tells it; null: the stage tells of it itself.</param>
    public static RunDecision To(
        this Run run, RunPhase phase, string reason, DateTimeOffset now, string? kind = null, EventLevel level = EventLevel.Info,
        TimeSpan? took = null)
    {
        var next = run with { Phase = phase, Reason = reason };
        return new RunDecision(kind is null ? next : next.Say(now, kind, level, reason, took), [], reason);
    }

    public static Run Say(this Run run, DateTimeOffset now, string kind, EventLevel level, string text, TimeSpan? took = null) => run with
    {
        Outbox = run.Outbox.Add(new RunEvent(now, run.Name, "", 0, kind, level, text) { Took = took }),
    };

    public static int IndexOf(this Run run, string stage)
    {
        for (int i = 0; i < run.Stages.Length; i++)
        {
            if (run.Stages[i].Work.Name == stage)
            {
                return i;
            }
        }

        throw new KeyNotFoundException($"Run '{run.Name}' has no stage '{stage}'.");
    }

    public static CheckpointRef? FinalOf(this Run run, string stage) => run.Stages[run.IndexOf(stage)].Final;
}
