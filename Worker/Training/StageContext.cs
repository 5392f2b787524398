using DeepSeekOps.Contracts.Worker.V1;
using DeepSeekOps.Worker.Agent;
using DeepSeekOps.Worker.Data;
using TorchSharp;
using static TorchSharp.torch;

namespace DeepSeekOps.Worker.Training;

/// <summary>What every stage is given: its plan, its data, and whom to tell.</summary>
public sealed record StageContext(TrainingPlan Plan, ITrainingData Data, ITokenizer Tokenizer, IRankLink Link, Device Device)
{
    // Stages draw their problems from ranges of their own, so that RL does not repeat what fine-tuning has shown.
    public const long RlProblems = 1L << 32;
    public const long DistillationProblems = 2L << 32;

    public Evaluation Evaluation { get; } = new(Data, Tokenizer, Link);

    public static StageContext Open(TrainingPlan plan, IRankLink link)
    {
        var tokenizer = Tokenizers.Open(plan.Data.Tokenizer);
        if (tokenizer.VocabSize > plan.Model.VocabSize)
        {
            throw new InvalidDataException(
                $"The tokenizer has {tokenizer.VocabSize} ids, the model's vocab_size is {plan.Model.VocabSize}. Set model.vocabSize to at least {tokenizer.VocabSize}.");
        }
        var device = plan.Device switch
        {
            "" => cuda.is_available() ? CUDA : CPU,
            "cpu" => CPU,
            "cuda" when cuda.is_available() => CUDA,
            "cuda" => throw new InvalidDataException("The plan asks for device cuda, and this libtorch finds no GPU. Use device: cpu, or name a CUDA libtorch in DSOPS_LIBTORCH."),
            var other => throw new InvalidDataException($"There is no device '{other}'. Use cpu or cuda."),
        };
        if (plan.Precision == Precision.Bf16)
        {
            throw new InvalidDataException("This worker does not train in bf16 yet. Set precision to fp32, or to fp8 (emulated on CPU).");
        }
        return new StageContext(plan, TrainingData.Open(plan.Data, plan.Seed), tokenizer, link, device);
    }

    public Learner NewLearner(ModelConfig model, double emaDecay = 0) => new(model, Plan.Optimizer, Plan.Seed, emaDecay, Device, fp8: Plan.Precision == Precision.Fp8);

    public IStageWork NewWork() => Plan.WorkCase switch
    {
        TrainingPlan.WorkOneofCase.Pretraining => new PretrainingWork(this, Plan.Pretraining),
        TrainingPlan.WorkOneofCase.ContextExtension => new ContextExtensionWork(this, Plan.ContextExtension),
        TrainingPlan.WorkOneofCase.Sft => new FineTuningWork(this, Plan.Sft),
        TrainingPlan.WorkOneofCase.Rl => new ReinforcementWork(this, Plan.Rl),
        TrainingPlan.WorkOneofCase.Distillation => new DistillationWork(this, Plan.Distillation),
        _ => throw new InvalidDataException("The plan names no work for this stage: the control plane is newer than this worker."),
    };

    /// <summary>Host numbers as a [rows, columns] tensor on the device.</summary>
    public Tensor Tensor(long[] values, int rows) => tensor(values).reshape(rows, -1).to(Device);
}
