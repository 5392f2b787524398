using System.Text.Json;
using DeepSeekOps.Contracts.Ops.V1;

namespace DeepSeekOps.Dashboard.Charts;

/// <summary>A vertical mark on the charts of a stage. X is in the unit of the axis: step, tokens or unix seconds.</summary>
public sealed record ChartMark(string Kind, double X, string Text);

public static class ChartMarks
{
    private static readonly JsonSerializerOptions Web = new(JsonSerializerDefaults.Web);

    public static string ToJson(Stage stage, IEnumerable<Event> events, string axis) =>
        JsonSerializer.Serialize(Of(stage, events, axis), Web);

    public static IReadOnlyList<ChartMark> Of(Stage stage, IEnumerable<Event> events, string axis) =>
        [.. from e in events
            where e.Stage == stage.Name
            let kind = Kind(e)
            where kind is not null && (axis == "time" || e.HasStep)
            let x = Place(e, stage, axis)
            orderby x
            select new ChartMark(kind, x, e.Text)];

    private static string? Kind(Event e) => e.Kind switch
    {
        "checkpoint" => "checkpoint",
        "restarting" => "restart",
        "recovered" => null,
        _ when e.Level == "error" => "failure",
        _ when e.Level == "warning" => "warning",
        _ => null,
    };

    /// <summary>Events know their step, not their tokens: those lie on the line from the beginning to where the stage
    /// stands, which is exact for an unchanging batch and off by its ramp otherwise.</summary>
    private static double Place(Event e, Stage stage, string axis) => axis switch
    {
        "time" => e.At.ToDateTimeOffset().ToUnixTimeMilliseconds() / 1000.0,
        "tokens" => stage.Step > 0 ? (double)e.Step * stage.Tokens / stage.Step : 0,
        _ => e.Step,
    };
}
