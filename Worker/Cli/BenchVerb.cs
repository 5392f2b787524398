using System.Globalization;
using System.Text.Json;
using DeepSeekOps.Contracts.Worker.V1;
using DeepSeekOps.Recipes.Pipelining;
using DeepSeekOps.Recipes.Weights;
using DeepSeekOps.Worker.Libtorch;
using DeepSeekOps.Worker.Model;
using DeepSeekOps.Worker.Parallel;
using DeepSeekOps.Worker.Training.Learning;
using DeepSeekOps.Worker.Training.Loop;
using TorchSharp;

namespace DeepSeekOps.Worker.Cli;

/// <summary>`dsops-worker bench …`: exit 0 ok, 1 failed, 2 usage.</summary>
internal static class BenchVerb
{
    // NVIDIA's datasheet of the Hopper SXM parts, BF16 dense: the peak that published MFU figures use.
    private const double HopperBf16Tflops = 989;

    private static readonly JsonSerializerOptions Json = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.CamelCase,
        NumberHandling = System.Text.Json.Serialization.JsonNumberHandling.AllowNamedFloatingPointLiterals,
    };

    public static int Run(string[] args, TextWriter output, TextWriter errors)
    {
        try
        {
            if (BenchOptions.Collectives(args) is { } collectives)
            {
                Collectives(collectives.Ranks, collectives.Device, output, errors);
                return 0;
            }
            if (BenchOptions.Forming(args) is { } forming)
            {
                Form(forming, output, errors);
                return 0;
            }
            if (BenchOptions.Checkpoint(args) is { } state)
            {
                Checkpoint(state.Bytes, state.Folder, state.Device, output);
                return 0;
            }
            if (BenchOptions.Parse(args) is not { } options)
            {
                errors.WriteLine(BenchOptions.Usage);
                return 2;
            }
            foreach (var precision in options.Precisions)
            {
                output.WriteLine(JsonSerializer.Serialize(Measure(options, precision, errors), Json));
            }
            return 0;
        }
        catch (Exception e) when (e is BadInputException or InvalidDataException or IOException or DllNotFoundException)
        {
            errors.WriteLine(e.Message);
            return 1;
        }
    }

    private static object Measure(BenchOptions options, Precision precision, TextWriter errors)
    {
        var work = options.Work(precision);
        var shape = StepBenchmark.ShapeOf(work);
        var (ranks, device) = options.Layout.Ranks == 1 ? Alone(work) : Gang(work, errors);
        var traced = options.Trace is null ? null : WriteTrace(options.Trace, options.Layout, ranks);
        // A step is over when its slowest rank is.
        double[] seconds = [.. Enumerable.Range(0, work.Steps).Select(step => ranks.Max(r => r.StepSeconds[step]))];
        var ordered = seconds.Order().ToList();
        var median = ordered[ordered.Count / 2];
        var tokens = (double)work.Batch * work.SequenceLength;
        var tflops = tokens * StepBenchmark.FlopsPerToken(shape, work.SequenceLength) / median / 1e12;
        var peak = options.Peak ?? (device.StartsWith("cuda", StringComparison.Ordinal) ? HopperBf16Tflops : null);
        return new
        {
            model = work.Model, precision = precision.ToString().ToLowerInvariant(), moments = work.Bf16Moments ? "bf16" : "fp32", device,
            ranks = ranks.Length, parallel = options.Layout.InWords, zero = options.Layout.DealsMoments ? 1 : 0,
            routing = work.EvenRouting ? "even" : "real", expertLoadMax = ranks.Max(r => r.ExpertLoadMax), carrier = ranks[0].Carrier,
            parameters = WeightShapes.Count(shape), batch = work.Batch, microBatch = work.MicroBatch,
            sequenceLength = work.SequenceLength,
            stepSeconds = median, fastestSeconds = ordered[0], tokensPerSecond = tokens / median, tflops, peakTflops = peak,
            mfu = tflops / ranks.Length / peak, firstLoss = ranks[0].Losses[0], lastLoss = ranks[0].Losses[^1], losses = ranks[0].Losses,
            trace = traced,
        };
    }

    /// <summary>What the newest traced step says: the one before may still warm something up.</summary>
    private static TracedStep WriteTrace(string path, GangLayout layout, BenchFigures[] ranks)
    {
        Span[][] spans = Array.ConvertAll(ranks, rank => (Span[])[.. rank.Spans.Select(
            s => new Span(s.Kind, s.Name, s.BeganNanoseconds, s.EndedNanoseconds))]);
        using var file = File.Create(path);
        using var json = new Utf8JsonWriter(file);
        ChromeTrace.Write(json, [
            .. spans.Select((own, rank) => new TraceRow(rank, 0, "this machine", Words(layout.Of(rank), rank), own)),
        ], []);
        return TracedStep.Of(spans, layout.Schedule, layout.Pipeline)[^1];
    }

    private static string Words(Coordinates at, int rank) =>
        $"rank {rank}: pipeline {at.Pipeline}, data {at.Data}, experts {at.Expert}";

    private static (BenchFigures[] Ranks, string Device) Alone(BenchWork work)
    {
        var device = ComputeDevice.Choose(work.Device);
        LibtorchLoading.SetThreads(work.Threads);
        var rank = new RankContext(0, GangLayout.Of(work.Layout, 1), device, work.Threads);
        var figures = new StepBenchmark(StepBenchmark.ShapeOf(work), rank, Mesh.Alone(), TimeProvider.System).Measure(work);
        figures.Carrier = "alone";
        return ([figures], device.ToString());
    }

    private static (BenchFigures[] Ranks, string Device) Gang(BenchWork work, TextWriter errors) =>
        (LocalGang<BenchFigures>.Run("bench", work.WorldSize, new RankLaunch { Bench = work }, report => report.Bench, errors),
            work.Device);

    private static void Collectives(int ranks, string device, TextWriter output, TextWriter errors)
    {
        var launch = new RankLaunch
        {
            Collectives = new CollectiveWork
            {
                WorldSize = ranks, Device = device, Bytes = { device == "cpu" ? CollectiveSizes : [.. CollectiveSizes, 1 << 30] },
            },
        };
        var times = LocalGang<CollectiveTimes>.Run("bench", ranks, launch, report => report.Collectives, errors);
        // A call is over when its slowest rank is.
        foreach (var call in times.SelectMany(t => t.Times).GroupBy(t => (t.Call, t.Bytes)))
        {
            var seconds = call.Max(t => t.Seconds);
            output.WriteLine(JsonSerializer.Serialize(
                new
                {
                    ranks, carrier = times[0].Carrier, call = call.Key.Call, bytes = call.Key.Bytes, seconds,
                    bytesPerSecond = call.Key.Bytes / seconds,
                },
                Json));
        }
    }

    private static void Form(
        (int Losses, GangLayout Layout, string Shrink, string Device) asked, TextWriter output, TextWriter errors)
    {
        var (losses, layout, shrink, device) = asked;
        var all = FormingGang.Run(
            layout, device, shrink, losses, seed: 1, formed => output.WriteLine(JsonSerializer.Serialize(formed, Json)), errors);
        output.WriteLine(JsonSerializer.Serialize(
            new
            {
                parallel = layout.InWords, device, shrink = shrink.Length > 0 ? shrink : null, losses, carrier = all[0].Carrier,
                median = Phases(all, 0.5), of95 = Phases(all, 0.95),
            },
            Json));
    }

    /// <summary>Of each phase by itself: they do not add up to the whole.</summary>
    private static Dictionary<string, double> Phases(IReadOnlyList<Formed> all, double share) =>
        new (string Name, Func<Formed, double> Of)[]
        {
            ("noticed", f => f.Noticed), ("letGo", f => f.LetGo), ("device", f => f.Device), ("sockets", f => f.Sockets),
            ("gpus", f => f.Gpus), ("firstCall", f => f.FirstCall), ("total", f => f.Total),
        }.ToDictionary(phase => phase.Name, phase => all.Select(phase.Of).Order().ElementAt((int)Math.Ceiling(share * all.Count) - 1));

    private static void Checkpoint(long bytes, string folder, string device, TextWriter output)
    {
        // A folder of its own in there, so that nothing else is in the way and nothing is left behind.
        var own = Directory.CreateDirectory(Path.Combine(folder, $"dsops-bench-{Environment.ProcessId}")).FullName;
        try
        {
            output.WriteLine(JsonSerializer.Serialize(new StateBenchmark(bytes, own, device).Measure(), Json));
        }
        finally
        {
            Directory.Delete(own, recursive: true);
        }
    }

    private static readonly long[] CollectiveSizes = [4 << 10, 16 << 10, 64 << 10, 1 << 20, 16 << 20, 64 << 20];
}
