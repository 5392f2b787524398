namespace DeepSeekOps.Worker.Data;

/// <param name="Question">What the user asks.</param>
/// <param name="Solution">A right answer as an assistant would write it, its result in a box.</param>
/// <param name="Answer">The result alone, which a verifier compares.</param>
public sealed record Problem(string Question, string Solution, string Answer);
