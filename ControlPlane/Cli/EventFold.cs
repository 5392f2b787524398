using DeepSeekOps.Contracts.Ops.V1;
using Google.Protobuf.WellKnownTypes;

namespace DeepSeekOps.ControlPlane.Cli;

/// <summary>
/// A timeline for people: checkpoints of one stage that follow each other become one line, so that what went wrong is not drowned
/// by what goes well every few seconds.
/// </summary>
public static class EventFold
{
    private const string Checkpoint = "checkpoint";

    /// <summary>Several come with one message where time is simulated fast, or where nobody answered for a while.</summary>
    private static readonly TimeSpan AtOnce = TimeSpan.FromSeconds(1);

    public static IEnumerable<Event> Of(IEnumerable<Event> events)
    {
        var held = new List<Event>();
        foreach (var item in events)
        {
            if (held.Count > 0 && !(IsQuiet(item) && item.Run == held[0].Run && item.Stage == held[0].Stage))
            {
                yield return One(held);
                held.Clear();
            }
            if (IsQuiet(item))
            {
                held.Add(item);
            }
            else
            {
                yield return item;
            }
        }
        if (held.Count > 0)
        {
            yield return One(held);
        }
    }

    /// <summary>A save that went well: its own line matters only until the next one.</summary>
    public static bool IsQuiet(Event item) => item is { Kind: Checkpoint, Level: "info" };

    /// <summary>
    /// One line for checkpoints that followed each other; it stands at the time of the last and names the one of the highest step, which
    /// is another where nobody answered for a while: what was saved meanwhile is told of in any order.
    /// </summary>
    public static Event One(IReadOnlyList<Event> checkpoints)
    {
        var last = checkpoints[^1].Clone();
        if (checkpoints.Count > 1)
        {
            var since = checkpoints[0].At?.ToDateTimeOffset() ?? default;
            var until = last.At?.ToDateTimeOffset() ?? since;
            string within = until - since < AtOnce ? "at once" : $"in {Words.Time(until - since)}";
            var newest = checkpoints.Reverse().MaxBy(c => c.HasStep ? c.Step : -1)!;
            last.Text = $"{checkpoints.Count} checkpoints {within}, all durable; the newest: {newest.Text}";
            (last.Attempt, last.Node) = (newest.Attempt, newest.Node);
            if (newest.HasStep)
            {
                last.Step = newest.Step;
            }
            last.Took = null;
            last.At ??= Timestamp.FromDateTimeOffset(until);
        }
        return last;
    }
}
