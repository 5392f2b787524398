using System.CommandLine;
using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.ControlPlane.Client;
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;

namespace DeepSeekOps.ControlPlane.Cli.Verbs;

/// <summary>`dsops top`: runs, GPUs and open incidents, drawn anew until it is told to end. In a pipe: once.</summary>
internal static class TopVerb
{
    private const int RunsAsked = 100;
    private const int IncidentsAsked = 200;

    /// <summary>Who looks at open incidents has seen older ones: `dsops incidents` lists them all.</summary>
    private static readonly TimeSpan IncidentsSince = TimeSpan.FromDays(7);

    private static readonly TimeSpan Usual = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan Least = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan Most = TimeSpan.FromHours(1);

    /// <summary>How soon a key is noticed.</summary>
    private static readonly TimeSpan Glance = TimeSpan.FromMilliseconds(100);

    public static Command Build(Terminal terminal)
    {
        var every = new Option<TimeSpan?>("--every")
        {
            Description = "Time between two looks: 2s (if none is given) to 1h.", HelpName = "TIME",
            CustomParser = result => Every(result),
        };
        var once = new Option<bool>("--once") { Description = "Draw once and end, as in a pipe." };
        var search = new Option<string?>("--search")
        {
            Description = "Only runs for which these words fit, as in `dsops runs --search`: team:alpha, state:running, -mini.",
        };
        var command = new Command("top", "Shows what runs now, what needs a person and how the GPUs are used, and goes on doing so until q "
            + "or Ctrl-C.")
        {
            every, once, search,
        };
        command.SetAction(async (parsed, cancellation) =>
        {
            string words = parsed.GetValue(search) ?? "";
            bool live = terminal.Interactive && !parsed.GetValue(once) && !parsed.WantsJson();
            if (live)
            {
                await Live(terminal, parsed, words, parsed.GetValue(every) ?? Usual, cancellation);
                return ExitCode.Ok;
            }

            var view = await Look(parsed, words, cancellation);
            if (parsed.WantsJson())
            {
                await terminal.Document.WriteLineAsync(Json(view));
                return ExitCode.Ok;
            }

            var drawing = terminal.Ansi().Profile.Out.Writer;
            foreach (string line in TopScreen.Lines(view, view.At, terminal, height: null))
            {
                await drawing.WriteLineAsync(line);
            }
            return ExitCode.Ok;
        });
        return command;
    }

    private static TimeSpan? Every(System.CommandLine.Parsing.ArgumentResult result)
    {
        string text = result.Tokens.Count > 0 ? result.Tokens[0].Value : "";
        if (IncidentsVerb.ReadSpan(text) is { } span && span >= Least && span <= Most)
        {
            return span;
        }
        result.AddError($"--every is '{text}'; write 1s to 1h, such as 5s or 2m.");
        return null;
    }

    private static async Task<TopView> Look(ParseResult parsed, string search, CancellationToken cancellation)
    {
        using var connection = await VerbAction.Connect(parsed, cancellation);
        var (client, options) = (connection.Client, ControlPlaneConnection.Options(cancellation));
        var now = TimeProvider.System.GetUtcNow();
        var runs = client.ListRunsAsync(new ListRunsRequest { Search = search, PageSize = RunsAsked }, options).ResponseAsync;
        var cluster = client.GetClusterAsync(new GetClusterRequest(), options).ResponseAsync;
        var health = client.GetHealthAsync(new GetHealthRequest(), options).ResponseAsync;
        var incidents = client.ListIncidentsAsync(new ListIncidentsRequest
        {
            Since = Timestamp.FromDateTimeOffset(now - IncidentsSince), PageSize = IncidentsAsked,
        }, options).ResponseAsync;
        await Task.WhenAll(runs, cluster, health, incidents);
        return new TopView(await runs, await cluster, await health, (await incidents).Incidents, now);
    }

    /// <summary>The terminal's other screen, so that what stood there stands there again afterwards.</summary>
    private static async Task Live(Terminal terminal, ParseResult parsed, string search, TimeSpan every, CancellationToken cancellation)
    {
        // A first answer that is a refusal is a sentence, and no screen.
        var view = await Look(parsed, search, cancellation);
        var screen = terminal.Ansi().Profile.Out.Writer;
        await screen.WriteAsync("\x1b[?1049h\x1b[?25l");
        try
        {
            string? silent = null;
            while (true)
            {
                Draw(screen, TopScreen.Lines(view, TimeProvider.System.GetUtcNow(), terminal with { Width = Width(terminal) },
                    Console.WindowHeight - 1, silent));
                if (await Quit(every, cancellation))
                {
                    return;
                }
                (view, silent) = await Again(view, parsed, search, cancellation);
            }
        }
        finally
        {
            await screen.WriteAsync("\x1b[?25h\x1b[?1049l");
            await screen.FlushAsync(CancellationToken.None);
        }
    }

    private static async Task<(TopView View, string? Silent)> Again(
        TopView view, ParseResult parsed, string search, CancellationToken cancellation)
    {
        try
        {
            return (await Look(parsed, search, cancellation), null);
        }
        catch (Exception e) when (!cancellation.IsCancellationRequested && Follow.IsLoss(e))
        {
            string at = Words.Clock(view.At, TimeProvider.System.GetUtcNow());
            return (view, $"The control plane does not answer: what stands here is of {at}. Training goes on without it; this looks "
                + "again by itself.");
        }
    }

    /// <summary>Each line is cleared to its end, and the screen below: it flickers less than a blank screen between.</summary>
    private static void Draw(TextWriter screen, IReadOnlyList<string> lines)
    {
        screen.Write("\x1b[H" + string.Concat(lines.Select(line => $"{line}\x1b[K\n")) + "\x1b[J");
        screen.Flush();
    }

    private static int Width(Terminal terminal) => Console.WindowWidth >= 20 ? Console.WindowWidth : terminal.Width;

    private static async Task<bool> Quit(TimeSpan after, CancellationToken cancellation)
    {
        long began = TimeProvider.System.GetTimestamp();
        while (TimeProvider.System.GetElapsedTime(began) < after)
        {
            if (!Console.IsInputRedirected && Console.KeyAvailable && Console.ReadKey(intercept: true).KeyChar is 'q' or 'Q')
            {
                return true;
            }
            await Task.Delay(Glance, cancellation);
        }
        return false;
    }

    private static string Json(TopView view) => ProtoJson.Document(writer =>
    {
        writer.WriteStartObject();
        writer.WritePropertyName("runs");
        ProtoJson.Write(writer, view.Runs);
        writer.WritePropertyName("cluster");
        ProtoJson.Write(writer, view.Cluster);
        writer.WritePropertyName("health");
        ProtoJson.Write(writer, view.Health);
        writer.WriteStartArray("openIncidents");
        foreach (var one in view.Incidents.Where(TopScreen.IsOpen))
        {
            ProtoJson.Write(writer, one);
        }
        writer.WriteEndArray();
        writer.WriteEndObject();
    });
}
