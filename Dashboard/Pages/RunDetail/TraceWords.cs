using System.Globalization;
using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.Dashboard.Words;

namespace DeepSeekOps.Dashboard.Pages.RunDetail;

/// <summary>Recorded steps in words and figures.</summary>
public static class TraceWords
{
    /// <summary>By the class that has the colour; ds-trace has the same ones.</summary>
    public static IReadOnlyList<(string Kind, string Word)> Legend { get; } =
    [
        ("forward", "forward"), ("backward", "backward"), ("weights", "backward for weights"), ("update", "update"),
        ("collective", "collective call"), ("send", "send"), ("wait", "wait for a neighbour"), ("other", "rollout, measuring, saving"),
    ];

    public static string Bubble(Trace trace)
    {
        string measured = $"{Time(trace.StepSeconds)} a step. Bubble measured: {Of(trace.Parts.Bubble, trace)}, the mean of "
            + (trace.Ranks == 1 ? "its one rank" : $"{Figures.Whole(trace.Ranks)} ranks");
        string formula = trace.Schedule.Length > 0 ? $"; by the formula of {trace.Schedule}: {Of(trace.FormulaSeconds, trace)}." : ".";
        return measured + formula + (trace.Ranks > 1 ? $" Rank {trace.Slowest} computed longest: the others wait for it." : "");
    }

    public static IEnumerable<string> Cells(TraceParts parts) =>
        [Time(parts.Compute), Time(parts.Collectives), Time(parts.Sends), Time(parts.Waits), Time(parts.Bubble)];

    /// <summary>Three figures, whether a step takes milliseconds or minutes.</summary>
    public static string Time(double seconds) => Math.Abs(seconds) switch
    {
        < 0.001 => string.Create(CultureInfo.InvariantCulture, $"{seconds * 1e6:0} µs"),
        < 1 => string.Create(CultureInfo.InvariantCulture, $"{seconds * 1e3:0.0} ms"),
        _ => string.Create(CultureInfo.InvariantCulture, $"{seconds:0.00} s"),
    };

    private static string Of(double seconds, Trace trace) =>
        $"{Time(seconds)} ({Figures.Percent(trace.StepSeconds > 0 ? seconds / trace.StepSeconds : 0)})";
}
