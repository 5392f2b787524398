using System.Globalization;
using DeepSeekOps.Decisions.Simulation;

namespace DeepSeekOps.ControlPlane.Cli.Verbs;

/// <summary>
/// Means with their 95 % confidence intervals. An interval that goes beyond what the figure can be says only that seeds are too few.
/// </summary>
internal static class ComparisonWords
{
    private const string TooFew = " (too few seeds)";

    /// <summary>Of a whole, in percent.</summary>
    public static string Share(Estimate? estimate) => estimate is null ? "-"
        : estimate.Mean - (estimate.HalfWidth ?? 0) < 0 || estimate.Mean + (estimate.HalfWidth ?? 0) > 1
            ? In(estimate.Mean * 100, "0.00") + " %" + TooFew
            : In(estimate.Mean * 100, "0.00") + Half(estimate, 100, "0.00") + " %";

    /// <summary>Of something that cannot be below zero.</summary>
    public static string Amount(Estimate? estimate, string format, string unit) => estimate is null ? "-"
        : estimate.HalfWidth > estimate.Mean ? In(estimate.Mean, format) + unit + TooFew
        : In(estimate.Mean, format) + Half(estimate, 1, format) + unit;

    /// <summary>Over another figure; an interval across zero says that none is better.</summary>
    public static string Difference(Estimate? estimate) =>
        estimate is null ? "-" : In(estimate.Mean, "+#,0;-#,0;0") + Half(estimate, 1, "#,0");

    public static IEnumerable<string> GaveUp(PolicyComparison comparison) => comparison.Policies.Where(p => !p.GaveUp.IsEmpty).Select(p =>
        $"{p.Name}: {p.GaveUp.Length} of {comparison.Seeds.Length} runs gave up "
            + $"(seed {string.Join(", ", p.GaveUp)}) and count in no mean.");

    private static string Half(Estimate estimate, double scale, string format) =>
        estimate.HalfWidth is { } half ? " ± " + In(half * scale, format) : "";

    private static string In(double value, string format) => value.ToString(format, CultureInfo.InvariantCulture);
}
