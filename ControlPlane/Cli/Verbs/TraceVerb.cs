using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.ControlPlane.Api;
using DeepSeekOps.ControlPlane.Client;
using Google.Protobuf.WellKnownTypes;

namespace DeepSeekOps.ControlPlane.Cli.Verbs;

/// <summary>`dsops trace RUN`: where the next steps of a run go, rank by rank, and as a file that Chrome draws.</summary>
internal static class TraceVerb
{
    private static readonly TimeSpan AskEvery = TimeSpan.FromMilliseconds(250);

    public static Command Build(Terminal terminal)
    {
        var name = VerbAction.RunName();
        var steps = new Option<int>("--steps")
        {
            Description = "Number of steps to record, 1 to 10.", HelpName = "N", DefaultValueFactory = _ => 2,
        };
        var stage = new Option<string?>("--stage") { Description = "Default: the stage that trains.", HelpName = "NAME" };
        var file = new Option<string?>("--out")
        {
            Description = "Also writes them in the Chrome trace format, for chrome://tracing and ui.perfetto.dev.", HelpName = "FILE",
        };
        var within = new Option<int>("--within")
        {
            Description = "Seconds to wait for the steps.", HelpName = "SECONDS", DefaultValueFactory = _ => 300,
        };
        var kept = new Option<long?>("--kept")
        {
            Description = "Records nothing: shows the newest recording that is kept with the run, or the one of this id.", HelpName = "ID",
            Arity = ArgumentArity.ZeroOrOne,
        };
        var command = new Command("trace",
            "Records the next steps of each rank while a run trains: computing, collective calls, sends, waits, and the measured bubble "
            + "beside the published formula.")
        {
            name, steps, stage, file, within, kept,
        };
        command.SetClientAction(async (client, parsed, cancellation) =>
        {
            string? path = parsed.GetValue(file);
            RequireFolder(path);
            string run = parsed.GetValue(name) ?? "";
            var request = parsed.GetResult(kept) is { Implicit: false } ? new GetTraceRequest { Run = run, Id = parsed.GetValue(kept) ?? 0 }
                : await Record(client, new RecordTraceRequest
                {
                    Run = run, Stage = parsed.GetValue(stage) ?? "", Steps = parsed.GetValue(steps),
                    Within = Duration.FromTimeSpan(TimeSpan.FromSeconds(parsed.GetValue(within))),
                }, terminal, parsed.WantsJson(), cancellation);
            request.WithoutSpans = path is null;
            var trace = await client.GetTraceAsync(request, ControlPlaneConnection.Options(cancellation));
            if (path is not null)
            {
                Save(path, trace);
                trace = Bare(trace);
            }

            if (parsed.WantsJson())
            {
                await terminal.Document.WriteLineAsync(ProtoJson.Document(trace));
            }
            else
            {
                Write(terminal, trace, path);
            }

            return ExitCode.Ok;
        });
        return command;
    }

    /// <summary>Until it is kept. What came of one that failed is the refusal.</summary>
    private static async Task<GetTraceRequest> Record(
        OpsService.OpsServiceClient client, RecordTraceRequest asked, Terminal terminal, bool quiet, CancellationToken cancellation)
    {
        var trace = await client.RecordTraceAsync(asked, ControlPlaneConnection.Options(cancellation));
        var request = new GetTraceRequest { Run = asked.Run, Id = trace.Id, Stage = trace.Stage };
        var look = new GetTraceRequest(request) { WithoutSpans = true };
        using var timer = new PeriodicTimer(AskEvery);
        string told = "";
        while (trace.State == TraceState.Recording)
        {
            if (!quiet && trace.Reason != told)
            {
                told = trace.Reason;
                await terminal.Error.WriteLineAsync(Columns.Clean(told));
            }

            await timer.WaitForNextTickAsync(cancellation);
            trace = await client.GetTraceAsync(look, ControlPlaneConnection.Options(cancellation));
        }

        return trace.State == TraceState.Kept ? request
            : throw new RefusalException($"Nothing was recorded: {trace.Reason}", $"See `dsops show {asked.Run}`.",
                ExitCode.Failed);
    }

    private static void RequireFolder(string? path)
    {
        if (path is not null && (Directory.Exists(path) || !Directory.Exists(Path.GetDirectoryName(Path.GetFullPath(path)))))
        {
            throw new RefusalException($"--out {path} is not a file that could be written.", "Name a file in a folder that is there.",
                ExitCode.Usage);
        }
    }

