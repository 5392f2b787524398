using System.CommandLine;
using System.Globalization;
using DeepSeekOps.Contracts.Ops.V1;
using Spectre.Console;

namespace DeepSeekOps.ControlPlane.Cli.Verbs;

internal static class EventsVerb
{
    private const int PageSize = 1_000;

    public static Command Build(Terminal terminal)
    {
        var name = VerbAction.RunName();
        var follow = new Option<bool>("--follow", "-f") { Description = "Stay and print what happens next, until Ctrl-C." };
        var after = new Option<long>("--after") { Description = "Only events with a number above this.", HelpName = "N" };
        var command = new Command("events", "Prints a run's timeline in the planner's own sentences.") { name, follow, after };
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

    private static async Task<int> PrintEvents(Terminal terminal, ParseResult parsed, string run, long after, CancellationToken cancellation)
    {
        using var connection = await VerbAction.Connect(parsed, cancellation);
        var events = new List<Event>();
        while (true)
        {
            var page = await connection.Client.ListEventsAsync(
                new ListEventsRequest { Run = run, After = after, PageSize = PageSize }, ControlPlaneConnection.Options(cancellation));
            events.AddRange(page.Events);
            if (page.Events.Count < PageSize)
            {
                break;
            }
            after = page.Events[^1].Number;
        }
        // Run and stages write by themselves: what happened first may have been numbered second.
        events = [.. events.OrderBy(item => item.At?.ToDateTimeOffset()).ThenBy(item => item.Number)];
        if (parsed.WantsJson())
        {
            await terminal.Output.WriteLineAsync(ProtoJson.Document(events));
            return ExitCode.Ok;
        }
        foreach (var item in events)
        {
            Write(terminal, item);
        }
        return ExitCode.Ok;
    }

    private static async Task<int> FollowEvents(Terminal terminal, ParseResult parsed, string run, long after, CancellationToken cancellation)
    {
        bool json = parsed.WantsJson();
        await Follow.Stream(
            parsed, terminal,
            client => client.WatchEvents(new ListEventsRequest { Run = run, After = after }, cancellationToken: cancellation),
            item =>
            {
                after = item.Number;
                if (json)
                {
                    terminal.Output.WriteLine(ProtoJson.Line(item));
                }
                else
                {
                    Write(terminal, item);
                }
                return true;
            },
            cancellation);
        return ExitCode.Ok;
    }

    /// <summary>"14:02:07  pretrain  Placed on node-0.", further lines of a long sentence under its beginning.</summary>
    public static void Write(Terminal terminal, Event item, bool withRun = false)
    {
        string at = item.At?.ToDateTimeOffset().ToLocalTime().ToString("HH:mm:ss", CultureInfo.InvariantCulture) ?? "        ";
        string who = withRun ? item.Stage.Length > 0 ? $"{item.Run}/{item.Stage}" : item.Run : item.Stage;
        string head = who.Length > 0 ? $"{at}  {who}: " : $"{at}  ";
        string took = item.Took is { } span ? $" ({Words.Time(span.ToTimeSpan())})" : "";
        var lines = Columns.Wrap(Columns.Clean(head + item.Text + took), Math.Max(20, terminal.Width));
        var ansi = terminal.Ansi();
        var style = item.Level == "info" ? Style.Plain : States.StyleOf(item.Level);
        ansi.WriteLine(lines[0], style);
        if (lines.Count > 1)
        {
            string rest = Columns.Clean(head + item.Text + took)[lines[0].Length..].TrimStart();
            foreach (string line in Columns.Wrap(rest, Math.Max(10, terminal.Width - 10)))
            {
                ansi.WriteLine(new string(' ', 10) + line, style);
            }
        }
    }
}
