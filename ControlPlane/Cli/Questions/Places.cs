using System.Globalization;
using DeepSeekOps.Contracts.Ops.V1;
using Google.Protobuf.WellKnownTypes;

namespace DeepSeekOps.ControlPlane.Cli.Questions;

/// <summary>Where things are looked up, and figures as every answer writes them.</summary>
internal static class Places
{
    public static string RunPage(string run, string tab = "") =>
        $"/runs/{Uri.EscapeDataString(run)}{(tab.Length > 0 ? $"?tab={tab}" : "")}";

    public static string IncidentPage(Incident incident) =>
        $"/incidents/{Uri.EscapeDataString(incident.Run)}/{Uri.EscapeDataString(incident.Stage)}/{Whole(incident.Number)}";

    /// <summary>What shows one incident in full.</summary>
    public static string Why(Incident incident) =>
        $"dsops why {incident.Run} --stage {incident.Stage} --incident {Whole(incident.Number)}";

    public static string Whole(long number) => number.ToString(CultureInfo.InvariantCulture);

    /// <summary>"2,048": of what is counted in thousands.</summary>
    public static string Grouped(long number) => number.ToString("N0", CultureInfo.InvariantCulture);

    public static string Many(long count, string one, string many) => $"{Grouped(count)} {(count == 1 ? one : many)}";

    /// <summary>Of a sentence of the planner's, which begins with no name.</summary>
    public static string Capital(string text) => text.Length == 0 ? text : char.ToUpperInvariant(text[0]) + text[1..];

    public static string Clock(Timestamp at, Facts facts) => Words.Clock(at.ToDateTimeOffset(), facts.Now);

    public static string Ago(Timestamp at, Facts facts) => $"{Words.Time(facts.Now - at.ToDateTimeOffset())} ago";

    /// <summary>"paused (a person asked for it)"; where no reason says more, the state alone.</summary>
    public static string Standing(string state, string reason) =>
        reason.Length > 0 && reason != state ? $"{state} ({reason.TrimEnd('.')})" : state;

    /// <summary>"24h", as options take a time.</summary>
    public static string Option(TimeSpan since) => since.TotalHours >= 1 && since.TotalHours == Math.Floor(since.TotalHours)
        ? $"{Whole((long)since.TotalHours)}h"
        : since.TotalMinutes >= 1 && since.TotalMinutes == Math.Floor(since.TotalMinutes) ? $"{Whole((long)since.TotalMinutes)}m"
        : $"{Whole((long)Math.Ceiling(since.TotalSeconds))}s";
}
