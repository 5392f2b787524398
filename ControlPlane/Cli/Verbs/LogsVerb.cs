using System.CommandLine;
using System.Globalization;
using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.ControlPlane.Client;

namespace DeepSeekOps.ControlPlane.Cli.Verbs;

internal static class LogsVerb
{
    public static Command Build(Terminal terminal)
    {
        var name = VerbAction.RunName();
        var follow = new Option<bool>("--follow", "-f") { Description = "Stay and print new lines, until Ctrl-C." };
        var stage = new Option<string?>("--stage") { Description = "Only this stage. Default: all.", HelpName = "NAME" };
        var attempt = new Option<int>("--attempt") { Description = "Only this attempt of each stage. Default: all.", HelpName = "N" };
        var rank = new Option<int?>("--rank") { Description = "Only this rank.", HelpName = "N" };
        var tail = new Option<int>("--tail")
        {
            Description = "How many of the last lines.",
            HelpName = "N",
            DefaultValueFactory = _ => 200,
        };
        var contains = new Option<string?>("--contains") { Description = "Only lines that contain this text.", HelpName = "TEXT" };
        var command = new Command("logs", "Prints what the ranks of a run printed, over all attempts.") { name, follow, stage, attempt,
            rank, tail, contains };
        command.SetAction(async (parsed, cancellation) =>
        {
            var request = new GetLogsRequest
            {
                Run = parsed.GetValue(name) ?? "",
                Stage = parsed.GetValue(stage) ?? "",
                Attempt = parsed.GetValue(attempt),
                Tail = parsed.GetValue(tail),
                Contains = parsed.GetValue(contains) ?? "",
            };
            if (parsed.GetValue(rank) is { } number)
            {
                request.Rank = number;
            }
            return parsed.GetValue(follow)
                ? await FollowLogs(terminal, parsed, request, cancellation)
                : await PrintLogs(terminal, parsed, request, cancellation);
        });
        return command;
    }

    private static async Task<int> PrintLogs(Terminal terminal, ParseResult parsed, GetLogsRequest request, CancellationToken cancellation)
    {
        using var connection = await VerbAction.Connect(parsed, cancellation);
        var reply = await connection.Client.GetLogsAsync(request, ControlPlaneConnection.Options(cancellation));
        if (reply.LeftOut > 0)
        {
            await terminal.Error.WriteLineAsync($"note: {reply.LeftOut} older lines are left out, since the answer would be too large; ask "
                + $"for one rank, or with --contains.");
        }
        if (parsed.WantsJson())
        {
            await terminal.Document.WriteLineAsync(ProtoJson.Document(reply.Entries));
            return ExitCode.Ok;
        }
        bool severalRanks = reply.Entries.Select(entry => (entry.Stage, entry.Rank)).Distinct().Skip(1).Any();
        foreach (var entry in reply.Entries)
        {
            await terminal.Document.WriteLineAsync(Line(entry, severalRanks));
        }
        return ExitCode.Ok;
    }

    private static async Task<int> FollowLogs(Terminal terminal, ParseResult parsed, GetLogsRequest request, CancellationToken cancellation)
    {
        bool json = parsed.WantsJson();
        var printed = new Dictionary<(string Stage, int Attempt, int Rank), long>();
        await Follow.Stream(
            parsed, terminal,
            client => client.WatchLogs(request, cancellationToken: cancellation),
            entry =>
            {
                // After a lost connection the tail comes again; what is on the screen already is left out.
                var source = (entry.Stage, entry.Attempt, entry.Rank);
                if (!printed.TryGetValue(source, out long last) || entry.Line > last)
                {
                    printed[source] = entry.Line;
                    terminal.Document.WriteLine(json ? ProtoJson.Line(entry) : Line(entry, withRank: true));
                }
                return true;
            },
            cancellation);
        return ExitCode.Ok;
    }

    /// <summary>Lines of a log are never wrapped or cut: they are searched and copied.</summary>
    private static string Line(LogEntry entry, bool withRank)
    {
        string at = entry.At?.ToDateTimeOffset().ToLocalTime().ToString("HH:mm:ss", CultureInfo.InvariantCulture) ?? "";
        return Columns.Clean(withRank ? $"{at} {entry.Stage}.{entry.Rank}| {entry.Text}" : $"{at} {entry.Text}");
    }
}
