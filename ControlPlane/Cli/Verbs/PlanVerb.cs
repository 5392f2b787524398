using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;
using DeepSeekOps.ControlPlane.Client;
using DeepSeekOps.Decisions.Planning;

namespace DeepSeekOps.ControlPlane.Cli.Verbs;

/// <summary>`dsops plan FILE`: what a pipeline will take, before anything of it runs. Needs no control plane.</summary>
internal static class PlanVerb
{
    /// <summary>As ForecastPipeline answers over REST: what has no estimate is missing, durations are seconds with an s.</summary>
    private static readonly JsonSerializerOptions Json = new()
    {
        WriteIndented = true, PropertyNamingPolicy = JsonNamingPolicy.CamelCase,
        DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull, Converters = { new DurationConverter() },
    };

    private const string Checkpoint = "CHECKPOINT";

    // 80 columns with DeepSeek-V3's figures, in a pipe as well: what else is known of a stage stands in its lines below the table.
    private static readonly Column[] Table =
    [
        new("STAGE", 1), new("GPUS", 3, Right: true), new("STEPS", 2, Right: true), new("TOKENS", 2, Right: true),
        new("DAYS", 1, Right: true),
        new("GPU-HOURS", 1, Right: true), new("STEP", 4, Right: true), new("MEMORY", 5, Right: true), new("ETTR", 6, Right: true),
        new(Checkpoint, 7, Right: true),
    ];

    public static Command Build(Terminal terminal)
    {
        var file = new Argument<string?>("file") { Description = "Pipeline file, YAML or JSON.", Arity = ArgumentArity.ZeroOrOne };
        var serving = new Option<string?>("--serving")
        {
            Description = "Plan how a trained model is served, from the measured load of its experts: a run, or a JSON or CSV file.",
            HelpName = "RUN|FILE",
        };
        var folder = new Option<string?>("--out")
        {
            Description = "With --serving: folder for the Kubernetes manifests.",
            HelpName = "DIR",
        };
        var image = new Option<string?>("--image") { Description = "With --out: image of the inference engine.", HelpName = "IMAGE" };
        var command = new Command("plan", "Estimates time, memory, traffic, failures and price of a pipeline before it runs.") { file,
            serving, folder, image };
        command.SetAction(async (parsed, cancellation) =>
        {
            if ((parsed.GetValue(file) is null) == (parsed.GetValue(serving) is null))
            {
                throw new RefusalException("plan takes either a pipeline file or --serving.",
                    "dsops plan FILE, or dsops plan --serving RUN.", ExitCode.Usage);
            }

            if (parsed.GetValue(serving) is { } from)
            {
                await ServingPlanning.Write(from, parsed.GetValue(folder), parsed.GetValue(image), parsed, terminal, Json, cancellation);
                return ExitCode.Ok;
            }

            var plan = PipelineForecast.Of(await PipelineFile.Read(parsed.GetValue(file)!, terminal, cancellation));
            if (parsed.WantsJson())
            {
                await terminal.Document.WriteLineAsync(JsonSerializer.Serialize(plan, Json));
            }
            else
            {
                Print(plan, terminal);
            }
            return ExitCode.Ok;
        });
        return command;
    }

    private static void Print(PipelineForecast plan, Terminal terminal)
    {
        terminal.Output.WriteLine(
            Say($"{plan.Name}: {Scaled(plan.Parameters)} parameters, {Scaled(plan.ActiveParameters)} active per token"));
        if (plan.Days is not null)
        {
            string stages = Decisions.Words.Count(plan.Stages.Length, "stage", "stages together");
            terminal.Output.WriteLine(Say($"{stages}: {plan.Days:0.0} days, {Scaled(plan.GpuHours)} GPU-hours, ${Scaled(plan.Dollars)}"));
        }
        terminal.Output.WriteLine();
        WriteTable(plan, terminal);
        bool detailed = plan.Stages.Any(s => s.LastStep is not null);
        foreach (var stage in plan.Stages.Where(_ => detailed))
        {
            Detail(stage, terminal);
        }
        Lines("Warnings", plan.Warnings, terminal);
        Lines("Measured or assumed, not computed", plan.Calibrated, terminal);
    }

    /// <summary>Without the columns that have no figure: of a processor nobody knows how long its steps take.</summary>
    private static void WriteTable(PipelineForecast plan, Terminal terminal)
    {
        var rows = plan.Stages.Select(RowOf).ToList();
        bool detailed = plan.Stages.Any(s => s.LastStep is not null);
        int[] shown = [.. Enumerable.Range(0, Table.Length).Where(i => rows.Exists(row => row[i] != "-"))
            .Where(i => !detailed || Table[i].Header != Checkpoint)];
        Columns.Write(terminal, [.. shown.Select(i => Table[i])], [.. rows.Select(row => shown.Select(i => row[i]).ToArray())]);
    }

