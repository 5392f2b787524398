using DeepSeekOps.Contracts.Ops.V1;

namespace DeepSeekOps.ControlPlane.Cli;

/// <summary>
/// <see cref="EventFold"/> for a timeline that is printed while it grows: the first checkpoint of a stage is printed, then at most
/// one line a minute, and what is held comes before the next other event of that stage.
/// </summary>
public sealed class LiveFold
{
    /// <summary>A stage that saves each second would fill a screen in half a minute; a person looks up about once in one.</summary>
    private static readonly TimeSpan Every = TimeSpan.FromMinutes(1);

    private readonly Dictionary<(string Run, string Stage), (List<Event> Held, DateTimeOffset Printed)> stages = [];

    /// <summary>What to print now.</summary>
    public IEnumerable<Event> Take(Event item)
    {
        var key = (item.Run, item.Stage);
        var at = item.At?.ToDateTimeOffset() ?? default;
        var (held, printed) = stages.GetValueOrDefault(key, ([], DateTimeOffset.MinValue));
        if (!EventFold.IsQuiet(item))
        {
            stages.Remove(key);
            return held.Count > 0 ? [EventFold.One(held), item] : [item];
        }
        held.Add(item);
        if (printed != DateTimeOffset.MinValue && at - printed < Every)
        {
            stages[key] = (held, printed);
            return [];
        }
        stages[key] = ([], at);
        return [EventFold.One(held)];
    }
}
