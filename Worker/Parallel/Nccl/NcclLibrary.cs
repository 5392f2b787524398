using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using TorchSharp;
using static TorchSharp.torch;

namespace DeepSeekOps.Worker.Parallel.Nccl;

/// <summary>What names a communicator before it exists, made by one of its ranks and carried to the others.</summary>
[InlineArray(Bytes)]
internal struct NcclId
{
    public const int Bytes = 128;

    private byte _first;
}

/// <summary>A rank's place in a communicator that is to be.</summary>
/// <param name="Id">Made by the first of its ranks.</param>
internal readonly record struct NcclPlace(string Key, NcclId Id, int Own, int Ranks);

/// <summary>
/// ncclConfig_t as it was in 2.17, through the network's name: every later release reads it and takes its own defaults for what it lacks.
/// </summary>
[StructLayout(LayoutKind.Sequential)]
internal struct NcclConfig
{
    private const int Unset = int.MinValue;

    private nuint _size;
    private uint _magic;
    private uint _version;
    private int _blocking;
    private int _clusterSize;
    private int _fewestBlocks;
    private int _mostBlocks;
    private nint _network;

    /// <summary>Calls return when they are queued, whatever the environment says.</summary>
    public static unsafe NcclConfig Blocking() => new()
    {
        _size = (nuint)sizeof(NcclConfig), _magic = 0xcafebeef, _version = 21700, _blocking = 1,
        _clusterSize = Unset, _fewestBlocks = Unset, _mostBlocks = Unset,
    };
}

/// <summary>NVIDIA's library of collective calls between GPUs, 2.18 or later; the calls by their names in nccl.h.</summary>
internal static unsafe class NcclLibrary
{
    public const int Success = 0;
    public const int InProgress = 7;

    /// <summary>The oldest whose communicators can be aborted rank by rank (NVIDIA/nccl#863).</summary>
    public const int Oldest = 21800;

    /// <summary>The oldest that shrinks a communicator.</summary>
    public const int OldestThatShrinks = 22703;

    private static readonly Lazy<nint> Library = new(Find);

    /// <summary>As X·10000 + Y·100 + Z; 0: it is not on this machine.</summary>
    public static int Version { get; } = ReadVersion();

    public static NcclId NewId()
    {
        NcclId id;
        Check(((delegate* unmanaged<NcclId*, int>)Symbol("ncclGetUniqueId"))(&id), "ncclGetUniqueId");
        return id;
    }

    /// <summary>
    /// Waits for all ranks of all of them to come: one after another, each waits 0.1 s for the same things (H200, NCCL 2.28.9). On the
    /// thread's current GPU.
    /// </summary>
    /// <returns>One for each place, in their order.</returns>
    public static nint[] Begin(IReadOnlyList<NcclPlace> places)
    {
        var communicators = new nint[places.Count];
        var config = NcclConfig.Blocking();
        fixed (nint* first = communicators)
        {
            GroupStart();
            for (var i = 0; i < communicators.Length; i++)
            {
                Started(((delegate* unmanaged<nint*, int, NcclId, int, NcclConfig*, int>)Symbol("ncclCommInitRankConfig"))(
                    first + i, places[i].Ranks, places[i].Id, places[i].Own, &config), "ncclCommInitRankConfig");
            }
            GroupEnd();
        }
        return communicators;
    }

    /// <summary>
    /// Those that are left of a communicator, renumbered without gaps; what its kernels waited for is broken off first. By all that are
    /// left, and by nobody else. The old one is to be aborted afterwards.
    /// </summary>
    /// <param name="lost">By their numbers in it.</param>
    public static nint Shrink(nint communicator, ReadOnlySpan<int> lost)
    {
        const int BreakOffFirst = 1;
        nint left;
        var config = NcclConfig.Blocking();
        fixed (int* first = lost)
        {
            Check(((delegate* unmanaged<nint, int*, int, nint*, NcclConfig*, int, int>)Symbol("ncclCommShrink"))(
                communicator, first, lost.Length, &left, &config, BreakOffFirst), "ncclCommShrink");
        }
        return left;
    }

    /// <summary>Success, or what went wrong while nobody looked.</summary>
    public static int State(nint communicator)
    {
        int state;
        Check(((delegate* unmanaged<nint, int*, int>)Symbol("ncclCommGetAsyncError"))(communicator, &state), "ncclCommGetAsyncError");
        return state;
    }

    /// <summary>Lets running kernels leave and frees the communicator. Needs no other rank.</summary>
    public static void Abort(nint communicator) =>
        _ = ((delegate* unmanaged<nint, int>)Symbol("ncclCommAbort"))(communicator);

