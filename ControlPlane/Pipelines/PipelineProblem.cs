namespace DeepSeekOps.ControlPlane.Pipelines;

public enum ProblemSeverity
{
    Error = 0,
    /// <summary>The pipeline runs, but probably not as meant.</summary>
    Warning = 1,
}

/// <summary>One thing wrong with a pipeline: where, the value given, and what to write instead.</summary>
/// <param name="Line">From 1.</param>
/// <param name="Field">Path of the field: "stages[1].sequenceLength".</param>
public sealed record PipelineProblem(
    ProblemSeverity Severity, int Line, int Column, string Field, string Value, string Message, string Fix)
{
    /// <summary>"12:5 stages[0].tokens: 'abc' is not a whole number. Write for example 14.8T." for a terminal.</summary>
    public override string ToString() => $"{Line}:{Column} {Field}: {Message}{(Fix.Length == 0 ? "" : " " + Fix)}";
}
