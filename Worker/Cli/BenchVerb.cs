using System.Globalization;
using System.Text.Json;
using DeepSeekOps.Contracts.Worker.V1;
using DeepSeekOps.Worker.Libtorch;
using DeepSeekOps.Worker.Model;
using DeepSeekOps.Worker.Training.Learning;
using TorchSharp;

namespace DeepSeekOps.Worker.Cli;

/// <summary>`dsops-worker bench …`: exit 0 ok, 1 failed, 2 usage.</summary>
internal static class BenchVerb
{
    // NVIDIA's datasheet of the Hopper SXM parts, BF16 dense: the peak that published MFU figures use.
    private const double HopperBf16Tflops = 989;

    private const string OneGpu = "one-gpu";

    private static readonly JsonSerializerOptions Json = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.CamelCase,
        NumberHandling = System.Text.Json.Serialization.JsonNumberHandling.AllowNamedFloatingPointLiterals,
    };

    public static int Run(string[] args, TextWriter output, TextWriter errors)
    {
        if (args is ["--collectives", var count] && Options.Count(count) is { } ranks and >= 2 and <= LocalGang<object>.MostRanks)
        {
            return Collectives(ranks, output, errors);
        }

        if (Options.Parse(args) is not { } options)
        {
            errors.WriteLine("""
                Usage: dsops-worker bench [--model one-gpu|PRESET|config.json] [--precision fp32,bf16,fp8] [--moments bf16|fp32] [--batch N] [--sequence N] [--steps N]
                                          [--device cpu|cuda[:N]|auto] [--threads N] [--peak TFLOPS]
                         times whole training steps on random tokens, one line of JSON per precision; MFU is against --peak
                         (default: 989 on a Hopper GPU)
                       dsops-worker bench --collectives RANKS
                         times collective calls of 2 to 64 rank processes on this machine, one line of JSON per call and size
                """);
            return 2;
        }

        try
        {
            var shape = (options.Model == OneGpu ? StepBenchmark.OneGpu : ModelVerbs.ShapeOf(options.Model)) with
            {
                MaxPositionEmbeddings = options.Sequence,
            };
            var device = ComputeDevice.Choose(options.Device);
            LibtorchLoading.SetThreads(options.Threads);
            var peak = options.Peak ?? (device.type == DeviceType.CUDA ? HopperBf16Tflops : null);
            foreach (var precision in options.Precisions)
            {
                var figures = new StepBenchmark(shape, device, TimeProvider.System)
                    .Measure(options.Model, precision, options.Bf16Moments, options.Batch, options.Sequence, options.Steps, peak);
                output.WriteLine(JsonSerializer.Serialize(figures, Json));
            }

            return 0;
        }
        catch (Exception e) when (e is BadInputException or InvalidDataException or IOException or DllNotFoundException)
        {
            errors.WriteLine(e.Message);
            return 1;
        }
    }

    private static int Collectives(int ranks, TextWriter output, TextWriter errors)
    {
        try
        {
            var launch = new RankLaunch { Collectives = new CollectiveWork { WorldSize = ranks, Bytes = { CollectiveSizes } } };
            var times = LocalGang<CollectiveTimes>.Run("bench", ranks, launch, report => report.Collectives, errors);
            // A call is over when its slowest rank is.
            foreach (var call in times.SelectMany(t => t.Times).GroupBy(t => (t.Call, t.Bytes)))
            {
                var seconds = call.Max(t => t.Seconds);
                output.WriteLine(
                    JsonSerializer.Serialize(
                        new { ranks, call = call.Key.Call, bytes = call.Key.Bytes, seconds, bytesPerSecond = call.Key.Bytes / seconds },
                        Json));
            }

            return 0;
        }
        catch (Exception e) when (e is InvalidDataException or IOException or DllNotFoundException)
        {
            errors.WriteLine(e.Message);
            return 1;
        }
    }

    private static readonly long[] CollectiveSizes = [4 << 10, 16 << 10, 64 << 10, 1 << 20, 16 << 20, 64 << 20];

    private sealed record Options(string Model, IReadOnlyList<Precision> Precisions, bool Bf16Moments, int Batch, int Sequence, int Steps,
        string Device, int Threads, double? Peak)
    {
        /// <summary>Null: what was asked for makes no sense.</summary>
        public static Options? Parse(string[] args)
        {
            var options = new Options(OneGpu, [Precision.Bf16], true, 4, 4096, 10, "auto", Environment.ProcessorCount, null);
            for (var i = 0; i + 1 < args.Length; i += 2)
            {
                var value = args[i + 1];
                if (options is not null)
                {
                    options = args[i] switch
                    {
                        "--model" => options with { Model = value },
                        "--precision" when Parsed(value) is { } precisions => options with { Precisions = precisions },
                        "--moments" when value is "bf16" or "fp32" => options with { Bf16Moments = value == "bf16" },
                        "--batch" when Count(value) is { } n => options with { Batch = n },
                        "--sequence" when Count(value) is { } n => options with { Sequence = n },
                        "--steps" when Count(value) is { } n => options with { Steps = n },
                        "--threads" when Count(value) is { } n => options with { Threads = n },
                        "--device" => options with { Device = value },
                        "--peak" when double.TryParse(value, CultureInfo.InvariantCulture, out var peak) && peak > 0 =>
                            options with { Peak = peak },
                        _ => null,
                    };
                }
            }

            return args.Length % 2 == 0 ? options : null;
        }

        public static int? Count(string text) =>
            int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var n) && n > 0 ? n : null;

        private static Precision[]? Parsed(string text)
        {
            Precision?[] each = [.. text.Split(',').Select(p => p switch
            {
                "fp32" => Precision.Fp32, "bf16" => Precision.Bf16, "fp8" => Precision.Fp8, _ => (Precision?)null,
            })];
            return each.Contains(null) ? null : [.. each.OfType<Precision>()];
        }
    }
}
