using DeepSeekOps.Contracts.Worker.V1;
using DeepSeekOps.Worker.Agent;
using DeepSeekOps.Worker.Checkpoints;
using DeepSeekOps.Worker.Parallel;
using DeepSeekOps.Worker.Training.Stages;
using TorchSharp;
using static TorchSharp.torch;

namespace DeepSeekOps.Worker.Training.Loop;

/// <summary>
/// Two steps of a model of a few thousand weights, kept in memory and read back: so that a standby that takes a dead rank's place finds all
/// code compiled that its gang waits for. Leaves no trace in numbers: each step of a launch seeds its own.
/// </summary>
internal static class Rehearsal
{
    private const int Width = 16;

    public static void Play()
    {
        using var scope = NewDisposeScope();
        var plan = Plan();
        var context = StageContext.Open(plan, new Silent(), new RankContext(0, new GangLayout(1, 1, 1, 1), CPU, Threads: 1), Mesh.Alone());
        using var work = context.NewWork();
        work.Learner.Draw();
        var position = Position.Start;
        for (var step = 1; step <= 2; step++)
        {
            using var result = NewDisposeScope();
            _ = work.Step(position).Norm.ToDouble();
            position = position with { Step = step };
        }
        using var held = new KeptMemory();
        using var memory = StateMemory.Open(new RankLaunch
        {
            Assignment = new Assignment { Attempt = new AttemptRef(), Plan = plan }, Memory = { held.Of(0) },
        });
        IReadOnlyList<Piece> weights = [.. work.Learner.Model.PublishedTensors().Select(t => (Piece)t)];
        memory!.Keep(new KeptMeta(position, null, [], new Dictionary<string, byte[]>(), []),
            new Dictionary<string, IReadOnlyList<Piece>> { [ModelWeights.FileName] = weights });
        _ = AgreedStep.Of([memory.Steps], onDisk: -1);
        memory.At(position.Step).ReadInto(weights, ModelWeights.FileName);
    }

    private static TrainingPlan Plan() => new()
    {
        Device = "cpu", Threads = 1, Seed = 1,
        Model = new ModelConfig
        {
            VocabSize = 272, HiddenSize = Width, Layers = 2, DenseLayers = 1, IntermediateSize = Width, MoeIntermediateSize = Width,
            Heads = 2, QLoraRank = 8, KvLoraRank = 8, QkNopeHeadDim = 8, QkRopeHeadDim = 8, VHeadDim = 8, RoutedExperts = 4,
            SharedExperts = 1, ActiveExperts = 2, Groups = 2, LimitedGroups = 1, TopkMethod = "noaux_tc", NormTopkProb = true,
            RoutedScalingFactor = 1, MtpDepth = 1, RopeTheta = 10000, RmsNormEps = 1e-6, InitStd = 0.02, MaxPositionEmbeddings = 128,
        },
        Data = new DataConfig { Source = "builtin:arithmetic", Tokenizer = "byte", FimRate = 0.1 },
        Optimizer = new Optimizer { Beta1 = 0.9, Beta2 = 0.95, Epsilon = 1e-8, WeightDecay = 0.1, GradClip = 1 },
        Pretraining = new Pretraining
        {
            Tokens = 1024, SequenceLength = Width, BatchSize = new BatchSize { From = 2, To = 2, Micro = 1 }, EmaDecay = 0.9, Alpha = 1e-4,
            LearningRate = new LearningRate { Pieces = { new LearningRatePiece { Shape = "constant", To = 1e-3 } } },
            Gamma = new Milestone { Before = 0.001, AtTokens = 1024 }, Lambda = new Milestone { Before = 0.3, AtTokens = 1024 },
        },
    };

    /// <summary>Nobody hears of it, and nobody gives orders.</summary>
    private sealed class Silent : IRankLink
    {
        public RankStop? StopOrder => null;

        public CancellationToken Stopping => CancellationToken.None;

        public CancellationToken Regrouping => CancellationToken.None;

        public void Report(RankReport report) { }

        public string? TakeSaveOrder() => null;

        public RankFault? TakeFault() => null;

        public IReadOnlyList<long>? Pinned => null;
    }
}
