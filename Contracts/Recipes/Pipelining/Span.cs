namespace DeepSeekOps.Recipes.Pipelining;

/// <summary>What a rank did from one moment to another; spans of one rank lie within each other or apart.</summary>
/// <param name="Kind">One of <see cref="SpanKinds"/>.</param>
/// <param name="Name">What of that kind, in words.</param>
/// <param name="Began">In nanoseconds of a clock that all processes of a machine share (CLOCK_MONOTONIC).</param>
public readonly record struct Span(string Kind, string Name, long Began, long Ended)
{
    public double Seconds => (Ended - Began) / 1e9;
}

public static class SpanKinds
{
    public const string Step = "step";
    public const string Forward = "forward";
    public const string Backward = "backward";
    public const string BackwardInputs = "backward_inputs";
    public const string BackwardWeights = "backward_weights";
    public const string Update = "update";
    public const string Collective = "collective";
    public const string Send = "send";
    public const string Receive = "receive";

    /// <summary>Answers that are drawn, of a stage that learns from its own.</summary>
    public const string Rollout = "rollout";

    /// <summary>Between two steps: a held-out measurement.</summary>
    public const string Evaluation = "evaluation";

    /// <summary>Between two steps: what a save keeps it from.</summary>
    public const string Save = "save";

    /// <summary>Of a pass through the model's layers.</summary>
    public static bool IsTask(string kind) => kind is Forward or Backward or BackwardInputs or BackwardWeights;
}
