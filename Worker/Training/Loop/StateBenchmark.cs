using System.Diagnostics;
using DeepSeekOps.Contracts.Worker.V1;
using DeepSeekOps.Worker.Agent;
using DeepSeekOps.Worker.Checkpoints;
using DeepSeekOps.Worker.Libtorch;
using DeepSeekOps.Worker.Model;
using DeepSeekOps.Worker.Parallel;
using DeepSeekOps.Worker.Training.Learning;
using DeepSeekOps.Worker.Training.Stages;
using TorchSharp;
using static TorchSharp.torch;

namespace DeepSeekOps.Worker.Training.Loop;

/// <summary>What saving a state costs the steps beside it, and how fast it is written, kept in memory and taken from there.</summary>
/// <param name="StateBytes">Of one checkpoint's files.</param>
/// <param name="StallSeconds">What each save kept the step from going on, but for the first: it also finds its buffers new.</param>
/// <param name="LagSeconds">From a save's start until it was durable.</param>
/// <param name="StepSeconds">Steps with no save beside them.</param>
/// <param name="StepBesideSaveSeconds">Steps right after a save was begun.</param>
/// <param name="DdSeconds">dd writes and syncs as many bytes to the same folder, after each save.</param>
/// <param name="KeepSeconds">To copy the state into memory that outlives the rank.</param>
/// <param name="RestoreSeconds">To copy it back from there.</param>
public sealed record StateFigures(
    long StateBytes, double FirstStallSeconds, IReadOnlyList<double> StallSeconds, IReadOnlyList<double> LagSeconds,
    IReadOnlyList<double> StepSeconds, IReadOnlyList<double> StepBesideSaveSeconds, IReadOnlyList<double> DdSeconds,
    IReadOnlyList<double> KeepSeconds, IReadOnlyList<double> RestoreSeconds);

/// <summary>
/// A stage as any other, with a model of about the size that was asked for, that saves now and then; its own reports say what that cost.
/// </summary>
internal sealed class StateBenchmark(long bytes, string folder, string device)
{
    /// <summary>Weights, and two moments, in float32.</summary>
    private const int BytesPerParameter = 12;

    /// <summary>Of a state of many GB each takes a while.</summary>
    private int Saves => bytes > 4L << 30 ? 3 : 6;

    /// <summary>So many steps lie between two saves that each is durable before the next.</summary>
    private const int Every = 4;

    private int Repeats => bytes > 4L << 30 ? 2 : 5;

    public StateFigures Measure()
    {
        var plan = Plan();
        var rank = new RankContext(0, new GangLayout(1, 1, 1, 1), ComputeDevice.Choose(device), Environment.ProcessorCount);
        var saved = new List<CheckpointReport>();
        var steps = new List<StepSample>();
        var dd = new List<double>();
        using var durable = new SemaphoreSlim(0);
        var link = new Listener(report =>
        {
            if (report.Checkpoint is { } checkpoint)
            {
                saved.Add(checkpoint);
                durable.Release();
            }
            if (report.Sample is { } sample)
            {
                steps.Add(sample);
                if (sample.Step % Every == Every - 1 && sample.Step > Every)
                {
                    // The next save is due after the next step, and this one's bytes are to be on the disk before dd's.
                    durable.Wait();
                    dd.Add(Dd(saved[^1].Bytes));
                }
            }
        });
        using (var loop = new StageLoop(
            new Assignment { Attempt = new AttemptRef { Run = "bench", Stage = "state", Attempt = 1 }, Plan = plan }, link,
            TimeProvider.System, rank, Mesh.Alone()))
        {
            loop.Run();
        }
        var inner = saved.Where(c => !c.Final).ToList();
        var (keep, restore) = InMemory(plan, rank);
        return new StateFigures(
            inner[0].Bytes, inner[0].Stall.ToTimeSpan().TotalSeconds, [.. inner.Skip(1).Select(c => c.Stall.ToTimeSpan().TotalSeconds)],
            [.. inner.Skip(1).Select(c => c.Lag.ToTimeSpan().TotalSeconds)],
            [.. steps.Where(s => s.Step > Every && s.Step % Every == 2).Select(s => s.StepSeconds)],
            [.. steps.Where(s => s.Step > Every && s.Step % Every == 1).Select(s => s.StepSeconds)], dd, keep, restore);
    }

    private double Dd(long size)
    {
        var path = Path.Combine(folder, "dd");
        var began = Stopwatch.GetTimestamp();
        using var dd = Process.Start(new ProcessStartInfo("dd", [
            "if=/dev/zero", $"of={path}", "bs=1M", $"count={size >> 20}", "conv=fsync", "status=none",
        ])) ?? throw new InvalidOperationException("dd did not start");
        dd.WaitForExit();
        var seconds = Stopwatch.GetElapsedTime(began).TotalSeconds;
        File.Delete(path);
        return dd.ExitCode == 0 ? seconds : throw new IOException($"dd could not write {size >> 20} MiB to {folder}.");
    }

