using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text.Json;
using DeepSeekOps.Contracts.Worker.V1;
using DeepSeekOps.Worker.Agent;
using DeepSeekOps.Worker.Data;
using DeepSeekOps.Worker.Parallel;
using DeepSeekOps.Worker.Safetensors;
using Google.Protobuf;
using static TorchSharp.torch;

namespace DeepSeekOps.Worker.Checkpoints;

/// <summary>What stands beside the tensors of a state in memory: what a checkpoint's manifest and texts say.</summary>
internal sealed record KeptMeta(
    Position Position, Lineage? BeganFrom, IReadOnlyList<long> LeftOut, IReadOnlyDictionary<string, byte[]> Texts,
    IReadOnlyList<KeptFile> Files)
{
    /// <summary>What the gang's processors can do at their best; null: of GPUs it stands in a datasheet.</summary>
    public double? PeakTflops { get; init; }

    public IReadOnlyList<InputMark> Inputs { get; init; } = [];
}

/// <param name="At">Where its first tensor begins, in bytes.</param>
/// <param name="Order">Of the names, types and shapes of its tensors one after another: who reads has to have the same.</param>
internal sealed record KeptFile(string Name, long At, ulong Order);

/// <summary>
/// A rank's states of the last two steps that it kept, in memory that outlives its process. Only a launch that would come to the same
/// numbers is given them: the tag is of all that decides these.
/// </summary>
internal sealed class StateMemory : IDisposable
{
    /// <summary>Where a tensor of any type may begin.</summary>
    private const int Alignment = 64;

    private readonly List<MemorySlot> _slots = [];
    private readonly byte[] _tag;

    private StateMemory(byte[] tag) => _tag = tag;

    /// <summary>Null: the launch names no memory.</summary>
    /// <exception cref="IOException">What it names cannot be used.</exception>
    public static StateMemory? Open(RankLaunch launch)
    {
        if (launch.Memory.Count != KeptMemory.Slots)
        {
            return null;
        }
        var memory = new StateMemory(TagOf(launch));
        try
        {
            foreach (var path in launch.Memory)
            {
                memory._slots.Add(new MemorySlot(path));
            }
            return memory;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            memory.Dispose();
            throw new IOException($"the memory {string.Join(", ", launch.Memory)} cannot be used: {e.Message}", e);
        }
    }

    /// <summary>Of all that decides the numbers of the state: who holds the same has the same.</summary>
    public ReadOnlySpan<byte> Tag => _tag;

    /// <summary>Of the states that are whole and of such a launch, ascending.</summary>
    public IReadOnlyList<long> Steps => [.. Own.Select(s => s.Step!.Value).Order()];

    private IEnumerable<MemorySlot> Own => _slots.Where(s => s.Step is not null && s.Tag.SequenceEqual(_tag));

    /// <summary>In the place of the older of the two. Call only when every rank of the gang has the newer one whole.</summary>
    /// <param name="look">Called when all is copied; what it throws leaves the slot without a state.</param>
    public void Keep(KeptMeta meta, IReadOnlyDictionary<string, IReadOnlyList<Piece>> tensors, Action? look = null)
    {
        using var untracked = no_grad();
        var (files, bytes) = Lay(tensors);
        var slot = _slots.MinBy(s => Own.Contains(s) ? s.Step : -1)!;
        slot.Write(meta.Position.Step, _tag, JsonSerializer.SerializeToUtf8Bytes(meta with { Files = files }), bytes, to =>
        {
            foreach (var file in files)
            {
                var at = file.At;
                foreach (var piece in tensors[file.Name])
                {
                    Copy(piece.Value, to + (nint)at, toTensor: false);
                    at += Room(piece.Value);
                }
            }
            look?.Invoke();
        });
    }

    /// <summary>A state of another rank that holds the same, as it lies there.</summary>
    /// <param name="fill">Is given the place to write so many bytes of tensors to.</param>
    public void Take(long step, ReadOnlySpan<byte> meta, long tensorBytes, Action<nint> fill) =>
        _slots.MinBy(s => Own.Contains(s) ? s.Step : -1)!.Write(step, _tag, meta, tensorBytes, fill);

    /// <summary>For another rank that holds the same. Good until the memory is written to.</summary>
    public MemorySlot SlotOf(long step) => Own.FirstOrDefault(s => s.Step == step)
        ?? throw new InvalidOperationException($"Step {step} is not in memory.");

    /// <exception cref="InvalidOperationException">That step is not here.</exception>
    public KeptState At(long step) => new(SlotOf(step));

    /// <summary>
    /// What is beyond the step that the gang goes on from is made again. It would be the same, but while it lies here the step itself
    /// would be the next to be written over.
    /// </summary>
    public void ForgetBeyond(long step)
    {
        foreach (var slot in Own.Where(s => s.Step > step).ToList())
        {
            slot.Forget();
        }
    }

    public void Dispose() => _slots.ForEach(s => s.Dispose());

