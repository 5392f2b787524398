using System.Globalization;
using DeepSeekOps.Contracts.Worker.V1;
using DeepSeekOps.Worker.Parallel;
using DeepSeekOps.Worker.Training.Learning;

namespace DeepSeekOps.Worker.Cli;

/// <summary>What `dsops-worker bench` was asked for.</summary>
internal sealed record BenchOptions(string Model, IReadOnlyList<Precision> Precisions, bool Bf16Moments, int Batch, int Micro, int Sequence,
    int Steps, string Device, int Threads, double? Peak, GangLayout Layout, bool Even)
{
    private const int TracedSteps = 2;

    /// <summary>The file for what each rank did in a few more steps; null: nothing is traced.</summary>
    public string? Trace { get; init; }

    public const string Usage = """
        Usage: dsops-worker bench [--model one-gpu|PRESET|config.json] [--precision fp32,bf16,fp8]
                                  [--moments bf16|fp32] [--batch N] [--micro N] [--sequence N] [--steps N]
                                  [--device cpu|cuda[:N]|auto] [--threads N] [--peak TFLOPS]
                                  [--parallel dp=N,ep=N,pp=N,cp=N,nodes=N,schedule=NAME] [--zero 0|1]
                                  [--routing real|even] [--trace FILE]
                 times whole training steps on random tokens, one line of JSON per precision; MFU is
                 against --peak for each GPU (default: 989 on a Hopper GPU). --batch is that of all
                 ranks, --micro what a rank takes at once. With --parallel, pp × ep × dp × cp rank processes
                 on this machine, each with a GPU of its own where --device is cuda. --trace writes what
                 each rank did in two steps more, for chrome://tracing or Perfetto, and tells the bubble
               dsops-worker bench --collectives RANKS [--device cpu|cuda]
                 times collective calls of 2 to 64 rank processes on this machine, one line of JSON per
                 call and size
               dsops-worker bench --forming LOSSES --parallel dp=N,ep=N,pp=N [--device cpu|cuda]
                 kills a rank of such a gang again and again and times, by phases, how long it is until
                 all others and a waiting process in its place have their next sum, one line of JSON each
               dsops-worker bench --forming LOSSES --parallel dp=N --shrink anew|nccl [--device cpu|cuda]
                 the same, and nobody takes its place: the others connect anew, or shrink what they had
                 by ncclCommShrink (cuda)
               dsops-worker bench --checkpoint MIB --folder FOLDER [--device cpu|cuda]
                 times how long steps wait for saves of a state of that size to FOLDER, how fast they
                 are written beside dd, and keeping and restoring it in memory, one line of JSON
        """;

    /// <summary>Null: that is not what was asked for.</summary>
    public static (int Ranks, string Device)? Collectives(string[] args) => args switch
    {
        ["--collectives", var count] when Ranks(count) is { } ranks => (ranks, "cpu"),
        ["--collectives", var count, "--device", "cpu" or "cuda"] when Ranks(count) is { } ranks => (ranks, args[3]),
        _ => null,
    };

    /// <summary>Null: that is not what was asked for.</summary>
    /// <exception cref="InvalidDataException">The layout is written wrongly.</exception>
    public static (int Losses, GangLayout Layout, string Shrink, string Device)? Forming(string[] args) => args switch
    {
        ["--forming", var count, "--parallel", var layout, .. var rest] when Count(count) is { } losses
            && Ends(rest) is var (shrink, device) && ModelVerbs.Few(GangLayout.Parse(layout)) is { Ranks: > 1 } gang
            && (shrink.Length == 0 || gang is { Pipeline: 1, Tensor: 1, Expert: 1 }) => (losses, gang, shrink, device),
        _ => null,
    };

    private static (string Shrink, string Device)? Ends(string[] rest) => rest switch
    {
        [] => ("", "cpu"),
        ["--device", "cpu" or "cuda"] => ("", rest[1]),
        ["--shrink", "anew"] => ("anew", "cpu"),
        ["--shrink", "anew", "--device", "cpu" or "cuda"] or ["--shrink", "nccl", "--device", "cuda"] => (rest[1], rest[3]),
        _ => null,
    };

    /// <summary>Null: that is not what was asked for.</summary>
    public static (long Bytes, string Folder, string Device)? Checkpoint(string[] args) => args switch
    {
        ["--checkpoint", var mib, "--folder", var folder] when Count(mib) is { } n => ((long)n << 20, folder, "cpu"),
        ["--checkpoint", var mib, "--folder", var folder, "--device", "cpu" or "cuda"] when Count(mib) is { } n =>
            ((long)n << 20, folder, args[^1]),
        _ => null,
    };

    /// <summary>Null: what was asked for makes no sense.</summary>
    /// <exception cref="InvalidDataException">The layout is written wrongly.</exception>
    public static BenchOptions? Parse(string[] args)
    {
        var options = new BenchOptions(
            StepBenchmark.OneGpuName, [Precision.Bf16], true, 4, 0, 4096, 10, "auto", 0, null, new GangLayout(1, 1, 1, 1), false);
        for (var i = 0; i + 1 < args.Length; i += 2)
        {
            options = options?.With(args[i], args[i + 1]);
        }
        return args.Length % 2 == 0 ? options : null;
    }

    public BenchWork Work(Precision precision) => new()
    {
        WorldSize = Layout.Ranks, Layout = Layout.ToProto(), Model = Model, Precision = precision, Bf16Moments = Bf16Moments,
        Batch = Batch, MicroBatch = Micro, SequenceLength = Sequence, Steps = Steps, Device = Device, EvenRouting = Even,
        TraceSteps = Trace is null ? 0 : TracedSteps,
        Threads = Threads > 0 ? Threads : Math.Max(1, Environment.ProcessorCount / Layout.Ranks),
    };

    private BenchOptions? With(string option, string value) => option switch
    {
        "--model" => this with { Model = value },
        "--precision" when Parsed(value) is { } precisions => this with { Precisions = precisions },
        "--moments" when value is "bf16" or "fp32" => this with { Bf16Moments = value == "bf16" },
        "--batch" when Count(value) is { } n => this with { Batch = n },
        "--micro" when Count(value) is { } n => this with { Micro = n },
        "--sequence" when Count(value) is { } n => this with { Sequence = n },
        "--steps" when Count(value) is { } n => this with { Steps = n },
        "--threads" when Count(value) is { } n => this with { Threads = n },
        "--device" => this with { Device = value },
        "--trace" => this with { Trace = value },
        "--parallel" => this with { Layout = ModelVerbs.Few(GangLayout.Parse(value)) with { DealsMoments = Layout.DealsMoments } },
        "--zero" when value is "0" or "1" => this with { Layout = Layout with { DealsMoments = value == "1" } },
        "--routing" when value is "real" or "even" => this with { Even = value == "even" },
        "--peak" when double.TryParse(value, CultureInfo.InvariantCulture, out var peak) && peak > 0 => this with { Peak = peak },
        _ => null,
    };

    private static int? Ranks(string text) => Count(text) is { } ranks and >= 2 and <= LocalGang<object>.MostRanks ? ranks : null;

    private static int? Count(string text) =>
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
