using System.Collections.Immutable;

namespace DeepSeekOps.Decisions.Health;

/// <summary>One optimizer step, as rank 0 told it.</summary>
/// <param name="Phase">Context phase or RL phase the step belongs to.</param>
/// <param name="Tokens">Tokens trained in the stage up to and including this step.</param>
/// <param name="Extra">Further series by name.</param>
public sealed record StepSample(
    long Step, DateTimeOffset At, string Phase, double Loss, double GradNorm, double LearningRate, long Tokens, double StepSeconds,
    int Attempt, ImmutableDictionary<string, double> Extra)
{
    /// <summary>False: the worker told that no token of the batch was to be learned, so loss, norm and pace are of nothing.</summary>
    public bool Learned => !(Extra.TryGetValue("answer_tokens", out double answers) && answers == 0);
}
