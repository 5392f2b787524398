using System.Runtime.InteropServices;
using DeepSeekOps.Worker.Checkpoints;
using DeepSeekOps.Worker.Parallel;

namespace DeepSeekOps.Worker.Training.Loop;

/// <summary>
/// When the ranks of a gang keep their state in memory, and which of what they have kept they go on from. They keep the same steps: each
/// says whether it would, and all do where all would.
/// </summary>
/// <param name="every">So many steps; 0: as often as it may cost; below: never.</param>
internal sealed class StateKeeping(StateMemory? memory, IProcessGroup world, int every, TimeProvider clock)
{
    /// <summary>
    /// Of the time, at most, where nobody has said how often. Ours: half of what DeepSeek-V3's step loses to its bubble. A gang of 2,048
    /// GPUs loses one about once a day (Llama 3: 419 times in 54 days on 16,384), so less would do; a person may say so.
    /// </summary>
    private const double Share = 1.0 / 20;

    /// <summary>The first ones of a launch find code and memory cold: they tell nothing of what a state costs.</summary>
    private const int Cold = 3;

    private const int TagInts = MemorySlot.TagBytes / sizeof(int);

    private TimeSpan _takes = TimeSpan.MaxValue;
    private long _keptAt;
    private int _kept;

    /// <summary>A rank that is alone has no memory, but where it is what is left of a gang.</summary>
    public bool Able => memory is not null && every >= 0;

    /// <summary>This rank would keep the state of the step that it has made.</summary>
    public bool Wants(long step) => Able
        && (every > 0 ? step % every == 0 : _kept <= Cold || clock.GetElapsedTime(_keptAt) * Share >= _takes);

    /// <summary>The older of the two states is written over: every rank has to have the newer one whole.</summary>
    /// <param name="look">Called when all is copied, before it counts as kept.</param>
    public void Keep(KeptMeta meta, IReadOnlyDictionary<string, IReadOnlyList<Piece>> tensors, Action look)
    {
        var began = clock.GetTimestamp();
        memory!.Keep(meta, tensors, look);
        _keptAt = clock.GetTimestamp();
        if (++_kept > Cold && clock.GetElapsedTime(began, _keptAt) is var took && took < _takes)
        {
            // The fastest: what else the machine does is no cost of it.
            _takes = took;
        }
    }

    /// <summary>A call of all ranks, whether they can keep anything or not.</summary>
    /// <param name="onDisk">Step of the newest checkpoint; -1: there is none.</param>
    public StateMemory.KeptState? Agree(long onDisk)
    {
        if (world.Ranks == 1 && !Able)
        {
            return null;
        }
        int[] own = Able ? [.. MemoryMarshal.Cast<byte, int>(memory!.Tag), .. memory.Steps.SelectMany(Halves)] : [];
        var told = world.Gather([own]).ConvertAll(KeptOf);
        if (AgreedStep.Of(AgreedStep.WithHeldElsewhere(told), onDisk) is not { } step)
        {
            return null;
        }
        memory!.ForgetBeyond(step);
        foreach (var (from, to) in AgreedStep.Transfers(told))
        {
            if (world.Own == from)
            {
                StateTransfer.Send(world, memory.SlotOf(step), to);
            }
            else if (world.Own == to)
            {
                StateTransfer.Receive(world, memory, step, from);
            }
        }
        return memory.At(step);
    }

    private static int[] Halves(long step) => [(int)(step >> 32), (int)step];

    /// <summary>An older worker names no tag: what it holds counts for nothing here, and the checkpoint counts for both.</summary>
    private static RankKept KeptOf(int[] told) => told.Length < TagInts ? new RankKept("", [])
        : new RankKept(Convert.ToHexString(MemoryMarshal.AsBytes<int>(told.AsSpan(0, TagInts))),
            [.. told[TagInts..].Chunk(2).Select(half => ((long)half[0] << 32) | (uint)half[1])]);
}
