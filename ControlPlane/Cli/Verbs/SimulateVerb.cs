using System.CommandLine;
using System.Globalization;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;
using DeepSeekOps.ControlPlane.Client;
using DeepSeekOps.Decisions.Goodput;
using DeepSeekOps.Decisions.Recipes;
using DeepSeekOps.Decisions.Simulation;
using Spectre.Console;

namespace DeepSeekOps.ControlPlane.Cli.Verbs;

/// <summary>`dsops simulate FILE`: a whole pipeline on a virtual clock, with faults, driven by the control plane's own planners.</summary>
internal static class SimulateVerb
{
    private static readonly JsonSerializerOptions Json = new()
    {
        WriteIndented = true,
        PropertyNamingPolicy = JsonNamingPolicy.CamelCase,
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
        Converters = { new JsonStringEnumConverter(JsonNamingPolicy.CamelCase) },
    };

    private static readonly Column[] Buckets =
        [new("GPU TIME", 1), new("HOURS", 1, Right: true), new("SHARE", 1, Right: true), new("WHAT IT WAS", 2, Flexible: true)];

    private static readonly Column[] Stages =
    [
        new("STAGE", 1), new("STATE", 2), new("GPUS", 4, Right: true), new("LAUNCHES", 3, Right: true), new("DAYS", 1, Right: true),
        new("ETTR", 1, Right: true), new("CLOSED FORM", 5, Right: true), new("GPU-HOURS", 3, Right: true), new("PRICE", 4, Right: true),
    ];

    private static readonly Column[] Causes =
        [new("CAUSE", 1), new("FAULTS", 2, Right: true), new("RESTARTS", 3, Right: true), new("LOST GPU-HOURS", 1, Right: true)];

    private static readonly Column[] Policies =
    [
        new("POLICY", 1), new("ETTR", 1, Right: true), new("LOST GPU-HOURS", 2, Right: true), new("BEYOND AS PLANNED", 3, Right: true),
        new("RECOVERY", 4, Right: true), new("DAYS", 5, Right: true), new("ENDED WELL", 6, Right: true),
    ];

    public static Command Build(Terminal terminal)
    {
        var file = new Argument<string>("file") { Description = "Pipeline file, YAML or JSON." };
        var nodes = new Option<int?>("--nodes")
        {
            Description = "Nodes of the cluster, without the spares. Default: the most that a stage asks for.",
        };
        var spares = new Option<int?>("--spares")
        {
            Description = "Spare nodes. Default: enough to leave 1 % chance of waiting for a repair, with trace: by its own repairs.",
        };
        var faults = new Option<string>("--faults")
        {
            Description = $"Published mix that faults are drawn from ({string.Join(", ", FaultMix.All.Select(m => m.Name))}), "
                + "or trace:FILE.csv: what happened to real machines (docs/operating.md).",
            HelpName = "MIX",
            DefaultValueFactory = _ => FaultMix.Llama3.Name,
        };
        var seed = new Option<int>("--seed") { Description = "The same seed gives the same course.", DefaultValueFactory = _ => 1 };
        var days = new Option<double?>("--days") { Description = "Stop after this many simulated days. Default: when the run ends." };
        var compare = new Option<bool>("--compare")
        {
            Description = "Play checkpoint intervals, spares, kinds of restart and timing models of other launchers side by side, "
                + "each on the same seeds.",
        };
        var seeds = new Option<int>("--seeds")
        {
            Description = "Seeds that --compare plays, from --seed on.",
            DefaultValueFactory = _ => 5,
        };
        var page = new Option<string?>("--report")
        {
            Description = "Write the result as one HTML page that needs no network.",
            HelpName = "FILE",
        };
        var command = new Command("simulate",
            "Plays a whole pipeline on a virtual clock, with faults, by the control plane's own planners.")
        {
            file, nodes, spares, faults, seed, days, compare, seeds, page,
        };
        command.SetAction(async (parsed, cancellation) =>
        {
            var pipeline = await PipelineFile.Read(parsed.GetValue(file)!, terminal, cancellation);
            var (mix, trace) = await FaultsOption.Of(parsed.GetValue(faults)!, cancellation);
            var limit = parsed.GetValue(days) is null && trace is not null ? trace.Span : Limit(parsed.GetValue(days));
            var (what, lacks) = SimulatedPipeline.For(
                pipeline, InRange(parsed.GetValue(nodes), "--nodes", 1), InRange(parsed.GetValue(spares), "--spares", 0), mix,
                parsed.GetValue(seed), limit, trace);
            if (what is null)
            {
                throw new RefusalException(
                    $"Stage {lacks} names no GPU, so nothing says how long a step takes.", "Add 'resources: {gpu: h800}' to the pipeline.");
            }

            RequireRoom(pipeline, what);
            FaultsOption.RequireMachines(trace, what.Nodes + what.Spares);
            var comparison = parsed.GetValue(compare) ? Compared(what, InRange(parsed.GetValue(seeds), "--seeds", 2)!.Value,
                terminal.Interactive && !parsed.WantsJson(), terminal, cancellation) : null;
            // A comparison has played the plain run too; only the page shows both.
            var report = comparison is null || parsed.GetValue(page) is not null ? what.Run() : null;
            if (report is not null && parsed.GetValue(page) is { } path)
            {
                await Write(path, SimulationPage.Of(report, what.Faults.Source, comparison), cancellation);
            }

            await Tell(report, comparison, what, parsed.WantsJson(), terminal);
            return ExitCode.Ok;
        });
        return command;
    }

