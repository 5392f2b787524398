using DeepSeekOps.Contracts.Ops.V1;

namespace DeepSeekOps.ControlPlane.Cli.Verbs;

/// <summary>Why a gang waits, for the terminal.</summary>
internal static class WaitText
{
    /// <summary>"in 42 min (38 min to 46 min)".</summary>
    public static string Start(Wait? wait, DateTimeOffset now) => wait?.Start is not { } start ? "not known"
        : start.Earliest.Equals(start.Latest) ? $"in {In(start.Likely, now)}"
        : $"in {In(start.Likely, now)} ({In(start.Earliest, now)} to {In(start.Latest, now)})";

    /// <summary>All of it, a line each.</summary>
    public static IEnumerable<string> Lines(Wait wait, DateTimeOffset now)
    {
        foreach (var reason in wait.Reasons)
        {
            yield return $"  {reason.Text}";
        }

        if (wait.Start is { } start)
        {
            yield return $"  starts {Start(wait, now)}: {start.Basis}";
        }

        foreach (var way in wait.Ways)
        {
            yield return $"  sooner: {way.Text}{(way.Command.Length > 0 ? $"  [{way.Command}]" : "")}";
        }
    }

    private static string In(Google.Protobuf.WellKnownTypes.Timestamp at, DateTimeOffset now) =>
        at.ToDateTimeOffset() <= now ? "0 s" : Words.Time(at.ToDateTimeOffset() - now);
}