    private static void Save(string path, Trace trace)
    {
        try
        {
            using var stream = File.Create(path);
            using var json = new Utf8JsonWriter(stream);
            TraceFile.Write(json, trace);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new RefusalException($"--out {path} cannot be written: {e.Message}",
                $"The recording is kept: `dsops trace {trace.Run} --kept {Whole(trace.Id)} --out FILE`.", ExitCode.Failed);
        }
    }

    /// <summary>What is in the file is not printed too.</summary>
    private static Trace Bare(Trace trace)
    {
        foreach (var rank in trace.Drawn)
        {
            rank.Spans = null;
        }

        return trace;
    }

    private static void Write(Terminal terminal, Trace trace, string? path)
    {
        string last = trace.Steps == 1 ? $"step {Whole(trace.FirstStep)}"
            : $"steps {Whole(trace.FirstStep)} to {Whole(trace.FirstStep + trace.Steps - 1)}";
        string simulated = trace.Simulated ? "simulated: " : "";
        Say(terminal, $"{simulated}{trace.Run}/{trace.Stage}, attempt {Whole(trace.Attempt)}, {last}: {Time(trace.StepSeconds)} a step, "
            + $"{(trace.Ranks == 1 ? "1 rank" : $"{Whole(trace.Ranks)} ranks")}");
        bool shares = trace.Drawn.Any(r => r.HasContext);
        string[] Part(string cell) => shares ? [cell] : [];
        Column[] columns =
        [
            new("RANK", 1, Right: true), new("NODE", 8), new("PP", 6, Right: true), new("DP", 7, Right: true), new("EP", 7, Right: true),
            .. shares ? new Column[] { new("CP", 7, Right: true) } : [],
            new("COMPUTE", 2, Right: true), new("COLLECTIVE", 3, Right: true), new("SEND", 5, Right: true), new("WAIT", 4, Right: true),
            new("BUBBLE", 3, Right: true),
        ];
        Columns.Write(terminal, columns,
        [
            .. trace.Drawn.Select(r => (IReadOnlyList<string>)
                [Whole(r.Rank), r.Node, Whole(r.Pipeline), Whole(r.Data), Whole(r.Expert),
                    .. Part(r.HasContext ? Whole(r.Context) : ""), .. Cells(r.Parts)]),
            .. trace.Places.Select(p => (IReadOnlyList<string>)
                [$"all {Whole(p.Ranks)}", "", Whole(p.Pipeline), "", "", .. Part(""), .. Cells(p.Parts)]),
        ]);
        string Share(double seconds) => Words.Percent(seconds / trace.StepSeconds);
        string formula = trace.Schedule.Length == 0 ? "; without a pipeline there is no formula"
            : $"; by the formula of {trace.Schedule} {Time(trace.FormulaSeconds)} ({Share(trace.FormulaSeconds)})";
        Say(terminal, $"Bubble: {Time(trace.Parts.Bubble)} of a step ({Share(trace.Parts.Bubble)}), the mean of all ranks{formula}.");
        if (trace.Ranks > 1)
        {
            Say(terminal, $"Rank {Whole(trace.Slowest)} computed longest: the others wait for it.");
        }

        foreach (var clock in trace.Clocks.Where(c => c.OffsetNanoseconds != 0))
        {
            Say(terminal, $"The clock of {string.Join(", ", clock.Nodes)} was moved by {Time(clock.OffsetNanoseconds / 1e9)}, to within "
                + $"{Time(clock.ErrorNanoseconds / 1e9)}.");
        }

        Say(terminal, path is null ? $"As a file for chrome://tracing: `dsops trace {trace.Run} --kept {Whole(trace.Id)} --out trace.json`."
            : $"Written to {path}; chrome://tracing and ui.perfetto.dev open it.");
    }

    private static IEnumerable<string> Cells(TraceParts parts) =>
        [Time(parts.Compute), Time(parts.Collectives), Time(parts.Sends), Time(parts.Waits), Time(parts.Bubble)];

    private static void Say(Terminal terminal, string text)
    {
        foreach (string line in Columns.Wrap(Columns.Clean(text), Math.Max(20, terminal.Width)))
        {
            terminal.Output.WriteLine(line);
        }
    }

    /// <summary>Three figures, whether a step takes milliseconds or minutes.</summary>
    private static string Time(double seconds) => Math.Abs(seconds) switch
    {
        < 0.001 => string.Create(CultureInfo.InvariantCulture, $"{seconds * 1e6:0} us"),
        < 1 => string.Create(CultureInfo.InvariantCulture, $"{seconds * 1e3:0.0} ms"),
        _ => string.Create(CultureInfo.InvariantCulture, $"{seconds:0.00} s"),
    };

    private static string Whole(long number) => number.ToString(CultureInfo.InvariantCulture);
}
