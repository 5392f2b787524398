namespace DeepSeekOps.Decisions.Recipes;

/// <summary>AdamW and the clip, by default as in section 4.2 of the report.</summary>
public sealed record AdamW
{
    public double Beta1 { get; init; } = 0.9;

    public double Beta2 { get; init; } = 0.95;

    public double Epsilon { get; init; } = 1e-8;

    public double WeightDecay { get; init; } = 0.1;

    /// <summary>Largest norm of the whole gradient.</summary>
    public double GradClip { get; init; } = 1.0;

    /// <summary>Moments in BF16 (report section 3.3.3); else FP32.</summary>
    public bool Bf16Moments { get; init; }
}
