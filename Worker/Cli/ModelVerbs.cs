using System.Globalization;
using System.Runtime.InteropServices;
using System.Text.Json;
using DeepSeekOps.Worker.Model;
using DeepSeekOps.Worker.Parallel;

namespace DeepSeekOps.Worker.Cli;

/// <summary>`dsops-worker model …`: exit 0 ok, 1 failed or beyond tolerance, 2 usage.</summary>
internal static class ModelVerbs
{
    private static readonly JsonSerializerOptions Json = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.CamelCase, WriteIndented = true,
        NumberHandling = System.Text.Json.Serialization.JsonNumberHandling.AllowNamedFloatingPointLiterals,
    };

    public static int Run(string[] args, TextWriter output, TextWriter errors)
    {
        var json = args.Contains("--json");
        try
        {
            switch (args.Where(a => a != "--json").ToArray())
            {
                case ["check", var folder] when !folder.StartsWith('-'):
                    return Told(ReferenceCheck.Run(folder), json, output);
                case ["check", var folder, "--parallel", var layout] when !folder.StartsWith('-'):
                    return Told(ReferenceGang.Run(folder, Few(GangLayout.Parse(layout)), "cpu", errors), json, output);
                case ["check", var folder, "--parallel", var layout, "--device", var device]
                    when !folder.StartsWith('-') && device is ("cpu" or "cuda"):
                    return Told(ReferenceGang.Run(folder, Few(GangLayout.Parse(layout)), device, errors), json, output);
                case ["params", var model] when !model.StartsWith('-'):
                    return Params(model, json, output);
                default:
                    errors.WriteLine("""
                        Usage: dsops model check FOLDER [--parallel dp=N,ep=N,pp=N,cp=N,nodes=N,schedule=NAME [--device cpu|cuda]]
                               [--json]
                                 compares a model folder with its expected.json, expected.safetensors and batches.safetensors;
                                 --parallel: computed by dp × ep × pp × cp rank processes on this machine, each with a GPU of its
                                 own where --device is cuda; cp=N: so many share each sequence; nodes=N: tokens travel as if the
                                 ranks were on N nodes;
                                 NAME is the pipeline's order: 1f1b, zb1p, dualpipe or dualpipev
                               dsops model params PRESET|config.json [--json]
                                 counts parameters from shapes
                        """);
                    return 2;
            }
        }
        catch (Exception e) when (e is BadInputException or IOException or UnauthorizedAccessException or DllNotFoundException
            or ExternalException or InvalidOperationException or ArgumentException or InvalidDataException)
        {
            // The last three are libtorch's: of shapes that do not fit, or of memory that is not there.
            var message = e.Message.Split('\n')[0];
            errors.WriteLine(json ? JsonSerializer.Serialize(new { error = new { message, fix = "", exitCode = 1 } }, Json) : message);
            return 1;
        }
    }

    internal static GangLayout Few(GangLayout layout) => layout.Ranks <= LocalGang<object>.MostRanks ? layout
        : throw new InvalidDataException($"--parallel asks for {layout.Ranks} rank processes on this machine: at most "
            + $"{LocalGang<object>.MostRanks} are started.");

    private static int Told(ReferenceDeviations seen, bool json, TextWriter output)
    {
        if (json)
        {
            output.WriteLine(JsonSerializer.Serialize(seen, Json));
        }
        else
        {
            Row("logits", seen.Logits, ReferenceDeviations.LogitsTolerance, "absolute");
            Row("loss", seen.Loss, ReferenceDeviations.LossTolerance, "absolute");
            Row("gradient norms", seen.GradNorms, ReferenceDeviations.GradNormsTolerance, "relative");
            Row("AdamW losses", seen.AdamwLosses, ReferenceDeviations.AdamwLossesTolerance, "absolute");
            output.WriteLine(seen.Passed ? "passed" : "beyond tolerance");
        }

        return seen.Passed ? 0 : 1;

        void Row(string what, double deviation, double tolerance, string kind) => output.WriteLine(
            string.Create(CultureInfo.InvariantCulture, $"{what,-15} {deviation:0.0e-00} (tolerance {tolerance:0.0e-00}, {kind})"));
    }

    private static int Params(string model, bool json, TextWriter output)
    {
        var shape = ModelFolder.ShapeOf(model);
        var main = shape with { MtpDepth = 0 };
        var (total, active) = (WeightShapes.Count(main), WeightShapes.CountActive(main));
        var mtp = WeightShapes.Count(shape) - total;
        output.WriteLine(json
            ? JsonSerializer.Serialize(new { total, active, mtp }, Json)
            : string.Create(CultureInfo.InvariantCulture, $"""
                total             {total,18:N0}
                active per token  {active,18:N0}
                MTP modules, more {mtp,18:N0}
                """));
        return 0;
    }
}
