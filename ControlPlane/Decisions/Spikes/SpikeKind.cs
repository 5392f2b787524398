namespace DeepSeekOps.Decisions.Spikes;

public enum SpikeKind
{
    /// <summary>Flagged, and not judged yet.</summary>
    Suspected = 0,
    /// <summary>One batch's own: the next sample was back.</summary>
    Blip = 1,
    /// <summary>Up for several samples, and back by itself.</summary>
    Spike = 2,
    /// <summary>It stayed up.</summary>
    Divergence = 3,
    /// <summary>The loss is NaN or infinite.</summary>
    Nan = 4,
    /// <summary>The gradient norm is NaN or infinite, or far above its median twice in a row; the loss is not up.</summary>
    GradientSpike = 5,
}

/// <summary>A sample that was flagged, at the sample itself; what became of it is told later.</summary>
/// <param name="Reason">Why, in words; once it is judged also what became of it.</param>
public sealed record SpikeAlarm(long Step, SpikeKind Kind, string Reason);

/// <summary>Something has to be done: the loss is not finite, or stayed up.</summary>
/// <param name="Step">Of the sample at which this was certain.</param>
/// <param name="FlaggedAt">Of the sample with which it began.</param>
public sealed record SpikeVerdict(long Step, long FlaggedAt, SpikeKind Kind, string Reason)
{
    /// <summary>Of before the flag.</summary>
    public double Level { get; init; }

    public double Spread { get; init; }

    /// <summary>The median of the newest losses.</summary>
    public double Now { get; init; }

    /// <summary>The step before which all is trusted: no batch from it on, and no checkpoint that has trained one.</summary>
    public long Begins => Math.Max(1, FlaggedAt - SpikeRule.BeginsBefore);
}
