using System.Collections.Concurrent;
using DeepSeekOps.Contracts.Worker.V1;
using DeepSeekOps.Worker.Agent;
using DeepSeekOps.Worker.Parallel;
using DeepSeekOps.Worker.Tests.Agent;
using DeepSeekOps.Worker.Training.Loop;
using DeepSeekOps.Worker.Training.Stages;
using TorchSharp;

namespace DeepSeekOps.Worker.Tests.Training;

/// <summary>Plans of a model so small that a step takes milliseconds, with every part of V3 in it.</summary>
internal sealed class MiniPlans : IDisposable
{
    private readonly DirectoryInfo _root = Directory.CreateTempSubdirectory("dsops-training-");

    public string Root => _root.FullName;

    public static readonly string[] Stages = ["pretrain", "extend", "sft", "rl", "distill"];

    public void Dispose() => _root.Delete(recursive: true);

    public TrainingPlan Plan(string stage, int every = 4)
    {
        var plan = new TrainingPlan
        {
            Model = Model(), Seed = 1, CheckpointRoot = Root, Device = "cpu", Threads = 1,
            Data = new DataConfig { Source = "builtin:arithmetic", Tokenizer = "byte", FimRate = 0.1, Heldout = 4 },
            Optimizer = new Optimizer { Beta1 = 0.9, Beta2 = 0.95, Epsilon = 1e-8, WeightDecay = 0.1, GradClip = 1 },
            Checkpoints = new CheckpointPolicy { EverySteps = every, Keep = 2 },
        };
        var rate = new LearningRate { Pieces = { new LearningRatePiece { Shape = "constant", To = 1e-3 } } };
        switch (stage)
        {
            case "pretrain":
                plan.Pretraining = new Pretraining
                {
                    Tokens = 24 * 4 * 16, SequenceLength = 16, BatchSize = new BatchSize { From = 4, To = 4, Micro = 2 },
                    LearningRate = rate, Alpha = 1e-4,
                    Gamma = new Milestone { Before = 0.001, AtTokens = 1000 },
                    Lambda = new Milestone { Before = 0.3, After = 0.1, AtTokens = 700 }, EmaDecay = 0.9,
                };
                break;
            case "extend":
                var yarn = new Yarn { Factor = 2, OriginalLength = 32, BetaFast = 32, BetaSlow = 1, Mscale = 1, MscaleAllDim = 1 };
                plan.ContextExtension = new ContextExtension { Alpha = 1e-4, Lambda = 0.1 };
                plan.ContextExtension.Phases.Add(
                    new ContextPhase { Name = "48", SequenceLength = 48, Steps = 12, BatchSize = 2, LearningRate = rate, Yarn = yarn });
                var wider = yarn.Clone();
                wider.Factor = 5;
                plan.ContextExtension.Phases.Add(
                    new ContextPhase { Name = "144", SequenceLength = 144, Steps = 12, BatchSize = 1, LearningRate = rate, Yarn = wider });
                break;
            case "sft":
                plan.Sft = new SupervisedFineTuning { Instances = 48, Epochs = 2, SequenceLength = 96, BatchSize = 4, LearningRate = rate };
                break;
            case "rl":
                plan.Rl = new ReinforcementLearning
                {
                    Steps = 24, Questions = 2, GroupSize = 4, MaxNewTokens = 4, Temperature = 1, ClipEpsilon = 0.2, KlBeta = 0.01,
                    Verifier = "exact", LearningRate = rate, ReferenceEvery = 3, MiniBatch = 4,
                };
                break;
            case "distill":
                plan.Distillation = new Distillation
                {
                    Samples = 48, Epochs = 2, SequenceLength = 96, BatchSize = 4, LearningRate = rate, LogitWeight = 0.5, Temperature = 1,
                    Verifier = "exact",
                    MeasureUndistilled = true,
                };
                break;
        }
        return plan;
    }

    /// <summary>A .jsonl in which each of ten questions stands once with each answer.</summary>
    public string Questions(params string[] answers)
    {
        var path = Path.Combine(Root, $"{string.Concat(answers)}.jsonl");
        File.WriteAllLines(path,
            Enumerable.Range('q', 10).SelectMany(q => answers.Select(a => $$"""{"question":"{{(char)q}}","answer":"{{a}}"}""")));
        return path;
    }

