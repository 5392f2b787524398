using System.Collections.Immutable;

namespace DeepSeekOps.Recipes.Pipelining;

/// <summary>
/// DualPipe's eight steps (DeepSeek-V3 section 3.2.1 and the published code, deepseek-ai/DualPipe). A rank has two ways through it, 0 and
/// 1, with a piece of the model each: in DualPipe two directions, in DualPipeV the two halves of the model. A middle rank is the one where
/// way 0 goes over into way 1; its distance from there decides how much of each step it does.
/// </summary>
internal sealed class TwoWayOrder
{
    private readonly ImmutableArray<PipelineTask>.Builder _tasks = ImmutableArray.CreateBuilder<PipelineTask>();
    private readonly Queue<PipelineTask> _weights = new();
    private readonly int[] _pieces;
    private readonly int[] _forward;
    private readonly int[] _backward;

    /// <param name="pieces">By way.</param>
    /// <param name="first">Micro-batch of each way.</param>
    private TwoWayOrder(int[] pieces, int[] first)
    {
        _pieces = pieces;
        (_forward, _backward) = ([.. first], [.. first]);
    }

    public static ImmutableArray<PipelineTask> DualPipe(int ranks, int rank, int microBatches)
    {
        int half = microBatches / 2;
        // Way 0 is the direction that begins at the nearer end.
        bool second = rank >= ranks / 2;
        var order = new TwoWayOrder(
            second ? [ranks - 1 - rank, rank] : [rank, ranks - 1 - rank], second ? [half, 0] : [0, half]);
        int inward = Math.Min(rank, ranks - 1 - rank);
        return order.Steps((ranks / 2) - 1 - inward, inward, half - ranks + inward + 1);
    }

    public static ImmutableArray<PipelineTask> DualPipeV(int ranks, int rank, int microBatches) =>
        new TwoWayOrder([rank, (2 * ranks) - 1 - rank], [0, 0])
            .Steps(ranks - 1 - rank, rank, microBatches - (2 * ranks) + rank + 1);

    /// <param name="toMiddle">Ranks between this one and the middle; 0: it is a middle rank.</param>
    /// <param name="fromEnd">Ranks between this one and the nearer end of the pipeline.</param>
    /// <param name="main">How often the main step is done.</param>
    private ImmutableArray<PipelineTask> Steps(int toMiddle, int fromEnd, int main)
    {
        Repeat(2 * toMiddle, _ => Forward(0)); // 1
        Repeat(fromEnd + 1, _ => { Forward(0); Forward(1); }); // 2
        Repeat(toMiddle, _ => { Inputs(1); Weights(); Forward(1); }); // 3
        Repeat(main, i => // 4: the main step
        {
            Forward(0);
            // On a middle rank the first two are apart, as published: together they would begin later.
            Backward(1, beside: i > 0 || toMiddle > 0);
            Forward(1);
            Backward(0, beside: true);
        });
        Repeat(toMiddle, _ => { Backward(1); Forward(1); Backward(0, beside: true); }); // 5
        // 6: from the half on, the gradients of weights are left for the next steps; where the half falls follows the rank's parity.
        int apart = (fromEnd + 1) / 2;
        bool odd = fromEnd % 2 == 1;
        Repeat(fromEnd + 1, i =>
        {
            Ended(1, split: i > apart || (i == apart && odd));
            Ended(0, split: i >= apart);
        });
        Repeat(toMiddle, _ => { Weights(); Inputs(0); }); // 7
        Repeat(fromEnd + 1, _ => Weights()); // 8
        return _tasks.ToImmutable();
    }

    private void Ended(int way, bool split)
    {
        if (split)
        {
            Inputs(way);
        }
        else
        {
            Backward(way);
        }
    }

    private void Forward(int way) => _tasks.Add(new PipelineTask(PipelineWork.Forward, _pieces[way], _forward[way]++));

    private void Backward(int way, bool beside = false) =>
        _tasks.Add(new PipelineTask(PipelineWork.Backward, _pieces[way], _backward[way]++, beside));

    private void Inputs(int way)
    {
        var task = new PipelineTask(PipelineWork.BackwardInputs, _pieces[way], _backward[way]++);
        _tasks.Add(task);
        _weights.Enqueue(task);
    }

    /// <summary>Those that were left first.</summary>
    private void Weights() => _tasks.Add(_weights.Dequeue() with { Work = PipelineWork.BackwardWeights });

    private static void Repeat(int times, Action<int> step)
    {
        for (int i = 0; i < times; i++)
        {
            step(i);
        }
    }
}