    /// <summary>
    /// All of the assignment but for the attempt and what lies on disk, and the rank. A batch that is left out, a round that a person
    /// began, another layout: it is another tag. Replicas hold the same to the last bit, so where that is all that a rank holds its tag
    /// names its part of the model alone: a gang that has lost a node goes on with fewer of them.
    /// </summary>
    private static byte[] TagOf(RankLaunch launch)
    {
        var deciding = launch.Assignment.Clone();
        var (rank, part) = (launch.Rank, new Coordinates());
        if (HoldsAlike(deciding))
        {
            var layout = deciding.Plan.Layout = deciding.Plan.Layout ?? new ParallelLayout();
            part = GangLayout.Of(launch.Assignment.Plan.Layout, Math.Max(1, deciding.WorldSize)).Of(rank) with { Data = 0 };
            (rank, deciding.WorldSize, layout.Data, layout.Nodes) = (0, 0, 0, 0);
        }
        (deciding.Attempt.Attempt, deciding.ResumeFrom) = (0, null);
        deciding.Ranks.Clear();
        // Which checkpoints are kept decides no number, nor does the trace that the launch is part of.
        deciding.PinnedSteps.Clear();
        deciding.Traceparent = "";
        return SHA256.HashData([.. new RankLaunch { Assignment = deciding, Rank = rank }.ToByteArray(),
            .. MemoryMarshal.AsBytes<int>([part.Pipeline, part.Expert, part.Tensor])]);
    }

    /// <summary>Moments that are dealt among replicas are not alike, nor what a stage with rollouts has beside its weights.</summary>
    private static bool HoldsAlike(Assignment assignment) => assignment.Plan is { } plan && plan.Layout is not { Zero: > 0 }
        && StageWorks.Of(plan).ReplicasAreAlike;

    private static (List<KeptFile> Files, long Bytes) Lay(IReadOnlyDictionary<string, IReadOnlyList<Piece>> tensors)
    {
        var (files, bytes) = (new List<KeptFile>(), 0L);
        foreach (var (name, pieces) in tensors)
        {
            files.Add(new KeptFile(name, bytes, OrderOf(pieces)));
            bytes += pieces.Sum(p => Room(p.Value));
        }
        return (files, bytes);
    }

    private static long Room(Tensor tensor) => ((tensor.numel() * tensor.element_size()) + Alignment - 1) / Alignment * Alignment;

    /// <summary>FNV-1a, which needs no memory of its own.</summary>
    private static ulong OrderOf(IEnumerable<Piece> pieces)
    {
        var hash = 14695981039346656037;
        void Add(ulong value) => hash = (hash ^ value) * 1099511628211;
        foreach (var piece in pieces)
        {
            foreach (var letter in piece.Name)
            {
                Add(letter);
            }
            Add((ulong)piece.Value.dtype);
            foreach (var length in piece.Value.shape)
            {
                Add((ulong)length);
            }
            Add((ulong)(piece.Rows?.First ?? 0));
        }
        return hash;
    }

    private static unsafe void Copy(Tensor tensor, nint memory, bool toTensor)
    {
        var bytes = tensor.numel() * tensor.element_size();
        var here = tensor.device_type == TorchSharp.DeviceType.CPU && tensor.is_contiguous();
        if (here)
        {
            var address = TensorMemory.Address(tensor);
            Buffer.MemoryCopy((void*)(toTensor ? memory : address), (void*)(toTensor ? address : memory), bytes, bytes);
            return;
        }
        using var host = toTensor ? empty(tensor.shape, tensor.dtype) : tensor.detach().cpu().contiguous();
        var at = TensorMemory.Address(host);
        Buffer.MemoryCopy((void*)(toTensor ? memory : at), (void*)(toTensor ? at : memory), bytes, bytes);
        if (toTensor)
        {
            tensor.copy_(host);
        }
    }

    /// <summary>One of the states. Good until the memory is written to.</summary>
    internal sealed class KeptState(MemorySlot slot) : ISavedState
    {
        public KeptMeta Meta { get; } = JsonSerializer.Deserialize<KeptMeta>(slot.Meta)
            ?? throw new InvalidDataException("The record of a state in memory is empty.");

        public bool Has(string file) => Meta.Files.Any(f => f.Name == file);

        public void ReadInto(IEnumerable<Piece> targets, string file)
        {
            using var untracked = no_grad();
            using var scope = TorchSharp.torch.NewDisposeScope();
            var found = Meta.Files.FirstOrDefault(f => f.Name == file);
            Piece[] into = [.. targets];
            if (found is null || found.Order != OrderOf(into))
            {
                throw new InvalidDataException($"The state of step {Meta.Position.Step} in memory holds other tensors than this rank's "
                    + $"{file}.");
            }
            var at = found.At;
            foreach (var piece in into)
            {
                Copy(piece.Value, slot.Tensors + (nint)at, toTensor: true);
                at += Room(piece.Value);
            }
        }

        public byte[] Text(string file) => Meta.Texts[file];
    }
}
