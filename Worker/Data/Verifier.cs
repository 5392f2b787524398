using System.Globalization;

namespace DeepSeekOps.Worker.Data;

/// <summary>A rule that tells a right answer from a wrong one: the rule-based reward of the report (section 5.2.1).</summary>
public enum VerifierRule
{
    /// <summary>The whole answer, blanks at its ends aside.</summary>
    Exact,

    /// <summary>The text in the last \boxed{…}.</summary>
    Boxed,

    /// <summary>The number in the last \boxed{…}.</summary>
    Arithmetic,
}

public static class Verifier
{
    private const string Box = "\\boxed{";

    public static VerifierRule Parse(string name) => name switch
    {
        "exact" => VerifierRule.Exact,
        "boxed" => VerifierRule.Boxed,
        "" or "arithmetic" => VerifierRule.Arithmetic,
        _ => throw new InvalidDataException($"There is no verifier '{name}'. Use arithmetic, boxed or exact."),
    };

    public static bool IsRight(VerifierRule rule, string output, string answer) => rule switch
    {
        VerifierRule.Exact => output.Trim() == answer,
        VerifierRule.Boxed => BoxedText(output) == answer,
        VerifierRule.Arithmetic => Number(BoxedText(output)) is { } found && found == Number(answer),
        _ => throw new ArgumentOutOfRangeException(nameof(rule)),
    };

    /// <summary>The answer has the form that fine-tuning teaches: one box, at the end.</summary>
    public static bool IsWellFormed(string output) =>
        BoxedText(output) is { Length: > 0 } && output.EndsWith('}')
        && output.IndexOf(Box, StringComparison.Ordinal) == output.LastIndexOf(Box, StringComparison.Ordinal);

    public static string? BoxedText(string output)
    {
        var start = output.LastIndexOf(Box, StringComparison.Ordinal);
        if (start < 0)
        {
            return null;
        }
        var end = output.IndexOf('}', start);
        return end < 0 ? null : output[(start + Box.Length)..end].Trim();
    }

    private static decimal? Number(string? text) =>
        decimal.TryParse(text, NumberStyles.Number, CultureInfo.InvariantCulture, out var number) ? number : null;
}
