namespace DeepSeekOps.ControlPlane.Clusters.Generation;

/// <summary>What trying a checkpoint may take from a machine that is there to train.</summary>
internal sealed record GenerationLimits
{
    /// <summary>How long one text may be in the making.</summary>
    public TimeSpan TextWithin { get; init; } = TimeSpan.FromMinutes(2);

    /// <summary>How long a worker that was told to stop may go on, for one pass or the rest of a load, before it is killed.</summary>
    public TimeSpan StopWithin { get; init; } = TimeSpan.FromSeconds(2);

    /// <summary>How long the last checkpoint stays loaded after its last text.</summary>
    public TimeSpan KeepLoaded { get; init; } = TimeSpan.FromMinutes(5);

    /// <summary>How long a caller waits for the text before his: the one that he stopped himself is just ending.</summary>
    public TimeSpan WaitForTurn { get; init; } = TimeSpan.FromSeconds(1);
}
