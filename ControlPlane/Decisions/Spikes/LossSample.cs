namespace DeepSeekOps.Decisions.Spikes;

/// <summary>What a step told.</summary>
/// <param name="GradNorm">Before clipping. Null: not told.</param>
/// <param name="Regime">
/// Context length, batch size, data and whatever else is changed on purpose, in words. Another one than before: level and spread are learnt
/// anew.
/// </param>
public readonly record struct LossSample(long Step, double Loss, double? GradNorm = null, string Regime = "");
