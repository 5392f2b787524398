using System.Collections.Immutable;
using System.Globalization;
using DeepSeekOps.Decisions.Recipes;
using DeepSeekOps.Decisions.Stages;

namespace DeepSeekOps.Decisions.Runs;

/// <summary>Whether what was measured lets a stage begin.</summary>
internal static class RunGates
{
    /// <summary>The first gate that does not hold, in numbers. Null: all do.</summary>
    public static string? Refusal(StageSpec stage, Run run, ImmutableArray<StageReport?> reports)
    {
        foreach (var gate in stage.Gates.OfType<Gate.Metric>())
        {
            var view = reports[run.IndexOf(gate.Stage)]?.View;
            if (Measured(view, gate.Name) is not { } value)
            {
                return $"stage {stage.Name} may not begin: {gate.Stage} has reported no value of {gate.Name}";
            }

            if (!gate.Holds(value))
            {
                return string.Create(CultureInfo.InvariantCulture,
                    $"stage {stage.Name} may not begin: {gate.Name} of {gate.Stage} is {value:0.####}, and must be {Limits(gate)}");
            }
        }

        return null;
    }

    private static double? Measured(StageView? view, string name) => name switch
    {
        _ when view is null => null,
        _ when view.Evaluations.LastOrDefault(e => e.Name == name) is { } evaluation => evaluation.Value,
        "loss" => view.Loss,
        "grad_norm" => view.GradNorm,
        "mfu" => view.Mfu,
        _ => null,
    };

    private static string Limits(Gate.Metric gate) => (gate.Above, gate.Below) switch
    {
        ({ } above, { } below) => string.Create(CultureInfo.InvariantCulture, $"between {above} and {below}"),
        ({ } above, null) => string.Create(CultureInfo.InvariantCulture, $"above {above}"),
        (null, { } below) => string.Create(CultureInfo.InvariantCulture, $"below {below}"),
        _ => "a number",
    };
}
