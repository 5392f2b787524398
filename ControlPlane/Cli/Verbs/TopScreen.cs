using System.Globalization;
using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.ControlPlane.Client;
using Spectre.Console;

namespace DeepSeekOps.ControlPlane.Cli.Verbs;

/// <summary>What the control plane said at one moment.</summary>
/// <param name="At">When it said so.</param>
internal sealed record TopView(
    ListRunsReply Runs, Cluster Cluster, Health Health, IReadOnlyList<Incident> Incidents, DateTimeOffset At);

/// <summary>
/// A screen for `dsops top`: what needs a person first, then what happened last, then the runs. Lines that the screen has no room for are
/// counted, never cut off unseen.
/// </summary>
internal static class TopScreen
{
    /// <summary>More are a list of their own, `dsops incidents`.</summary>
    private const int IncidentsShown = 3;

    /// <summary>The least that a table of runs is worth: its head and three rows.</summary>
    private const int TableLeast = 4;

    private static readonly Column[] Table =
    [
        new("RUN", 1), new("STATE", 2), new("STAGE", 3), new("STEP", 4, Right: true), new("LOSS", 5, Right: true),
        new("TOK/S", 9, Right: true), new("MFU", 8, Right: true), new("TRY", 10, Right: true), new("LEFT", 7, Right: true),
        new("WHY", 6, Flexible: true),
    ];

    /// <param name="height">Lines that there are; null: as many as it takes.</param>
    /// <param name="silent">Why nothing newer came than the view; null: it is of now.</param>
    public static IReadOnlyList<string> Lines(TopView view, DateTimeOffset now, Terminal terminal, int? height, string? silent = null)
    {
        var head = Drawn(terminal, drawing => Head(drawing, view, now, silent));
        int room = height is { } lines ? Math.Max(TableLeast, lines - head.Count) : int.MaxValue;
        var table = Drawn(terminal, drawing => Columns.Write(drawing, Table, [.. view.Runs.Runs.Select(RowOf)]));
        if (view.Runs.Runs.Count == 0)
        {
            return [.. head, "No run yet. Begin one with `dsops submit FILE`."];
        }
        if (table.Count <= room && view.Runs.Runs.Count == view.Runs.Total)
        {
            return [.. head, .. table];
        }

        // A reason may take more than one line, so that only counting tells how many runs are seen whole.
        int shown = view.Runs.Runs.Count;
        while (table.Count > room - 1 && shown > 1)
        {
            shown--;
            int kept = shown;
            table = Drawn(terminal, drawing => Columns.Write(drawing, Table, [.. view.Runs.Runs.Take(kept).Select(RowOf)]));
        }
        return [.. head, .. table, $"… and {view.Runs.Total - shown} more: `dsops runs`"];
    }

    private static void Head(Terminal terminal, TopView view, DateTimeOffset now, string? silent)
    {
        var ansi = terminal.Ansi();
        ansi.WriteLine($"{Words.Clock(view.At, now)}  {InStates(view.Runs)}"
            + (view.Cluster.Simulated ? "; simulated: no figure is measured" : ""), Style.Plain);
        Hang(ansi, terminal, OfGpus(view.Cluster), "info");
        Hang(ansi, terminal, silent, "error");
        foreach (var problem in view.Health.Problems)
        {
            Hang(ansi, terminal, $"{problem.Level}: {problem.Text} {problem.Fix}", problem.Level);
        }

        foreach (var one in Worth(view.Incidents).Take(IncidentsShown))
        {
            bool waits = one.State == "needs-human";
            Hang(ansi, terminal, $"{(waits ? "needs a person" : one.State)}: {MorningReport.Id(one)}, "
                + $"{Words.Time(now - one.OpenedAt.ToDateTimeOffset())} ago: {one.Sentence}", waits ? "error" : "warning");
        }

        int more = Worth(view.Incidents).Count() - IncidentsShown;
        Hang(ansi, terminal, more > 0 ? $"… and {more} more that are open: `dsops incidents`" : null, "warning");
        ansi.WriteLine("", Style.Plain);
    }

    public static bool IsOpen(Incident incident) => incident.State != "closed";

    /// <summary>Open ones, those that wait for a person first.</summary>
    private static IEnumerable<Incident> Worth(IReadOnlyList<Incident> incidents) => incidents.Where(IsOpen)
        .OrderBy(one => one.State == "needs-human" ? 0 : 1).ThenByDescending(one => one.OpenedAt.ToDateTimeOffset());

    private static void Hang(IAnsiConsole ansi, Terminal terminal, string? text, string level)
    {
        foreach (string line in text is null ? [] : Columns.Hang(text, Math.Max(20, terminal.Width), indent: 0))
        {
            ansi.WriteLine(line, States.StyleOf(level));
        }
    }

    private static string InStates(ListRunsReply runs) => runs.States.Count == 0 ? "no runs"
        : string.Join(", ", runs.States.OrderByDescending(state => state.Value).ThenBy(state => state.Key, StringComparer.Ordinal)
            .Select(state => $"{state.Value} {state.Key}")) + $" of {runs.All} {(runs.All == 1 ? "run" : "runs")}";

    /// <summary>A GPU of a node that is not ready is nobody's, though it may be free.</summary>
    private static string OfGpus(Cluster cluster)
    {
        int all = cluster.Nodes.Sum(node => node.Slots);
        int used = cluster.Nodes.Sum(node => node.SlotsUsed);
        var away = cluster.Nodes.Where(node => node.State != "ready").ToList();
        int idle = away.Sum(node => node.Slots - node.SlotsUsed);
        string not = away.Count == 0 ? "" : $", {idle} on {Words.NodeCount(away.Count)} that take no work ("
            + string.Join(", ", away.GroupBy(node => node.State).OrderByDescending(group => group.Count())
                .Select(group => $"{group.Count()} {group.Key}")) + ")";
        string waits = cluster.Waiting.Count switch { 0 => "no gang waits", 1 => "1 gang waits", var many => $"{many} gangs wait" };
        string spares = cluster.Spares > 0 ? $", {cluster.SparesFree} of {cluster.Spares} spare nodes free" : "";
        return $"{used} of {all} GPUs in use, {all - used - idle} free{not}{spares}, {waits}";
    }

    private static IReadOnlyList<string> RowOf(RunSummary run)
    {
        var stage = RunsVerb.Current(run.Stages);
        return
        [
            run.Name, run.State, stage?.Name ?? Words.None, stage is null ? Words.None : Words.Steps(stage.Step, stage.TotalSteps),
            Words.Figure(stage is { HasLoss: true } ? stage.Loss : null),
            stage is { HasTokensPerSecond: true } ? Words.Count(stage.TokensPerSecond) : Words.None,
            Words.Percent(stage is { HasMfu: true } ? stage.Mfu : null),
            stage is { Attempt: > 0 } ? stage.Attempt.ToString(CultureInfo.InvariantCulture) : Words.None,
            run.Forecast is { } forecast ? Words.Time(forecast.Left.ToTimeSpan()) : Words.None,
            run.Reason + HealthLines.AsOf(run.AsOf ?? stage?.AsOf),
        ];
    }

    /// <summary>Lines as they would stand on the terminal, its colours with them.</summary>
    private static List<string> Drawn(Terminal terminal, Action<Terminal> draw)
    {
        using var text = new StringWriter(CultureInfo.InvariantCulture) { NewLine = "\n" };
        draw(terminal with { Output = text });
        return [.. text.ToString().TrimEnd('\n').Split('\n').Select(line => line.TrimEnd('\r'))];
    }
}
