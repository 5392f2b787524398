using DeepSeekOps.Decisions.Drills;

namespace DeepSeekOps.ControlPlane.Clusters;

/// <summary>How a cluster that was started for drills injects a fault for real.</summary>
public sealed record DrillHands(Func<DrillPlan, CancellationToken, Task<DrillStruck>> Strike);

/// <summary>What was done.</summary>
/// <param name="What">In words, with pids and files.</param>
public sealed record DrillStruck(string What)
{
    /// <summary>Why it could not be done, with what to do instead; empty: it was done.</summary>
    public string Refusal { get; init; } = "";

    /// <summary>Nothing was done: only the rank itself can do it.</summary>
    public bool InsideRank { get; init; }

    /// <summary>Of a checkpoint that was damaged: its path under the root of checkpoints, and the file in it.</summary>
    public string Checkpoint { get; init; } = "";

    public string File { get; init; } = "";

    public static DrillStruck Refused(string why) => new("") { Refusal = why };
}
