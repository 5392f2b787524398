using DeepSeekOps.Worker.Checkpoints;
using DeepSeekOps.Worker.Parallel;
using DeepSeekOps.Worker.Safetensors;
using static TorchSharp.torch;

namespace DeepSeekOps.Worker.Training.Loop;

/// <summary>
/// A state goes from the memory of one rank into that of another that holds the same part of the model: to one that has come to the gang
/// and has nothing. Piece by piece, with so few on their way that neither needs room for a second state.
/// </summary>
internal static class StateTransfer
{
    /// <summary>Ours: large enough that a connection is full, small enough that four of them are nothing beside a state.</summary>
    private const long PieceBytes = 16 << 20;

    private const int OnTheWay = 4;

    public static unsafe void Send(IProcessGroup world, MemorySlot slot, int to)
    {
        using var scope = NewDisposeScope();
        world.Send(tensor((long[])[slot.Meta.Length, slot.TensorBytes]), to);
        world.Send(tensor(slot.Meta.ToArray()), to);
        using var ack = zeros(1, uint8);
        foreach (var (number, at, bytes) in Pieces(slot.TensorBytes))
        {
            if (number >= OnTheWay)
            {
                world.Receive(ack, to);
            }
            using var piece = empty(bytes, uint8);
            Buffer.MemoryCopy((void*)(slot.Tensors + (nint)at), (void*)TensorMemory.Address(piece), bytes, bytes);
            world.Send(piece, to);
        }
    }

    public static void Receive(IProcessGroup world, StateMemory memory, long step, int from)
    {
        using var scope = NewDisposeScope();
        using var sizes = zeros(2, int64);
        world.Receive(sizes, from);
        var (metaBytes, tensorBytes) = (sizes[0].item<long>(), sizes[1].item<long>());
        using var meta = zeros(metaBytes, uint8);
        world.Receive(meta, from);
        memory.Take(step, meta.data<byte>().ToArray(), tensorBytes, to => Fill(world, tensorBytes, from, to));
    }

    private static unsafe void Fill(IProcessGroup world, long tensorBytes, int from, nint to)
    {
        using var ack = zeros(1, uint8);
        var last = (tensorBytes + PieceBytes - 1) / PieceBytes - OnTheWay;
        foreach (var (number, at, bytes) in Pieces(tensorBytes))
        {
            using var piece = empty(bytes, uint8);
            world.Receive(piece, from);
            Buffer.MemoryCopy((void*)TensorMemory.Address(piece), (void*)(to + (nint)at), bytes, bytes);
            if (number < last)
            {
                world.Send(ack, from);
            }
        }
    }

    private static IEnumerable<(long Number, long At, long Bytes)> Pieces(long bytes)
    {
        for (long at = 0, number = 0; at < bytes; at += PieceBytes, number++)
        {
            yield return (number, at, Math.Min(PieceBytes, bytes - at));
        }
    }
}