    /// <summary>
    /// A model that was fine-tuned on <see cref="Questions"/>, so that it gives their answers about equally often. Trained once for all
    /// tests, and copied to where this one has its checkpoints.
    /// </summary>
    public CheckpointRef Tuned(params string[] answers)
    {
        var (made, files) = AllTuned.GetOrAdd(string.Concat(answers), _ => new(() => Tune(answers))).Value;
        var folder = Directory.CreateDirectory(Path.Combine(Root, made.Path)).FullName;
        foreach (var (name, bytes) in files)
        {
            File.WriteAllBytes(Path.Combine(folder, name), bytes);
        }
        return made.Clone();
    }

    private static readonly ConcurrentDictionary<string, Lazy<(CheckpointRef Made, (string Name, byte[] Bytes)[] Files)>> AllTuned = [];

    private static (CheckpointRef Made, (string Name, byte[] Bytes)[] Files) Tune(string[] answers)
    {
        using var mini = new MiniPlans();
        var plan = mini.Plan("sft", every: 1000);
        (plan.Sft.Data, plan.Sft.Instances, plan.Sft.Epochs, plan.Sft.BatchSize) = (mini.Questions(answers), 20, 60, 10);
        plan.Sft.LearningRate.Pieces[0].To = 1e-2;
        using var link = Train(mini.Launch(plan, "sft", run: "tuned"));
        var final = link.Checkpoints[^1];
        return (new CheckpointRef { Path = final.Path, Digest = final.Digest, Step = final.Step, Run = "tuned", Stage = "sft" },
            [.. Directory.GetFiles(Path.Combine(mini.Root, final.Path)).Select(f => (Path.GetFileName(f), File.ReadAllBytes(f)))]);
    }

    public RankLaunch Launch(TrainingPlan plan, string stage, int attempt = 1, CheckpointReport? from = null, string run = "test",
        int roundBegan = 0) => new()
        {
            Assignment = new Assignment
            {
                Attempt = new AttemptRef { Run = run, Stage = stage, Attempt = attempt }, WorldSize = 1, Plan = plan,
                RoundBegan = roundBegan,
                ResumeFrom = from is null ? null
                : new CheckpointRef { Path = from.Path, Digest = from.Digest, Step = from.Step, Run = run, Stage = stage },
            },
        };

    public static RecordingRankLink Train(RankLaunch launch, Action<RecordingRankLink, RankReport>? onReport = null)
    {
        var link = new RecordingRankLink();
        link.OnReport = onReport is null ? null : report => onReport(link, report);
        new RankProgram().Run(launch, link, CancellationToken.None);
        return link;
    }

    /// <param name="rank">Of so many that share the rows of each batch.</param>
    public static StageContext Context(TrainingPlan plan, IRankLink link, Mesh? mesh = null, int rank = 0, int ranks = 1) =>
        StageContext.Open(plan, link, new RankContext(rank, GangLayout.Of(null, ranks), torch.CPU, Threads: 1), mesh ?? Mesh.Alone());

    /// <param name="rank">With its place in the gang.</param>
    public static StageContext Context(TrainingPlan plan, IRankLink link, Mesh mesh, int rank, GangLayout layout) =>
        StageContext.Open(plan, link, new RankContext(rank, layout, torch.CPU, Threads: 1), mesh);

    public static ModelConfig Model() => new()
    {
        VocabSize = 272, HiddenSize = 16, Layers = 2, DenseLayers = 1, IntermediateSize = 32, MoeIntermediateSize = 16, Heads = 2,
        QLoraRank = 8, KvLoraRank = 8,
        QkNopeHeadDim = 8, QkRopeHeadDim = 8, VHeadDim = 8, RoutedExperts = 4, SharedExperts = 1, ActiveExperts = 2, Groups = 2,
        LimitedGroups = 1,
        TopkMethod = "noaux_tc", NormTopkProb = true, RoutedScalingFactor = 2.5, MtpDepth = 1, RopeTheta = 10000, RmsNormEps = 1e-6,
        InitStd = 0.02,
        MaxPositionEmbeddings = 128,
    };
}
