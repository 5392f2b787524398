using System.CommandLine;
using System.Globalization;
using DeepSeekOps.Contracts;
using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.ControlPlane.Client;
using Spectre.Console;

namespace DeepSeekOps.ControlPlane.Cli.Verbs;

internal static class ShowVerb
{
    private static readonly Column[] Stages =
    [
        new("STAGE", 1), new("KIND", 8), new("STATE", 2), new("TRY", 7, Right: true), new("STEP", 3, Right: true),
        new("LOSS", 4, Right: true),
        new("MFU", 6, Right: true), new("TOKENS/S", 9, Right: true), new("TOKENS", 5, Right: true), new("LEFT", 10, Right: true),
    ];

    private static readonly Column[] Ranks =
    [
        new("RANK", 1, Right: true), new("STAGE", 4), new("NODE", 2), new("PID", 3, Right: true), new("STATE", 1),
    ];

    private static readonly Column[] Evaluations =
    [
        new("STAGE", 3), new("MEASURED", 1), new("VALUE", 1, Right: true), new("95 % INTERVAL", 2), new("SAMPLES", 4, Right: true),
        new("STEP", 5, Right: true),
    ];

    public static Command Build(Terminal terminal)
    {
        var name = VerbAction.RunName();
        var everyRank = new Option<bool>("--ranks") { Description = "Every rank of its gang; of many the odd ones alone are shown else." };
        var command = new Command("show", "Shows a run: its stages, the state of each and why, and its ranks.") { name, everyRank };
        command.SetClientAction(async (client, parsed, cancellation) =>
        {
            await HealthLines.Write(client, terminal, cancellation);
            var run =
                await client.GetRunAsync(new GetRunRequest { Name = parsed.GetValue(name) }, ControlPlaneConnection.Options(cancellation));
            if (parsed.GetValue(everyRank))
            {
                await Unfold(client, run, cancellation);
            }
            if (parsed.WantsJson())
            {
                await terminal.Document.WriteLineAsync(ProtoJson.Document(run));
            }
            else
            {
                Write(terminal, run, TimeProvider.System.GetUtcNow());
            }
            return ExitCode.Ok;
        });
        return command;
    }

    /// <summary>Asks for the ranks that the run's view tells by their state alone.</summary>
    private static async Task Unfold(OpsService.OpsServiceClient client, Run run, CancellationToken cancellation)
    {
        foreach (var stage in run.Stages.Where(stage => stage.RankGroups.Count > 0))
        {
            var request = new ListRanksRequest { Run = run.Name, Stage = stage.Name, PageSize = 1_000 };
            stage.Ranks.Clear();
            stage.RankGroups.Clear();
            ListRanksReply page;
            do
            {
                page = await client.ListRanksAsync(request, ControlPlaneConnection.Options(cancellation));
                stage.Ranks.AddRange(page.Ranks);
                request.After = page.Ranks.Count > 0 ? page.Ranks[^1].Rank_ : 0;
            }
            while (page.More);
        }
    }

    public static void Write(Terminal terminal, Run run, DateTimeOffset now)
    {
        var ansi = terminal.Ansi();
        Paragraph(terminal, ansi, $"{run.Name}: {run.State}. {run.Reason}{HealthLines.AsOf(run.AsOf)}", States.StyleOf(run.State));
        Paragraph(terminal, ansi, string.Join(", ", Facts(run, now)), new Style(decoration: Decoration.Dim));
        if (run.Hold is { } hold)
        {
            string verb = hold.Taken ? "give-back" : "release";
            Paragraph(terminal, ansi, $"{hold.Words}; `dsops incidents {verb} {run.Name}` ends it", States.StyleOf("paused"));
        }
        if (run.Forecast is { } forecast)
        {
            Paragraph(terminal, ansi, Words.Forecast(forecast, now, run.Simulated), Style.Plain);
        }
        if (run.Cost is { } cost)
        {
            Paragraph(terminal, ansi, CostText.Line(cost), Style.Plain);
        }
        ansi.WriteLine();
        Columns.Write(terminal, Stages, [.. run.Stages.Select(RowOf)]);

        var begun = run.Stages.Where(stage => stage.BeganFrom.Length > 0).ToArray();
        if (begun.Length > 0)
        {
            ansi.WriteLine();
            foreach (var stage in begun)
            {
                Paragraph(terminal, ansi, $"{stage.Name} begins from {stage.BeganFrom}", new Style(decoration: Decoration.Dim));
            }
        }
        foreach (var stage in run.Stages.Where(stage => stage.HasCheckpointStep && !run.Simulated))
        {
            Paragraph(terminal, ansi, Trust(stage, now), new Style(decoration: Decoration.Dim));
        }
        foreach (var stage in run.Stages.Where(stage => stage.Reason.Length > 0 && stage.State is not ("waiting" or "completed")
            && (stage.Reason != run.Reason || (stage.AsOf is not null && run.AsOf is null))))
        {
            ansi.WriteLine();
            Paragraph(terminal, ansi, $"{stage.Name}: {stage.Reason}{HealthLines.AsOf(stage.AsOf)}", States.StyleOf(stage.State));
        }
        foreach (var stage in run.Stages.Where(stage => stage.Wait is not null))
        {
            ansi.WriteLine();
            Paragraph(terminal, ansi, $"{stage.Name} waits for nodes:", Style.Plain);
            foreach (string line in WaitText.Lines(stage.Wait, now))
            {
                Paragraph(terminal, ansi, line, Style.Plain);
            }
        }
        var ranks = run.Stages.SelectMany(RankRows).ToArray();
        if (ranks.Length > 0)
        {
            ansi.WriteLine();
            Columns.Write(terminal, Ranks, ranks);
        }
        var evaluations = run.Stages.SelectMany(stage => stage.Evaluations.Select(evaluation => (IReadOnlyList<string>)
            [stage.Name, evaluation.Name, Words.Figure(evaluation.Value), Interval(evaluation), Text(evaluation.Samples),
                Text(evaluation.Step)])).ToArray();
        if (evaluations.Length > 0)
        {
            ansi.WriteLine();
            Columns.Write(terminal, Evaluations, evaluations);
        }
    }

