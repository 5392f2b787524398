using DeepSeekOps.Recipes.Pipelining;
using DeepSeekOps.Worker.Model;
using DeepSeekOps.Worker.Parallel;
using TorchSharp;
using static TorchSharp.torch;

namespace DeepSeekOps.Worker.Training.Learning;

/// <summary>What a rank computes a micro-batch's loss from.</summary>
/// <param name="Tokens">[rows, seq] int64: the same on all ranks of a pipeline, and on those that share the sequences.</param>
/// <param name="Part">What of each sequence this rank takes; null: all.</param>
public sealed record MicroBatch(Tensor Tokens, Tensor? Segments = null, SequencePart? Part = null)
{
    /// <summary>[rows, places]: of what goes through the layers here.</summary>
    public long[] Places => [Tokens.shape[0], Part?.Places ?? Tokens.shape[1]];
}

/// <summary>
/// A step's micro-batches through the pieces of the model that lie here, forwards and backwards in the schedule's order: what goes into a
/// piece comes from the rank with the layers before, and its gradient goes back there. Alone it is plain accumulation over micro-batches.
/// </summary>
/// <param name="backward">Runs a backward pass from these roots with these gradients; null: 1.</param>
/// <param name="weights">Makes the gradients of weights that a backward pass left for later.</param>
/// <param name="trace">Is told of each task; null: nobody is.</param>
/// <param name="completing">Runs the task after which a piece gets no gradient any more in this pass; null: that is not looked at.</param>
public sealed class PipelinePass(
    DeepSeekModel model, IProcessGroup pipeline, Action<IReadOnlyList<Tensor>, IReadOnlyList<Tensor?>> backward,
    Action<LeftGradients> weights, StepTrace? trace = null, Action<LayerRun, Action>? completing = null)
{
    private readonly StepTrace _trace = trace ?? StepTrace.Off;
    private readonly Dictionary<(int Piece, int MicroBatch), Flight> _flying = [];
    private readonly Dictionary<(int Piece, int MicroBatch), LeftGradients> _left = [];

    /// <param name="loss">
    /// Of a micro-batch, weighed by its share of the whole batch; called for each piece. Where the model ends from the logits; elsewhere
    /// from what the piece's layers add, or null.
    /// </param>
    /// <exception cref="InvalidDataException">The schedule cannot run so many micro-batches; the message says what would do.</exception>
    public void Run(IReadOnlyList<MicroBatch> batches, bool training, Func<int, PartOutput, Tensor?> loss)
    {
        var route = new PipelineRoute(model.Part.Schedule, pipeline.Ranks, batches.Count);
        using var mail = new PipelineMail(route, pipeline, number => empty(
            [.. batches[number].Places, model.Shape.HiddenSize], model.ActivationType, device: model.Device));
        var tasks = PipelineSchedules.Of(route.Schedule, route.Ranks, pipeline.Own, batches.Count);
        var completes = tasks.Where(t => t.Work != PipelineWork.Forward).GroupBy(t => t.Piece).Select(of => of.Last()).ToHashSet();
        foreach (var task in tasks)
        {
            // What a task makes on its way goes with the scope; the graph keeps what the backward pass needs.
            using var scope = NewDisposeScope();
            _trace.Of(KindOf(task.Work), $"micro-batch {task.MicroBatch}, piece {task.Piece}",
                () => Work(task));
        }

        void Work(PipelineTask task)
        {
            void Plain() => Do(task, batches[task.MicroBatch], training, loss, route, mail);
            if (completing is not null && completes.Contains(task))
            {
                completing(model.Part.Run(task.Piece), Plain);
            }
            else
            {
                Plain();
            }
        }
    }

    private void Do(
        PipelineTask task, MicroBatch batch, bool training, Func<int, PartOutput, Tensor?> loss, PipelineRoute route, PipelineMail mail)
    {
        var chunk = (task.Piece, task.MicroBatch);
        switch (task.Work)
        {
            case PipelineWork.Forward:
                _flying.Add(chunk, Forward(task, batch, training, loss, route, mail));
                break;
            case PipelineWork.Backward:
                Backward(task, route, mail);
                break;
            case PipelineWork.BackwardInputs:
                var later = model.Later ?? throw new InvalidOperationException($"{route.Schedule} leaves gradients, its model cannot.");
                later.Leaves = true;
                Backward(task, route, mail);
                later.Leaves = false;
                _left.Add(chunk, later.Take());
                break;
            case PipelineWork.BackwardWeights:
                _left.Remove(chunk, out var left);
                weights(left ?? throw new InvalidOperationException($"Of {task} no gradients were left."));
                break;
            default:
                throw new NotSupportedException($"{task.Work} is not a pipeline's work here.");
        }
    }

    private static string KindOf(PipelineWork work) => work switch
    {
        PipelineWork.Forward => SpanKinds.Forward,
        PipelineWork.Backward => SpanKinds.Backward,
        PipelineWork.BackwardInputs => SpanKinds.BackwardInputs,
        PipelineWork.BackwardWeights => SpanKinds.BackwardWeights,
        _ => throw new NotSupportedException($"{work} is not a pipeline's work here."),
    };

    private Flight Forward(
        PipelineTask task, MicroBatch batch, bool training, Func<int, PartOutput, Tensor?> loss, PipelineRoute route, PipelineMail mail)
    {
        var before = route.NeededBy(task) is { } needed ? mail.Take(needed).requires_grad_() : null;
        var output = model.Pass(model.Part.Run(task.Piece), before, batch.Tokens, batch.Segments, training, part: batch.Part);
        var own = loss(task.MicroBatch, output);
        var made = route.MadeBy(task);
        if (made is not null)
        {
            mail.Send(made.Value, output.Hidden);
        }
        return new Flight(before?.DetachFromDisposeScope(), made is null ? null : output.Hidden.DetachFromDisposeScope(),
            own?.DetachFromDisposeScope());
    }

    private void Backward(PipelineTask task, PipelineRoute route, PipelineMail mail)
    {
        _flying.Remove((task.Piece, task.MicroBatch), out var flight);
        using (flight)
        {
            List<Tensor> roots = [];
            List<Tensor?> gradients = [];
            using var gradient = route.NeededBy(task) is { } needed ? mail.Take(needed) : null;
            if (flight!.After is { } after)
            {
                (roots, gradients) = ([after], [gradient]);
            }
            if (flight.Loss is { } loss)
            {
                roots.Add(loss);
                gradients.Add(null);
            }
            backward(roots, gradients);
            if (flight.Before is { } before && route.MadeBy(task) is { } made)
            {
                mail.Send(made, before.grad ?? throw new InvalidOperationException("What came into these layers has no gradient."));
            }
        }
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
