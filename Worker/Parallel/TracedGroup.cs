using DeepSeekOps.Recipes.Pipelining;
using static TorchSharp.torch;

namespace DeepSeekOps.Worker.Parallel;

/// <summary>The calls of a group, noted: how long this rank was in each, most of which is waiting for the others.</summary>
/// <param name="name">Of the group, in a word: "data", "experts".</param>
internal sealed class TracedGroup(IProcessGroup group, string name, StepTrace trace) : IProcessGroup
{
    public int Ranks => group.Ranks;

    public int Own => group.Own;

    public void AllReduce(IReadOnlyList<Tensor> tensors)
    {
        if (Quiet)
        {
            group.AllReduce(tensors);
            return;
        }
        Call("all-reduce", tensors.Sum(Bytes), () =>
        {
            group.AllReduce(tensors);
            return true;
        });
    }

    public Tensor ReduceScatter(Tensor parts) =>
        Quiet ? group.ReduceScatter(parts) : Call("reduce-scatter", Bytes(parts), () => group.ReduceScatter(parts));

    public Tensor AllGather(Tensor part) => Quiet ? group.AllGather(part) : Call("all-gather", Bytes(part), () => group.AllGather(part));

    public Tensor AllToAll(Tensor rows, IReadOnlyList<long> sent, IReadOnlyList<long> received) =>
        Quiet ? group.AllToAll(rows, sent, received) : Call("all-to-all", Bytes(rows), () => group.AllToAll(rows, sent, received));

    public void Broadcast(Tensor tensor, int from)
    {
        if (Quiet)
        {
            group.Broadcast(tensor, from);
            return;
        }
        Call("broadcast", Bytes(tensor), () =>
        {
            group.Broadcast(tensor, from);
            return true;
        });
    }

    public void Give(IReadOnlyList<Tensor> tensors, IReadOnlyList<int> owners)
    {
        if (Quiet)
        {
            group.Give(tensors, owners);
            return;
        }
        Call("give", tensors.Sum(Bytes), () =>
        {
            group.Give(tensors, owners);
            return true;
        });
    }

    public long Broadcast(long value) => Quiet ? group.Broadcast(value) : Call("broadcast", sizeof(long), () => group.Broadcast(value));

    public void Send(Tensor tensor, int to)
    {
        if (Quiet)
        {
            group.Send(tensor, to);
            return;
        }
        trace.Of(SpanKinds.Send, Text($"to {to} of {name}, {Bytes(tensor)} bytes"), () => group.Send(tensor, to));
    }

    public void Receive(Tensor into, int from)
    {
        if (Quiet)
        {
            group.Receive(into, from);
            return;
        }
        trace.Of(SpanKinds.Receive, Text($"from {from} of {name}, {Bytes(into)} bytes"), () => group.Receive(into, from));
    }

    public void Barrier()
    {
        if (Quiet)
        {
            group.Barrier();
            return;
        }
        Call("barrier", 0, () =>
        {
            group.Barrier();
            return true;
        });
    }

    /// <summary>A stage's groups are always these, and nearly always nobody asks: then a call costs this look more.</summary>
    private bool Quiet => !trace.IsOn || Ranks == 1;

    private T Call<T>(string call, long bytes, Func<T> work) =>
        trace.Of(SpanKinds.Collective, Text($"{call}, {name}, {bytes} bytes"), work);

    private static long Bytes(Tensor tensor) => tensor.numel() * tensor.element_size();

    private static string Text(FormattableString text) => FormattableString.Invariant(text);
}