    private static async Task Tell(
        SimulationReport? report, PolicyComparison? comparison, SimulatedPipeline what, bool json, Terminal terminal)
    {
        if (json)
        {
            await terminal.Document.WriteLineAsync(
                comparison is null ? JsonSerializer.Serialize(report, Json) : JsonSerializer.Serialize(comparison, Json));
        }
        else if (comparison is not null)
        {
            Print(comparison, what, terminal);
        }
        else if (report is not null)
        {
            Print(report, what, terminal);
        }
    }

    private static TimeSpan Limit(double? days) => days switch
    {
        null => SimulatedPipeline.NoLimit,
        <= 0 or > 3650 or double.NaN => throw new RefusalException(
            In($"--days is {days}; it must lie above 0 and up to 3650."), "Leave it out to play to the end.", ExitCode.Usage),
        { } d => TimeSpan.FromDays(d),
    };

    private static void RequireRoom(PipelineSpec pipeline, SimulatedPipeline what)
    {
        if (pipeline.Stages.FirstOrDefault(s => pipeline.ResourcesOf(s).Nodes > what.Nodes + what.Spares) is { } large)
        {
            throw new RefusalException(
                $"Stage {large.Name} asks for {pipeline.ResourcesOf(large).Nodes} nodes; the cluster has {what.Nodes}"
                    + $" and {Decisions.Words.Count(what.Spares, "spare", "spares")}.",
                "Give --nodes or --spares more, or the stage fewer.");
        }
    }

    /// <param name="watched">A person waits and has not asked for JSON: show how far it is, on the error stream.</param>
    private static PolicyComparison Compared(SimulatedPipeline what, int seeds, bool watched, Terminal terminal,
        CancellationToken cancellation)
    {
        var plays = PolicyComparison.Plays(what, seeds);
        var reports = new SimulationReport[plays.Length];
        if (!watched)
        {
            Play(() => { });
        }
        else
        {
            terminal.Ansi(terminal.Error).Progress().AutoClear(true).Start(shown =>
            {
                var done = shown.AddTask(In($"{plays.Length} simulations"), maxValue: plays.Length);
                Play(() => done.Increment(1));
            });
        }

        return PolicyComparison.Of(what, seeds, reports);

        // Each play has its own draws and its own place, so that the order in which they end changes nothing.
        void Play(Action ended) => Parallel.For(0, plays.Length, new ParallelOptions { CancellationToken = cancellation }, i =>
        {
            reports[i] = plays[i].Run();
            ended();
        });
    }

    private static async Task Write(string path, string page, CancellationToken cancellation)
    {
        try
        {
            await File.WriteAllTextAsync(path, page, cancellation);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new RefusalException($"--report is '{path}', which cannot be written: {e.Message}",
                "Name a file in a folder that exists.", cause: e);
        }
    }

