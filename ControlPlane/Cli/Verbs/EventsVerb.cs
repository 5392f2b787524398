using System.CommandLine;
using System.Globalization;
using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.ControlPlane.Client;
using Google.Protobuf.WellKnownTypes;
using Spectre.Console;

namespace DeepSeekOps.ControlPlane.Cli.Verbs;

internal static class EventsVerb
{
    private const int PageSize = 1_000;

    /// <summary>Of all runs. More than anybody reads; whoever wants more names a run, or another time.</summary>
    private const int MostOfAll = 10_000;

    /// <summary>"Something broke last night."</summary>
    private static readonly TimeSpan UsualOfAll = TimeSpan.FromHours(24);

    private static readonly Option<bool> All = new("--all") { Description = "Each checkpoint on a line of its own." };

    private static readonly Option<bool> Bad = new("--warnings") { Description = "Only warnings and errors." };

    private static readonly Option<TimeSpan?> Since = new("--since")
    {
        Description = "Only what happened within this time until now: 24h, 90m, 7d. Default: all of a run, 24h of all runs.",
        HelpName = "TIME",
        CustomParser = result => IncidentsVerb.ParseSpan(result, "--since"),
    };

    public static Command Build(Terminal terminal)
    {
        var name = new Argument<string?>("run") { Description = "Name of the run. Default: all runs.", Arity = ArgumentArity.ZeroOrOne };
        var follow = new Option<bool>("--follow", "-f") { Description = "Stay and print what happens next, until Ctrl-C." };
        var after = new Option<long?>("--after") { Description = "Only events of the run with a number above this.", HelpName = "N" };
        var command = new Command("events", "Prints what happened, in the planner's own sentences: the timeline of a run, or of all runs.")
        {
            name, Since, Bad, follow, after, All,
        };
        command.Validators.Add(result =>
        {
            bool ofAll = result.GetValue(name) is null;
            string[] ofOne = [.. result.GetValue(follow) ? ["--follow"] : Array.Empty<string>(),
                .. result.GetValue(after) is null ? Array.Empty<string>() : ["--after"]];
            foreach (string option in ofAll ? ofOne : [])
            {
                result.AddError($"{option} is of one run: name it, as in 'dsops events RUN {option}'.");
            }

            if (result.GetValue(follow) && result.GetValue(Since) is not null)
            {
                result.AddError("--since and --follow do not go together: --follow shows the whole timeline first.");
            }
        });
        command.SetAction(async (parsed, cancellation) =>
        {
            string? run = parsed.GetValue(name);
            long last = parsed.GetValue(after) ?? 0;
            return run is null ? await PrintAll(terminal, parsed, cancellation)
                : parsed.GetValue(follow) ? await FollowEvents(terminal, parsed, run, last, cancellation)
                : await PrintEvents(terminal, parsed, run, last, cancellation);
        });
        return command;
    }

    private static async Task<int> PrintAll(Terminal terminal, ParseResult parsed, CancellationToken cancellation)
    {
        using var connection = await VerbAction.Connect(parsed, cancellation);
        var since = parsed.GetValue(Since) ?? UsualOfAll;
        var request = new ListRecentEventsRequest
        {
            Since = Timestamp.FromDateTimeOffset(TimeProvider.System.GetUtcNow() - since), PageSize = PageSize,
        };
        var events = new List<Event>();
        do
        {
            var page = await connection.Client.ListRecentEventsAsync(request, ControlPlaneConnection.Options(cancellation));
            events.AddRange(page.Events);
            request.PageToken = page.NextPageToken;
        }
        while (request.PageToken.Length > 0 && events.Count < MostOfAll);
        events.Reverse();
        if (request.PageToken.Length > 0)
        {
            terminal.Error.WriteLine(
                $"Only the newest {events.Count.ToString("N0", CultureInfo.InvariantCulture)}; there are older ones within "
                + $"{Words.Time(since)}. Name a run, or take a shorter --since.");
        }

        await Print(terminal, parsed, events, withRun: true, $" within {Words.Time(since)}");
        return ExitCode.Ok;
    }

