using DeepSeekOps.Contracts.Worker.V1;
using DeepSeekOps.Worker.Checkpoints;
using DeepSeekOps.Worker.Training.Learning;
using TorchSharp;
using static TorchSharp.torch;

namespace DeepSeekOps.Worker.Training.Stages;

/// <summary>What one optimizer step did.</summary>
/// <param name="Norm">The gradients' norm before clipping.</param>
/// <param name="Tokens">Tokens this step trained.</param>
public sealed record StepResult(string Phase, Tensor Loss, Tensor Norm, double LearningRate, long Tokens,
    IReadOnlyDictionary<string, double> Extra)
{
    /// <summary>False: the batch had no token to learn, so loss and norm are of nothing.</summary>
    public bool Learned { get; init; } = true;

    /// <summary>A number of each micro-batch that is not finite where the micro-batch went wrong; empty: there is but one.</summary>
    public IReadOnlyList<Tensor> MicroBatches { get; init; } = [];

    /// <summary>Of some steps of stages that balance experts. The loop fills in the step.</summary>
    public ExpertLoadReport? ExpertLoad { get; init; }
}

/// <summary>The part that differs between the five stages. The loop around it (<see cref="StageLoop"/>) is the same for all.</summary>
public interface IStageWork : IDisposable
{
    long TotalSteps { get; }

    Learner Learner { get; }

    /// <summary>
    /// Once per launch, after the weights are there. <paramref name="resumed"/> is what the launch goes on from, null at the stage's
    /// beginning.
    /// </summary>
    void Prepare(Position position, ISavedState? resumed);

    /// <summary>One step, inside the loop's dispose scope.</summary>
    StepResult Step(Position position);

    /// <summary>
    /// Measurements that are due once this many steps are done. Changes nothing that a checkpoint keeps: it comes after the save, may be
    /// broken off by a stop, and is then done by the launch that goes on from there.
    /// </summary>
    void AfterStep(long stepsDone);

    /// <summary>Where the data stands after the last step.</summary>
    (long Document, int Offset, string InWords) DataCursor { get; }

    /// <summary>Passes over the data of so many steps, as the next step would take it.</summary>
    void Skip(Position position, long steps);

    /// <summary>Where the data of the last step of this launch lies, for people. Found out when it is asked for.</summary>
    IEnumerable<string> LastBatch { get; }

    /// <summary>What a checkpoint keeps beside weights, moments and average: file name, tensors.</summary>
    IEnumerable<(string File, IReadOnlyList<(string Name, Tensor Value)> Tensors)> OwnTensors { get; }

    IEnumerable<(string File, byte[] Text)> OwnTexts { get; }
}