    private static void Print(PolicyComparison comparison, SimulatedPipeline what, Terminal terminal)
    {
        Say(terminal, $"{comparison.Name} (simulated): faults {comparison.Faults}, seeds {comparison.Seeds[0]} "
            + $"to {comparison.Seeds[^1]}, mean with 95 % confidence interval");
        terminal.Output.WriteLine();
        Columns.Write(terminal, Policies, [.. comparison.Policies.Select(p => new[]
        {
            p.Name, ComparisonWords.Share(p.Ettr), ComparisonWords.Amount(p.LostGpuHours, "#,0", ""),
            ComparisonWords.Difference(p.LostGpuHoursBeyond),
            ComparisonWords.Amount(p.RecoverySeconds, "0", " s"), ComparisonWords.Amount(p.Days, "0.0", ""),
            In($"{p.Completed}/{comparison.Seeds.Length}"),
        })]);
        terminal.Output.WriteLine();
        foreach (string line in ComparisonWords.GaveUp(comparison))
        {
            Say(terminal, $"{line}");
        }

        foreach (var policy in comparison.Policies.Where(p => p.Source.Length > 0))
        {
            Say(terminal, $"{policy.Name}: {policy.Source}.");
        }

        Say(terminal, $"Simulated, not measured; launchers are timing models. Step times: dsops plan. Faults: {what.Faults.Source}.");
    }

    private static int? InRange(int? count, string option, int least) => count is null || (count >= least && count <= 16_384) ? count
        : throw new RefusalException($"{option} is {count}; it must lie between {least} and 16384.", $"Leave {option} out for the default.",
            ExitCode.Usage);

    private static void Print(SimulationReport report, SimulatedPipeline what, Terminal terminal)
    {
        Say(terminal, $"{report.Name} (simulated): {report.State} after {report.WallClockSeconds / 86_400:0.0} days");
        Say(terminal, $"{report.Nodes} nodes ({report.Spares} spare), {report.Gpus:#,0} GPUs, faults {report.Faults}, seed {report.Seed}");
        Say(terminal, $"ETTR {report.Ettr:0.0 %}, {report.GpuHours / 1000:#,0.0}K GPU-hours, ${report.Dollars / 1e6:0.000}M");
        if (report.Naive is { } naive)
        {
            Say(terminal, $"goodput {report.Goodput:0.00 %}, {report.Interruptions} interruptions, {report.Pages} pages; naive restart: "
                + $"{naive.Goodput:0.00 %}, {naive.Interruptions} interruptions");
        }

        if (report.SparesWanted is { } wanted)
        {
            string few = wanted.Measured is { } count ? $"{Decisions.Words.Count(count, "spare leaves", "spares leave")}"
                : "more spares than there are would leave";
            Say(terminal, $"by the trace's own repairs {few} less than 1 % of waiting; "
                + In($"the Poisson formula says {wanted.Poisson}{(wanted.Why.Length > 0 ? $", but {wanted.Why}" : "")}"));
        }

        RecoveryText.Write(report, terminal);
        terminal.Output.WriteLine();
        double total = report.GpuSeconds.Values.Sum();
        Columns.Write(terminal, Buckets,
        [
            .. Enum.GetValues<GoodputBucket>().Select(b => (Bucket: b, Seconds: report.GpuSeconds[GoodputBuckets.NameOf(b)]))
                .Where(b => b.Seconds > 0)
                .Select(b =>
                    new[] { GoodputBuckets.InWords(b.Bucket).Name, In($"{b.Seconds / 3600:#,0}"), In($"{b.Seconds / total:0.00 %}"),
                        GoodputBuckets.InWords(b.Bucket).What }),
        ]);
        terminal.Output.WriteLine();
        Columns.Write(terminal, Stages, [.. report.Stages.Select(s => new[]
        {
            s.Name, s.State, In($"{s.Gpus:#,0}"), In($"{s.Attempts}"), In($"{s.Days:0.0}"), In($"{s.Ettr:0.0 %}"),
            In($"{s.ClosedForm:0.0 %}"),
            In($"{s.GpuHours / 1000:#,0.0}K"), In($"${s.Dollars / 1e6:0.000}M"),
        })]);
        if (!report.Causes.IsEmpty)
        {
            terminal.Output.WriteLine();
            Columns.Write(terminal, Causes,
                [.. report.Causes.Select(c => new[] { c.Cause, In($"{c.Faults}"), In($"{c.Restarts}"), In($"{c.LostGpuHours:#,0}") })]);
        }

        terminal.Output.WriteLine();
        Say(terminal, $"Simulated, not measured. Step times: dsops plan. Faults: {what.Faults.Source}.");
        Say(terminal, $"Pod start, load and repair times are assumed. Approvals at gates are given at once.");
    }

    /// <summary>Numbers in it are written in one way: programs here know the invariant culture alone.</summary>
    private static void Say(Terminal terminal, string text)
    {
        foreach (string line in Columns.Wrap(text, terminal.Width))
        {
            terminal.Output.WriteLine(line);
        }
    }

    private static string In(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