    private (List<double> Keep, List<double> Restore) InMemory(TrainingPlan plan, RankContext rank)
    {
        var context = StageContext.Open(plan, new Listener(_ => { }), rank, Mesh.Alone());
        using var work = context.NewWork();
        work.Learner.Draw();
        using var held = new KeptMemory();
        using var memory = StateMemory.Open(new RankLaunch
        {
            Assignment = new Assignment { Attempt = new AttemptRef(), Plan = plan }, Memory = { held.Of(0) },
        }) ?? throw new InvalidOperationException("there is memory");
        var (keep, restore) = (new List<double>(), new List<double>());
        for (var i = 0; i <= Repeats + KeptMemory.Slots; i++)
        {
            using var scope = NewDisposeScope();
            var state = new Dictionary<string, IReadOnlyList<Piece>>
            {
                [ModelWeights.FileName] = [.. work.Learner.Model.PublishedTensors().Select(t => (Piece)t)],
                ["optimizer.safetensors"] = [.. work.Learner.OptimizerState],
            };
            var began = Stopwatch.GetTimestamp();
            memory.Keep(new KeptMeta(Position.Start with { Step = i + 1 }, null, [], new Dictionary<string, byte[]>(), []), state);
            var kept = Stopwatch.GetTimestamp();
            var found = memory.At(i + 1);
            foreach (var (file, pieces) in state)
            {
                found.ReadInto(pieces, file);
            }
            if (i >= KeptMemory.Slots)
            {
                keep.Add(Stopwatch.GetElapsedTime(began, kept).TotalSeconds);
                restore.Add(Stopwatch.GetElapsedTime(kept).TotalSeconds);
            }
        }
        return (keep, restore);
    }

    /// <summary>The vocabulary makes the model as large as is asked for: the other weights are those of a few layers.</summary>
    private TrainingPlan Plan()
    {
        const int Hidden = 512, Sequence = 256;
        var model = new ModelConfig
        {
            VocabSize = 272, HiddenSize = Hidden, Layers = 4, DenseLayers = 1, IntermediateSize = 1408, MoeIntermediateSize = 256,
            Heads = 8, QLoraRank = 192, KvLoraRank = 128, QkNopeHeadDim = 64, QkRopeHeadDim = 32, VHeadDim = 64, RoutedExperts = 16,
            SharedExperts = 1, ActiveExperts = 4, Groups = 4, LimitedGroups = 2, TopkMethod = "noaux_tc", NormTopkProb = true,
            RoutedScalingFactor = 1, RopeTheta = 10000, RmsNormEps = 1e-6, InitStd = 0.02, MaxPositionEmbeddings = Sequence,
        };
        var more = (bytes / BytesPerParameter) - WeightShapes.Count(ModelShapes.FromProto(model));
        model.VocabSize += (int)Math.Clamp(more / (2 * Hidden), 0, 1 << 20);
        var tokens = Sequence * (long)Every * (Saves + 1);
        return new TrainingPlan
        {
            Device = device, Threads = Environment.ProcessorCount, Seed = 1, Model = model, CheckpointRoot = folder,
            Checkpoints = new CheckpointPolicy { EverySteps = Every, Keep = 2 },
            Data = new DataConfig { Source = "builtin:arithmetic", Tokenizer = "byte" },
            Optimizer = new Optimizer { Beta1 = 0.9, Beta2 = 0.95, Epsilon = 1e-8, WeightDecay = 0.1, GradClip = 1 },
            Pretraining = new Pretraining
            {
                Tokens = tokens, SequenceLength = Sequence, BatchSize = new BatchSize { From = 1, To = 1, Micro = 1 }, Alpha = 1e-4,
                LearningRate = new LearningRate { Pieces = { new LearningRatePiece { Shape = "constant", To = 1e-3 } } },
                Gamma = new Milestone { Before = 0.001, AtTokens = tokens }, Lambda = new Milestone { Before = 0.3, AtTokens = tokens },
            },
        };
    }

    private sealed class Listener(Action<RankReport> hear) : IRankLink
    {
        public RankStop? StopOrder => null;

        public CancellationToken Stopping => CancellationToken.None;

        public CancellationToken Regrouping => CancellationToken.None;

        public IReadOnlyList<long>? Pinned => null;

        public void Report(RankReport report) => hear(report);

        public string? TakeSaveOrder() => null;

        public RankFault? TakeFault() => null;
    }
}
