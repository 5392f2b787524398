using System.CommandLine;
using System.Globalization;
using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.ControlPlane.Client;
using Spectre.Console;

namespace DeepSeekOps.ControlPlane.Cli.Verbs;

internal static class EventsVerb
{
    private const int PageSize = 1_000;

    private static readonly Option<bool> All = new("--all") { Description = "Each checkpoint on a line of its own." };

    public static Command Build(Terminal terminal)
    {
        var name = VerbAction.RunName();
        var follow = new Option<bool>("--follow", "-f") { Description = "Stay and print what happens next, until Ctrl-C." };
        var after = new Option<long>("--after") { Description = "Only events with a number above this.", HelpName = "N" };
        var command = new Command("events", "Prints a run's timeline in the planner's own sentences.") { name, follow, after, All };
        command.SetAction(async (parsed, cancellation) =>
        {
            string run = parsed.GetValue(name) ?? "";
            long last = parsed.GetValue(after);
            return parsed.GetValue(follow)
                ? await FollowEvents(terminal, parsed, run, last, cancellation)
                : await PrintEvents(terminal, parsed, run, last, cancellation);
        });
        return command;
    }

    private static async Task<int> PrintEvents(Terminal terminal, ParseResult parsed, string run, long after,
        CancellationToken cancellation)
    {
        using var connection = await VerbAction.Connect(parsed, cancellation);
        var events = new List<Event>();
        while (true)
        {
            var page = await connection.Client.ListEventsAsync(
                new ListEventsRequest { Run = run, After = after, PageSize = PageSize }, ControlPlaneConnection.Options(cancellation));
            events.AddRange(page.Events);
            if (!page.More || page.Events.Count == 0)
            {
                break;
            }
            after = page.Events[^1].Number;
        }
        // Run and stages write by themselves: what happened first may have been numbered second.
        events = [.. events.OrderBy(item => item.At?.ToDateTimeOffset()).ThenBy(item => item.Number)];
        if (parsed.WantsJson())
        {
            await terminal.Document.WriteLineAsync(ProtoJson.Document(events));
            return ExitCode.Ok;
        }
        foreach (var item in parsed.GetValue(All) ? events : EventFold.Of(events))
        {
            Write(terminal, item);
        }
        return ExitCode.Ok;
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
