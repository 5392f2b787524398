using System.Collections.Immutable;

namespace DeepSeekOps.Decisions.Doctor;

/// <summary>How bad it is; the worse, the larger.</summary>
public enum FindingLevel
{
    Ok = 0,
    /// <summary>Nobody could see it. It is neither good nor bad.</summary>
    NotKnown = 1,
    /// <summary>It works, and will hurt.</summary>
    Warning = 2,
    /// <summary>It does not work.</summary>
    Fault = 3,
}

/// <summary>One check of an installation: what was found, and what to do.</summary>
/// <param name="Check">"data.key": scripts go by it, so it is never renamed.</param>
/// <param name="Found">A sentence without its full stop.</param>
/// <param name="Fix">A whole sentence; empty where nothing has to be done.</param>
public sealed record Finding(string Check, FindingLevel Level, string Found, string Fix)
{
    public static Finding Ok(string check, string found) => new(check, FindingLevel.Ok, found, "");

    public static Finding NotKnown(string check, string found, string fix = "") => new(check, FindingLevel.NotKnown, found, fix);

    public static Finding Warning(string check, string found, string fix) => new(check, FindingLevel.Warning, found, fix);

    public static Finding Fault(string check, string found, string fix) => new(check, FindingLevel.Fault, found, fix);
}

/// <summary>All that was found, in the order in which it is told.</summary>
public sealed record Diagnosis(ImmutableArray<Finding> Findings)
{
    public int Count(FindingLevel level) => Findings.Count(f => f.Level == level);

    public FindingLevel Worst => Findings.Select(f => f.Level).DefaultIfEmpty().Max();

    /// <summary>"2 faults, 1 warning, 3 not known, 21 ok".</summary>
    public string InWords => string.Join(", ", new[]
    {
        Words.Count(Count(FindingLevel.Fault), "fault", "faults"), Words.Count(Count(FindingLevel.Warning), "warning", "warnings"),
        $"{Count(FindingLevel.NotKnown)} not known", $"{Count(FindingLevel.Ok)} ok",
    });

    /// <summary>As people and scripts read it.</summary>
    public static string Name(FindingLevel level) => level switch
    {
        FindingLevel.Ok => "ok",
        FindingLevel.NotKnown => "not known",
        FindingLevel.Warning => "warning",
        _ => "fault",
    };
}
