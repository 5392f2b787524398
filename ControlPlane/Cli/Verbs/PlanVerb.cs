using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using DeepSeekOps.Decisions.Planning;
using Spectre.Console;

namespace DeepSeekOps.ControlPlane.Cli.Verbs;

/// <summary>`dsops plan FILE`: what a pipeline will take, before anything of it runs. Needs no control plane.</summary>
internal static class PlanVerb
{
    private static readonly JsonSerializerOptions Json = new() { WriteIndented = true, PropertyNamingPolicy = JsonNamingPolicy.CamelCase };

    public static Command Build(Terminal terminal)
    {
        var file = new Argument<string?>("file") { Description = "Pipeline file, YAML or JSON.", Arity = ArgumentArity.ZeroOrOne };
        var serving = new Option<string?>("--serving")
        {
            Description = "Plan how a trained model is served, from the measured load of its experts: a run, or a JSON or CSV file.", HelpName = "RUN|FILE",
        };
        var folder = new Option<string?>("--out") { Description = "With --serving: folder for the Kubernetes manifests.", HelpName = "DIR" };
        var image = new Option<string?>("--image") { Description = "With --out: image of the inference engine.", HelpName = "IMAGE" };
        var command = new Command("plan", "Reckons time, memory, traffic, failures and price of a pipeline before it runs.") { file, serving, folder, image };
        command.SetAction(async (parsed, cancellation) =>
        {
            if ((parsed.GetValue(file) is null) == (parsed.GetValue(serving) is null))
            {
                throw new RefusalException("plan takes either a pipeline file or --serving.", "dsops plan FILE, or dsops plan --serving RUN.", ExitCode.Usage);
            }

            if (parsed.GetValue(serving) is { } from)
            {
                await ServingPlanning.Write(from, parsed.GetValue(folder), parsed.GetValue(image), parsed, terminal, Json, cancellation);
                return ExitCode.Ok;
            }

            var plan = PipelineForecast.Of(await PipelineFile.Read(parsed.GetValue(file)!, terminal, cancellation));
            if (parsed.WantsJson())
            {
                await terminal.Output.WriteLineAsync(JsonSerializer.Serialize(plan, Json));
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
        terminal.Output.WriteLine(Say($"{plan.Name}: {Scaled(plan.Parameters)} parameters, {Scaled(plan.ActiveParameters)} active per token"));
        if (plan.Days is not null)
        {
            terminal.Output.WriteLine(Say($"all stages: {plan.Days:0.0} days, {Hours(plan.GpuHours)} GPU-hours, ${plan.Dollars / 1e6:0.000}M"));
        }
        var table = new Table().Border(TableBorder.Simple).AddColumns(
            "stage", "GPUs", "steps", "tokens", "days", "GPU-hours", "step s", "bubble", "memory GB", "checkpoint", "failures", "ETTR");
        foreach (var stage in plan.Stages)
        {
            table.AddRow(
                stage.Name, Say($"{stage.Gpus:#,0}"), Say($"{stage.Steps:#,0}"), Scaled(stage.Tokens), Or(stage.Days, "0.0"), Hours(stage.GpuHours),
                Or(stage.LastStep?.Seconds, "0.0"), Or(stage.LastStep?.BubbleShare, "0.0 %"), Or(stage.Memory?.Total / 1e9, "0"),
                Say($"{stage.CheckpointBytes / 1e9:#,0.##} GB, {stage.CheckpointSeconds:0.0} s"), Or(stage.Failures?.ExpectedFailures, "0.0"),
                Or(stage.Failures?.Ettr, "0.0 %"));
        }
        terminal.Ansi().Write(table);
        foreach (var stage in plan.Stages.Where(s => s.LastStep is not null))
        {
            Detail(stage, terminal);
        }
        Lines("Warnings", plan.Warnings, terminal);
        Lines("Not reckoned but measured or assumed", plan.Calibrated, terminal);
    }

    private static void Detail(StageForecast stage, Terminal terminal)
    {
        var (step, memory, failures) = (stage.LastStep!, stage.Memory!, stage.Failures!);
        var bubbles = step.Bubbles;
        Lines(stage.Name,
        [
            Say($"per trillion tokens: {stage.DaysPerTrillionTokens:0.00} days, {stage.GpuHoursPerTrillionTokens / 1000:0.0}K GPU-hours"),
            Say($"GFLOP per token: {stage.FlopsPerToken / 1e9:0.0} (matrix products with gate and MTP, causal, forward and backward)"),
            Say($"step: {step.BusySeconds:0.00} s busy, {step.BubbleSeconds:0.00} s bubble, {step.OptimizerSeconds:0.00} s optimizer"),
            Say($"chunks per step: {step.Chunks:0.#} on each of {step.DataParallel} data-parallel ranks"),
            Say($"bubble: 1F1B {bubbles.OneForwardOneBackward:0.00} s, ZB1P {bubbles.ZeroBubble:0.00} s, DualPipe {bubbles.DualPipe:0.00} s"),
            Say($"links, hidden behind the passes: all-to-all {step.AllToAllSeconds:0.00} s fabric and {step.NodeAllToAllSeconds:0.00} s NVLink, ")
                + Say($"pipeline neighbours {step.PointToPointSeconds:0.00} s"),
            Say($"memory GB: weights {memory.WeightsPerCopy / 1e9:0.000} x {memory.Copies}, gradients {memory.Gradients / 1e9:0.0}, ")
                + Say($"optimizer {memory.Optimizer / 1e9:0.0}, activations {memory.Activations / 1e9:0.0}, ")
                + Say($"buffers {memory.Buffers / 1e9:0.0} of {memory.Capacity / 1e9:0}"),
            Say($"failures: one in {failures.MeanTimeBetween.TotalHours:0.0} h, {failures.LostGpuHoursPerFailure:0} GPU-hours each; ")
                + Say($"best checkpoint interval {failures.BestInterval.TotalMinutes:0.0} min; {failures.Spares} spare nodes"),
        ], terminal);
    }

    private static void Lines(string title, IEnumerable<string> lines, Terminal terminal)
    {
        terminal.Output.WriteLine($"{title}:");
        foreach (string line in lines)
        {
            terminal.Output.WriteLine($"  {line}");
        }
    }

    /// <summary>A dash where nothing is reckoned.</summary>
    private static string Or(double? value, string format) => value?.ToString(format, CultureInfo.InvariantCulture) ?? "-";

    private static string Hours(double? value) => value is null ? "-" : Say($"{value / 1000:#,0.0}K");

    /// <summary>In thousands, millions or billions, whichever leaves a figure to read.</summary>
    private static string Scaled(double? value) => value switch
    {
        null => "-",
        >= 1e9 => Say($"{value / 1e9:#,0.00}B"),
        >= 1e6 => Say($"{value / 1e6:0.0}M"),
        >= 1e3 => Say($"{value / 1e3:#,0.0}K"),
        _ => Say($"{value:0.#}"),
    };

    private static string Say(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