    public static void GroupStart() => Check(((delegate* unmanaged<int>)Symbol("ncclGroupStart"))(), "ncclGroupStart");

    public static void GroupEnd() => Started(((delegate* unmanaged<int>)Symbol("ncclGroupEnd"))(), "ncclGroupEnd");

    public static void AllReduce(ulong numbers, long count, ScalarType type, nint communicator, nint stream)
    {
        const int Sum = 0;
        Started(((delegate* unmanaged<ulong, ulong, nuint, int, int, nint, nint, int>)Symbol("ncclAllReduce"))(
            numbers, numbers, (nuint)count, Type(type), Sum, communicator, stream), "ncclAllReduce");
    }

    /// <param name="count">Of what each rank gets.</param>
    public static void ReduceScatter(ulong from, ulong into, long count, ScalarType type, nint communicator, nint stream)
    {
        const int Sum = 0;
        Started(((delegate* unmanaged<ulong, ulong, nuint, int, int, nint, nint, int>)Symbol("ncclReduceScatter"))(
            from, into, (nuint)count, Type(type), Sum, communicator, stream), "ncclReduceScatter");
    }

    /// <param name="bytes">Of what each rank gives.</param>
    public static void AllGather(ulong from, ulong into, long bytes, nint communicator, nint stream) =>
        Started(((delegate* unmanaged<ulong, ulong, nuint, int, nint, nint, int>)Symbol("ncclAllGather"))(
            from, into, (nuint)bytes, Bytes, communicator, stream), "ncclAllGather");

    public static void Broadcast(ulong numbers, long bytes, int from, nint communicator, nint stream) =>
        Started(((delegate* unmanaged<ulong, ulong, nuint, int, int, nint, nint, int>)Symbol("ncclBroadcast"))(
            numbers, numbers, (nuint)bytes, Bytes, from, communicator, stream), "ncclBroadcast");

    public static void Send(ulong from, long bytes, int to, nint communicator, nint stream) =>
        Started(((delegate* unmanaged<ulong, nuint, int, int, nint, nint, int>)Symbol("ncclSend"))(
            from, (nuint)bytes, Bytes, to, communicator, stream), "ncclSend");

    public static void Receive(ulong into, long bytes, int from, nint communicator, nint stream) =>
        Started(((delegate* unmanaged<ulong, nuint, int, int, nint, nint, int>)Symbol("ncclRecv"))(
            into, (nuint)bytes, Bytes, from, communicator, stream), "ncclRecv");

    /// <summary>What the library says to its newest error.</summary>
    public static string Words(int result, nint communicator)
    {
        var text = Marshal.PtrToStringUTF8(((delegate* unmanaged<int, nint>)Symbol("ncclGetErrorString"))(result));
        var last = Marshal.PtrToStringUTF8(((delegate* unmanaged<nint, nint>)Symbol("ncclGetLastError"))(communicator))?.Trim();
        return string.IsNullOrEmpty(last) ? $"{text} ({result})" : $"{text} ({result}): {last}";
    }

    private const int Bytes = 1; // ncclUint8

    /// <summary>ncclDataType_t of what can be summed.</summary>
    private static int Type(ScalarType type) => type switch
    {
        ScalarType.Byte => 1,
        ScalarType.Int32 => 2,
        ScalarType.Int64 => 4,
        ScalarType.Float32 => 7,
        ScalarType.Float64 => 8,
        ScalarType.BFloat16 => 9,
        _ => throw new NotSupportedException($"Tensors of {type} cannot be added up over ranks."),
    };

    private static void Started(int result, string call)
    {
        if (result is not (Success or InProgress))
        {
            throw new NcclException($"{call}: {Words(result, 0)}");
        }
    }

    private static void Check(int result, string call)
    {
        if (result != Success)
        {
            throw new NcclException($"{call}: {Words(result, 0)}");
        }
    }

    private static nint Symbol(string name) => NativeLibrary.GetExport(Library.Value, name);

    private static int ReadVersion()
    {
        int version = 0;
        return Library.Value != 0 && NativeLibrary.TryGetExport(Library.Value, "ncclGetVersion", out var call)
            && ((delegate* unmanaged<int*, int>)call)(&version) == Success ? version : 0;
    }

    /// <summary>PyTorch's CUDA builds have loaded theirs; else the system's, else none.</summary>
    private static nint Find() => NativeLibrary.TryLoad("libnccl.so.2", out var library) ? library : 0;
}

/// <summary>NCCL refused a call, or a communicator broke.</summary>
public sealed class NcclException(string message) : IOException($"NCCL: {message}.");
