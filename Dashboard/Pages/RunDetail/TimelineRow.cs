using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.Dashboard.Words;

namespace DeepSeekOps.Dashboard.Pages.RunDetail;

/// <summary>
/// One row of the timeline: an event, or the checkpoints of one stage that followed each other. A cluster that saves each few seconds
/// would otherwise push what went wrong out of sight before anybody has looked.
/// </summary>
/// <param name="Event">The last that the row tells of; the row stands at its time.</param>
/// <param name="First">The oldest, which stays the same while the row grows.</param>
/// <param name="Quiet">How long nothing had happened before the row above, where that was long.</param>
public sealed record TimelineRow(Event Event, Event First, int Count, TimeSpan? Quiet)
{
    private static readonly TimeSpan LongQuiet = TimeSpan.FromMinutes(5);

    /// <summary>Of the highest step: what was saved while nobody answered is told of in any order.</summary>
    private Event Newest { get; init; } = Event;

    public string Text => Count == 1
        ? Event.Text
        : $"{Count} checkpoints {In(Event.At.ToDateTimeOffset() - First.At.ToDateTimeOffset())}, all durable; the newest: {Newest.Text}";

    /// <summary>Several come with one message where time is simulated fast, or where nobody answered for a while.</summary>
    private static string In(TimeSpan time) => time < TimeSpan.FromSeconds(1) ? "at once" : $"in {Figures.Duration(time)}";

    /// <summary>Newest first, and no more rows than asked for (0: all).</summary>
    public static IReadOnlyList<TimelineRow> Of(IEnumerable<Event> events, int most = 0, bool fold = true)
    {
        var rows = new List<TimelineRow>();
        foreach (var e in events.Reverse())
        {
            if (fold && rows.Count > 0 && rows[^1] is var above && IsQuiet(e) && IsQuiet(above.Event) && e.Stage == above.Event.Stage)
            {
                rows[^1] = above with { First = e, Count = above.Count + 1, Newest = e.Step > above.Newest.Step ? e : above.Newest };
                continue;
            }
            if (most > 0 && rows.Count == most)
            {
                break;
            }
            var quiet = rows.Count == 0 ? TimeSpan.Zero : rows[^1].First.At.ToDateTimeOffset() - e.At.ToDateTimeOffset();
            rows.Add(new TimelineRow(e, e, 1, quiet > LongQuiet ? quiet : null));
        }
        return rows;
    }

    /// <summary>A save that went well: its own row matters only until the next one.</summary>
    private static bool IsQuiet(Event e) => e is { Kind: "checkpoint", Level: "info" };
}
