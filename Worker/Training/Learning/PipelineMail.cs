using DeepSeekOps.Recipes.Pipelining;
using DeepSeekOps.Worker.Parallel;
using TorchSharp;
using static TorchSharp.torch;

namespace DeepSeekOps.Worker.Training.Learning;

/// <summary>
/// What the ranks of a pipeline send each other in a step. Nothing says on its way what it is: in which order a rank sends stands in its
/// schedule. What comes before it is needed is kept; between two pieces on one rank nothing travels.
/// </summary>
/// <param name="fresh">Memory for what a message of this micro-batch carries.</param>
internal sealed class PipelineMail(PipelineRoute route, IProcessGroup pipeline, Func<int, Tensor> fresh) : IDisposable
{
    private readonly Dictionary<int, Queue<PipelineMessage>> _coming = [];
    private readonly Dictionary<PipelineMessage, Tensor> _kept = [];

    public void Send(PipelineMessage message, Tensor tensor)
    {
        if (route.ReceiverOf(message) is var receiver && receiver == pipeline.Own)
        {
            // The gradient of a leaf would go on changing with it.
            _kept.Add(message, tensor.detach().DetachFromDisposeScope());
        }
        else
        {
            pipeline.Send(tensor, receiver);
        }
    }

    /// <returns>The caller's, in the open scope.</returns>
    public Tensor Take(PipelineMessage wanted)
    {
        if (route.SenderOf(wanted) is var sender && sender != pipeline.Own)
        {
            ReceiveUntil(wanted, sender);
        }
        return _kept.Remove(wanted, out var tensor) ? tensor
            : throw new InvalidOperationException($"{wanted} is needed on rank {pipeline.Own} of the pipeline before it is made.");
    }

    public void Dispose()
    {
        foreach (var tensor in _kept.Values)
        {
            tensor.Dispose();
        }
        _kept.Clear();
    }

    private void ReceiveUntil(PipelineMessage wanted, int sender)
    {
        if (!_coming.TryGetValue(sender, out var coming))
        {
            _coming.Add(sender, coming = new Queue<PipelineMessage>(route.Sent(sender, pipeline.Own)));
        }
        while (!_kept.ContainsKey(wanted))
        {
            var next = coming.Dequeue();
            var into = fresh(next.MicroBatch).DetachFromDisposeScope();
            _kept.Add(next, into);
            pipeline.Receive(into, sender);
        }
    }
}
