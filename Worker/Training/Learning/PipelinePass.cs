using DeepSeekOps.Recipes.Pipelining;
using DeepSeekOps.Worker.Model;
using DeepSeekOps.Worker.Parallel;
using TorchSharp;
using static TorchSharp.torch;

namespace DeepSeekOps.Worker.Training.Learning;

/// <summary>What a rank computes a micro-batch's loss from.</summary>
/// <param name="Tokens">[rows, seq] int64: the same on all ranks of a pipeline.</param>
public sealed record MicroBatch(Tensor Tokens, Tensor? Segments = null);

/// <summary>
/// A step's micro-batches through this rank's layers, forwards and backwards in the schedule's order: what goes in comes from the rank
/// with the layers before, and its gradient goes back there. Alone it is plain accumulation over micro-batches.
/// </summary>
/// <param name="backward">Runs a backward pass from these roots with these gradients; null: 1.</param>
public sealed class PipelinePass(DeepSeekModel model, IProcessGroup pipeline,
    Action<IReadOnlyList<Tensor>, IReadOnlyList<Tensor?>> backward)
{
    private readonly Dictionary<int, Flight> _flying = [];

    /// <param name="loss">
    /// Of a micro-batch, weighed by its share of the whole batch. On the last rank from the logits; on the others from what their layers
    /// add, or null.
    /// </param>
    public void Run(IReadOnlyList<MicroBatch> batches, bool training, Func<int, PartOutput, Tensor?> loss)
    {
        foreach (var task in PipelineSchedules.Of(
            PipelineSchedule.OneForwardOneBackward, pipeline.Ranks, pipeline.Own, batches.Count))
        {
            switch (task.Work)
            {
                case PipelineWork.Forward:
                    Forward(task.MicroBatch, batches[task.MicroBatch], training, loss);
                    break;
                case PipelineWork.Backward:
                    Backward(task.MicroBatch);
                    break;
                default:
                    throw new NotSupportedException($"{task.Work} is not a pipeline's work here.");
            }
        }
    }

    private void Forward(int number, MicroBatch batch, bool training, Func<int, PartOutput, Tensor?> loss)
    {
        // What a pass makes on its way goes with the scope; the graph keeps what the backward pass needs.
        using var scope = NewDisposeScope();
        var before = model.Part.Begins ? null : Incoming(batch.Tokens);
        var output = model.Pass(before, batch.Tokens, batch.Segments, training);
        var own = loss(number, output);
        if (!model.Part.Ends)
        {
            pipeline.Send(output.Hidden, pipeline.Own + 1);
        }
        _flying.Add(number,
            new Flight(before?.DetachFromDisposeScope(), model.Part.Ends ? null : output.Hidden.DetachFromDisposeScope(),
                own?.DetachFromDisposeScope()));
    }

    private void Backward(int number)
    {
        using var scope = NewDisposeScope();
        _flying.Remove(number, out var flight);
        using (flight)
        {
            List<Tensor> roots = [];
            List<Tensor?> gradients = [];
            if (flight!.After is { } after)
            {
                var gradient = empty_like(after);
                pipeline.Receive(gradient, pipeline.Own + 1);
                (roots, gradients) = ([after], [gradient]);
            }
            if (flight.Loss is { } loss)
            {
                roots.Add(loss);
                gradients.Add(null);
            }
            backward(roots, gradients);
            if (flight.Before is { } before)
            {
                pipeline.Send(before.grad ?? throw new InvalidOperationException("What came into these layers has no gradient."),
                    pipeline.Own - 1);
            }
        }
    }

    private Tensor Incoming(Tensor tokens)
    {
        var before = empty([.. tokens.shape, model.Shape.HiddenSize], model.ActivationType, device: model.Device);
        pipeline.Receive(before, pipeline.Own - 1);
        return before.requires_grad_();
    }

    private sealed record Flight(Tensor? Before, Tensor? After, Tensor? Loss) : IDisposable
    {
        public void Dispose()
        {
            Before?.Dispose();
            After?.Dispose();
            Loss?.Dispose();
        }
    }
}
