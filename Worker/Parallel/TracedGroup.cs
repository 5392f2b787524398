using static TorchSharp.torch;

namespace DeepSeekOps.Worker.Parallel;

/// <summary>The calls of a group, noted: how long this rank was in each, most of which is waiting for the others.</summary>
/// <param name="name">Of the group, in a word: "data", "experts".</param>
internal sealed class TracedGroup(IProcessGroup group, string name, StepTrace trace) : IProcessGroup
{
    public int Ranks => group.Ranks;

    public int Own => group.Own;

    public void AllReduce(IReadOnlyList<Tensor> tensors) => Call("all-reduce", tensors.Sum(Bytes), () =>
    {
        group.AllReduce(tensors);
        return true;
    });

    public Tensor ReduceScatter(Tensor parts) => Call("reduce-scatter", Bytes(parts), () => group.ReduceScatter(parts));

    public Tensor AllGather(Tensor part) => Call("all-gather", Bytes(part), () => group.AllGather(part));

    public Tensor AllToAll(Tensor rows, IReadOnlyList<long> sent, IReadOnlyList<long> received) =>
        Call("all-to-all", Bytes(rows), () => group.AllToAll(rows, sent, received));

    public void Broadcast(Tensor tensor, int from) => Call("broadcast", Bytes(tensor), () =>
    {
        group.Broadcast(tensor, from);
        return true;
    });

    public long Broadcast(long value) => Call("broadcast", sizeof(long), () => group.Broadcast(value));

    public void Send(Tensor tensor, int to) =>
        trace.Of("send", Text($"to {to} of {name}, {Bytes(tensor)} bytes"), () => group.Send(tensor, to));

    public void Receive(Tensor into, int from) =>
        trace.Of("receive", Text($"from {from} of {name}, {Bytes(into)} bytes"), () => group.Receive(into, from));

    public void Barrier() => Call("barrier", 0, () =>
    {
        group.Barrier();
        return true;
    });

    private T Call<T>(string call, long bytes, Func<T> work) =>
        Ranks == 1 ? work() : trace.Of("collective", Text($"{call}, {name}, {bytes} bytes"), work);

    private static long Bytes(Tensor tensor) => tensor.numel() * tensor.element_size();

    private static string Text(FormattableString text) => FormattableString.Invariant(text);
}
