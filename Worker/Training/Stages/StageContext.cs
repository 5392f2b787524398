using System.Collections.Frozen;
using DeepSeekOps.Contracts.Worker.V1;
using DeepSeekOps.Worker.Agent;
using DeepSeekOps.Worker.Data;
using DeepSeekOps.Worker.Model;
using DeepSeekOps.Worker.Parallel;
using DeepSeekOps.Worker.Training.Learning;
using TorchSharp;
using static TorchSharp.torch;

namespace DeepSeekOps.Worker.Training.Stages;

/// <summary>What every stage is given: its plan, its data, whom to tell, who this rank is and whom it computes with.</summary>
public sealed record StageContext(TrainingPlan Plan, ITrainingData Data, ITokenizer Tokenizer, IRankLink Link, RankContext Rank, Mesh Mesh)
{
    public Device Device => Rank.Device;

    // Stages draw their problems from ranges of their own, so that RL does not repeat what fine-tuning has shown.
    public const long RlProblems = 1L << 32;
    public const long DistillationProblems = 2L << 32;

    private readonly List<InputMark> _inputs = [];

    /// <summary>What its checkpoints say that they were trained with: the tokenizer's file first, where there is one.</summary>
    public IReadOnlyList<InputMark> Inputs => _inputs;

    public Evaluation Evaluation { get; } = new(Data, Tokenizer, Link, Mesh.World);

    public static StageContext Open(TrainingPlan plan, IRankLink link, RankContext rank, Mesh mesh)
    {
        var tokenizer = TokenizerFiles.Open(plan.Data.Tokenizer);
        if (tokenizer.VocabSize > plan.Model.VocabSize)
        {
            throw new InvalidDataException(
                $"The tokenizer has {tokenizer.VocabSize} ids, the model's vocab_size is {plan.Model.VocabSize}. Set model.vocabSize to at "
                    + $"least {tokenizer.VocabSize}.");
        }
        var context = new StageContext(plan, TrainingData.Open(plan.Data, plan.Seed), tokenizer, link, rank, mesh);
        if (tokenizer.Json is { } json)
        {
            context._inputs.Add(InputMark.Of(plan.Data.Tokenizer, json, tokenizer.ContentSha256));
        }
        context._inputs.AddRange(context.Data.Inputs);
        return context;
    }

    /// <summary>
    /// A line for the run's timeline of something that all ranks of the gang see alike: the first one tells it. The link's own note is for
    /// what one rank alone knows.
    /// </summary>
    public void Tell(string text)
    {
        if (Mesh.World.Own == 0)
        {
            Link.Note(text);
        }
    }

    /// <summary>Data of the stage's own.</summary>
    public ITrainingData OpenOwn(string path)
    {
        var data = FileData.Open([path], Plan.Seed, heldOut: 0);
        _inputs.AddRange(data.Inputs);
        return data;
    }

    public Learner NewLearner(ModelConfig model, double emaDecay = 0) =>
        new(model, Plan.Optimizer, Plan.Seed, emaDecay, Rank, Plan.Precision, Mesh);

    /// <summary>The work of each kind of stage that the wire has; a test compares the two.</summary>
    internal static FrozenDictionary<TrainingPlan.WorkOneofCase, Func<StageContext, IStageWork>> Works { get; } =
        new Dictionary<TrainingPlan.WorkOneofCase, Func<StageContext, IStageWork>>
        {
            [TrainingPlan.WorkOneofCase.Pretraining] = context => new PretrainingWork(context, context.Plan.Pretraining),
            [TrainingPlan.WorkOneofCase.ContextExtension] = context => new ContextExtensionWork(context, context.Plan.ContextExtension),
            [TrainingPlan.WorkOneofCase.Sft] = context => new FineTuningWork(context, context.Plan.Sft),
            [TrainingPlan.WorkOneofCase.Rl] = context => new ReinforcementWork(context, context.Plan.Rl),
            [TrainingPlan.WorkOneofCase.Distillation] = context => new DistillationWork(context, context.Plan.Distillation),
        }.ToFrozenDictionary();

    public IStageWork NewWork() => Works.TryGetValue(Plan.WorkCase, out var work) ? work(this)
        : throw new InvalidDataException("The plan names no work for this stage: the control plane is newer than this worker.");

    /// <summary>Beside the part that learns: a model of the same layout that is read only.</summary>
    public DeepSeekModel NewModel(ModelConfig config)
    {
        var shape = ModelShapes.FromProto(config);
        return new DeepSeekModel(
            shape, Device, precision: Plan.Precision, part: ModelPart.At(shape, Rank.Layout, Rank.Place), experts: Mesh.ExpertRanks);
    }

    /// <summary>In one piece, to speak and to be measured with. A call of all ranks.</summary>
    public WholeModel Gather(DeepSeekModel model) => WholeModel.Gather(model, Plan.Precision, Rank, Mesh.Model);

    /// <summary>What of a step's samples is this rank's share.</summary>
    public IReadOnlyList<T> Own<T>(IReadOnlyList<T> samples)
    {
        var (first, count) = Rank.ShareOf(samples.Count);
        return [.. samples.Skip(first).Take(count)];
    }

    /// <summary>Host numbers as a [rows, columns] tensor on the device.</summary>
    public Tensor Tensor(long[] values, int rows) => tensor(values).reshape(rows, -1).to(Device);

    /// <summary>
    /// With a number, the documents of the step under way are noise that grows from it: a drill's. Null: they are the data's.
    /// </summary>
    public long? SpoilTokens { get; set; }

    /// <summary>Tokens of documents as a [rows, columns] tensor on the device.</summary>
    public Tensor Documents(long[] tokens, int rows) => Tensor(SpoilTokens is { } seed ? Noise(tokens.Length, seed) : tokens, rows);

    private long[] Noise(int count, long index)
    {
        var random = new SeededRandom(Plan.Seed, "a drill's noise", index);
        var noise = new long[count];
        for (var i = 0; i < count; i++)
        {
            noise[i] = random.Next(Plan.Model.VocabSize);
        }
        return noise;
    }
}
