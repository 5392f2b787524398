namespace DeepSeekOps.Decisions.Health;

/// <summary>What was seen in the losses of a stage, worth a line on its timeline.</summary>
/// <param name="Step">Of the flag, also where it is told what became of it.</param>
/// <param name="Kind">"loss-flagged", "loss-judged", "loss-diverged".</param>
public sealed record LossFinding(DateTimeOffset At, int Attempt, long Step, string Kind, EventLevel Level, string Text);