    /// <summary>"pretrain: newest checkpoint step 400; step 380 was read whole 3 min ago by the agent on node-0".</summary>
    internal static string Trust(Stage stage, DateTimeOffset now)
    {
        string newest = $"{stage.Name}: newest checkpoint step {Text(stage.CheckpointStep)}";
        if (!stage.HasVerifiedStep)
        {
            return $"{newest}; none was read again yet since it was made";
        }
        string which = stage.VerifiedStep == stage.CheckpointStep ? "it" : $"step {Text(stage.VerifiedStep)}";
        return $"{newest}; {which} was read whole {Words.Time(now - stage.VerifiedAt.ToDateTimeOffset())} ago by {stage.VerifiedBy}";
    }

    private static IEnumerable<string> Facts(Run run, DateTimeOffset now)
    {
        if (run.SubmittedAt is { } submitted)
        {
            yield return $"submitted {Words.Time(now - submitted.ToDateTimeOffset())} ago";
        }
        if (run.EndedAt is { } ended && run.SubmittedAt is { } begun)
        {
            yield return $"ended {Words.Time(ended.ToDateTimeOffset() - begun.ToDateTimeOffset())} after that";
        }
        if (run.Team.Length > 0)
        {
            yield return $"team {run.Team}";
        }
        if (run.Parameters > 0)
        {
            yield return $"{Words.Count(run.Parameters)} parameters";
        }
        if (run.Simulated)
        {
            yield return "simulated: no figure here is measured";
        }
    }

    /// <summary>A row for each of few; of many the odd ones first, then one for each state.</summary>
    internal static IEnumerable<IReadOnlyList<string>> RankRows(Stage stage)
    {
        return stage.Ranks.Select(rank => RowOf(rank, stage.Name)).Concat(stage.RankGroups.Select(group => (IReadOnlyList<string>)
                [$"{Text(group.Ranks)} {(stage.Ranks.Count > 0 ? "others" : "ranks")}", stage.Name,
                    $"{Text(group.Nodes)} {(group.Nodes == 1 ? "node" : "nodes")}", Words.None, group.State]));
    }

    private static IReadOnlyList<string> RowOf(Rank rank, string stage) =>
        [Text(rank.Rank_), stage, rank.Node, rank.Pid > 0 ? Text(rank.Pid) : Words.None, rank.State];

    private static IReadOnlyList<string> RowOf(Stage stage) =>
    [
        stage.Name, stage.Kind, stage.State, stage.Attempt > 0 ? Text(stage.Attempt) : Words.None,
        Words.Steps(stage.Step, stage.TotalSteps),
        Words.Figure(stage.HasLoss ? stage.Loss : null), Words.Percent(stage.HasMfu ? stage.Mfu : null),
        stage.HasTokensPerSecond ? Words.Count((long)stage.TokensPerSecond) : Words.None,
        stage.Tokens > 0 ? Words.Count(stage.Tokens) : Words.None, stage.Remaining is { } left ? Words.Time(left.ToTimeSpan()) : Words.None,
    ];

    private static string Interval(Evaluation evaluation) => evaluation is { HasLow: true, HasHigh: true }
        ? $"{Words.Figure(evaluation.Low)} to {Words.Figure(evaluation.High)}"
        : Words.None;

    private static string Text(long number) => number.ToString(CultureInfo.InvariantCulture);

    private static void Paragraph(Terminal terminal, IAnsiConsole ansi, string text, Style style)
    {
        foreach (string line in Columns.Wrap(Columns.Clean(text), terminal.Width))
        {
            ansi.WriteLine(line, style);
        }
    }
}
