using DeepSeekOps.Decisions.Health;
using DeepSeekOps.Decisions.Spikes;

namespace DeepSeekOps.Decisions.Recovery;

/// <summary>What follows a failed attempt. Closed; a stage turns each into its own moves.</summary>
public abstract record Remedy
{
    private Remedy() { }

    /// <summary>No further launch. Only a person begins the stage again.</summary>
    public sealed record GiveUp(string Reason) : Remedy;

    /// <summary>The same pods launch new ranks.</summary>
    public sealed record InPlace(TimeSpan After) : Remedy;

    /// <summary>As in place, without the batch that broke, from the checkpoint before it.</summary>
    public sealed record WithoutBatch(NotFinite Broke, TimeSpan After) : Remedy;

    /// <summary>In place, from another checkpoint than the newest, and as the act says.</summary>
    public sealed record AfterRise(LossAct Act) : Remedy;

    /// <summary>The gang ends, and the next one avoids the node.</summary>
    public sealed record AnotherGang(NodeId Avoid, TimeSpan After) : Remedy;
}