    /// <summary>In the order in which it happened; events of several runs name theirs.</summary>
    private static async Task Print(
        Terminal terminal, ParseResult parsed, IReadOnlyList<Event> events, bool withRun, string within = "")
    {
        var since = parsed.GetValue(Since) is { } span ? TimeProvider.System.GetUtcNow() - span : DateTimeOffset.MinValue;
        Event[] shown = [.. events.Where(e => (e.At?.ToDateTimeOffset() ?? since) >= since)
            .Where(e => !parsed.GetValue(Bad) || e.Level != "info")];
        if (parsed.WantsJson())
        {
            await terminal.Document.WriteLineAsync(ProtoJson.Document(shown));
            return;
        }

        foreach (var item in parsed.GetValue(All) ? shown : EventFold.Of(shown))
        {
            Write(terminal, item, withRun);
        }

        if (shown.Length == 0)
        {
            await terminal.Output.WriteLineAsync(parsed.GetValue(Bad) ? $"No warning and no error{within}." : $"Nothing happened{within}.");
        }
    }

    private static async Task<int> PrintEvents(Terminal terminal, ParseResult parsed, string run, long after,
        CancellationToken cancellation)
    {
        using var connection = await VerbAction.Connect(parsed, cancellation);
        var events = await OfRun(connection.Client, run, after, cancellation);
        await Print(terminal, parsed, events, withRun: false, parsed.GetValue(Since) is { } span ? $" within {Words.Time(span)}" : "");
        return ExitCode.Ok;
    }

    /// <summary>
    /// Of a run, in the order in which it happened: run and stages write by themselves, so that it is not that of
    /// numbers.
    /// </summary>
    internal static async Task<IReadOnlyList<Event>> OfRun(
        OpsService.OpsServiceClient client, string run, long after, CancellationToken cancellation)
    {
        var events = new List<Event>();
        ListEventsReply page;
        do
        {
            page = await client.ListEventsAsync(
                new ListEventsRequest { Run = run, After = after, PageSize = PageSize }, ControlPlaneConnection.Options(cancellation));
            events.AddRange(page.Events);
            after = page.Events.Count > 0 ? page.Events[^1].Number : after;
        }
        while (page.More && page.Events.Count > 0);
        return [.. events.OrderBy(item => item.At?.ToDateTimeOffset()).ThenBy(item => item.Number)];
    }

    private static async Task<int> FollowEvents(Terminal terminal, ParseResult parsed, string run, long after,
        CancellationToken cancellation)
    {
        bool json = parsed.WantsJson();
        var fold = new LiveFold();
        await Follow.Stream(
            parsed, terminal,
            client => client.WatchEvents(new ListEventsRequest { Run = run, After = after }, cancellationToken: cancellation),
            item =>
            {
                after = item.Number;
                if (parsed.GetValue(Bad) && item.Level == "info")
                {
                    return true;
                }

                if (json)
                {
                    terminal.Document.WriteLine(ProtoJson.Line(item));
                }
                else
                {
                    foreach (var line in parsed.GetValue(All) ? [item] : fold.Take(item))
                    {
                        Write(terminal, line);
                    }
                }
                return true;
            },
            cancellation);
        return ExitCode.Ok;
    }

    /// <summary>
    /// "14:02:07  pretrain: placed on node-0", further lines of a long sentence under its beginning; the date where it is not today.
    /// </summary>
    public static void Write(Terminal terminal, Event item, bool withRun = false)
    {
        string who = withRun ? item.Stage.Length > 0 ? $"{item.Run}/{item.Stage}" : item.Run : item.Stage;
        string text = $"{(who.Length > 0 ? $"{who}: " : "")}{item.Text}";
        var ansi = terminal.Ansi();
        var style = item.Level == "info" ? Style.Plain : States.StyleOf(item.Level);
        string head = item.At is { } at ? Words.Clock(at.ToDateTimeOffset(), TimeProvider.System.GetUtcNow()) : new string(' ', 8);
        foreach (string line in Columns.Hang($"{head}  {text}", Math.Max(20, terminal.Width), indent: 0, further: 10))
        {
            ansi.WriteLine(line, style);
        }
    }
}
