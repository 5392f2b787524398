namespace DeepSeekOps.Decisions.Health;

/// <summary>Who may speak for a node of a stage: one agent of the gang that is there. Its token said of which gang it is.</summary>
public static class AgentFence
{
    /// <summary>
    /// An agent beats each second, also while it waits; after ten missed beats another one of its gang may take its place. Sooner there are
    /// two that speak for one node, of which the later one is no heir: an agent that ended is followed by another gang.
    /// </summary>
    public static TimeSpan HeirAfter { get; } = TimeSpan.FromSeconds(10);

    /// <summary>Why the agent is not listened to. Null: it is.</summary>
    /// <param name="gang">That its token is for; 0 where none was asked for.</param>
    public static string? Refusal(Vitals vitals, WatchedStage stage, NodeId node, string agentId, int attempt, int gang, Instant now)
    {
        if (stage.Gang is not { } present)
        {
            // Nobody is told anything but to stop, and what it brings is of its own gang's attempts, or steps of earlier ones: the door saw
            // to it.
            return null;
        }

        if (gang > 0 && gang < present.Id.Number && attempt >= present.Id.Number)
        {
            return $"this agent is of gang {gang} of {stage.Id}; attempt {attempt} is of gang {present.Id.Number}";
        }

        bool another = vitals.On(node) is { } known && known.AgentId != agentId && known.Attempt >= present.Id.Number
            && attempt >= present.Id.Number
            && now.Since(known.Heard) < HeirAfter;
        return another ? $"{node} of {stage.Id} has an agent already, and it beats" : null;
    }

    /// <summary>Steps that the stage does not have are nobody's: a later one would hide all real ones.</summary>
    public static AgentBeat Within(AgentBeat beat, WatchedStage stage)
    {
        if (beat.Samples.IsEmpty && beat.Checkpoints.IsEmpty)
        {
            return beat;
        }

        long last = stage.TotalSteps;
        bool fits = last <= 0 || (beat.Samples.All(s => s.Step <= last) && beat.Checkpoints.All(c => c.Step <= last));
        return fits ? beat : beat with
        {
            Samples = [.. beat.Samples.Where(s => s.Step <= last)],
            Checkpoints = [.. beat.Checkpoints.Where(c => c.Step <= last)],
        };
    }
}