    private static IReadOnlyList<string> RowOf(StageForecast stage) =>
    [
        stage.Name, Say($"{stage.Gpus:#,0}"), Say($"{stage.Steps:#,0}"), Scaled(stage.Tokens), Or(stage.Days, Places(stage.Days)),
        Scaled(stage.GpuHours),
        Or(stage.LastStep?.Seconds, $"{Places(stage.LastStep?.Seconds)} s"), Or(stage.Memory?.Total / 1e9, "0 GB"),
        Or(stage.Failures?.Ettr, "0.0 %"), Decisions.Words.Size(stage.CheckpointBytes),
    ];

    /// <summary>What takes an hour of many GPUs is not 0.0 days.</summary>
    private static string Places(double? value) => value is < 0.1 ? "0.000" : "0.0";

    private static void Detail(StageForecast stage, Terminal terminal)
    {
        if (stage is not { LastStep: { } step, Memory: { } memory, Failures: { } failures })
        {
            Lines(stage.Name, [$"checkpoint: {Decisions.Words.Size(stage.CheckpointBytes)}"], terminal);
            return;
        }

        var bubbles = step.Bubbles;
        Lines(stage.Name,
        [
            Say($"per trillion tokens: {stage.DaysPerTrillionTokens:0.00} days, {Scaled(stage.GpuHoursPerTrillionTokens)} GPU-hours"),
            Say($"GFLOP per token: {stage.FlopsPerToken / 1e9:0.0} (matrix products with gate and MTP, causal, forward and backward)"),
            Say($"step: {step.BusySeconds:0.00} s busy, {step.BubbleSeconds:0.00} s bubble ({step.BubbleShare:0.0 %}), ")
                + Say($"{step.OptimizerSeconds:0.00} s optimizer"),
            Say($"chunks per step: {step.Chunks:0.#} on each of {step.DataParallel} data-parallel ranks"),
            Say($"bubble: 1F1B {bubbles.OneForwardOneBackward:0.00} s, ZB1P {bubbles.ZeroBubble:0.00} s, ")
                + Say($"DualPipe {bubbles.DualPipe:0.00} s, DualPipeV {bubbles.DualPipeV:0.00} s"),
            Say($"links, hidden behind the passes: all-to-all {step.AllToAllSeconds:0.00} s fabric and ")
                + Say($"{step.NodeAllToAllSeconds:0.00} s NVLink, pipeline neighbours {step.PointToPointSeconds:0.00} s"),
            Say($"memory GB: weights {memory.WeightsPerCopy / 1e9:0.000} x {memory.Copies}, gradients {memory.Gradients / 1e9:0.0}, ")
                + Say($"optimizer {memory.Optimizer / 1e9:0.0}, activations {memory.Activations / 1e9:0.0}, ")
                + Say($"buffers {memory.Buffers / 1e9:0.0} of {memory.Capacity / 1e9:0}"),
            Say($"checkpoint: {Decisions.Words.Size(stage.CheckpointBytes)} in {stage.CheckpointSeconds:0.0} s, best written each ")
                + Say($"{failures.BestInterval.TotalMinutes:0.0} min"),
            Say($"failures: {failures.ExpectedFailures:0.0} expected, one in {failures.MeanTimeBetween.TotalHours:0.0} h, ")
                + Say($"{failures.LostGpuHoursPerFailure:0} GPU-hours each; {Or(failures.Ettr, "0.0 %")} of the time trains; ")
                + Decisions.Words.Count(failures.Spares, "spare node", "spare nodes"),
        ], terminal);
    }

    private static void Lines(string title, IReadOnlyCollection<string> lines, Terminal terminal)
    {
        if (lines.Count == 0)
        {
            return;
        }
        terminal.Output.WriteLine();
        terminal.Output.WriteLine($"{title}:");
        foreach (string line in lines.SelectMany(line => Columns.Hang(line, terminal.Width, indent: 2)))
        {
            terminal.Output.WriteLine(line);
        }
    }

    /// <summary>A dash where there is no estimate.</summary>
    private static string Or(double? value, string format) => value?.ToString(format, CultureInfo.InvariantCulture) ?? "-";

    private static string Scaled(double? value) => value is { } known ? Words.Count(known) : Words.None;

    private static string Say(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
