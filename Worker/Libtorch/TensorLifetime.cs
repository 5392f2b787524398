using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Versioning;

namespace DeepSeekOps.Worker.Libtorch;

/// <summary>
/// Keeps tensors alive while libtorch reads them. TorchSharp hands over a tensor's address and holds on to nothing: a tensor that is named
/// nowhere after the call (<c>a.copy_(b + c)</c>) may be finalized while the operator reads it, which ends the process with a
/// segmentation fault, or computes with other numbers. A DisposeScope holds on to what is made in it; what is made outside of one has its
/// end put off here, where a finalizer asks for it. Who disposes of a tensor has it gone at once, as before.
/// </summary>
/// <remarks>
/// The library's function that deletes tensors becomes a jump to <see cref="End"/>, as with <see cref="ScalarLifetime"/>. TorchSharp
/// 0.107; to be dropped when TorchSharp keeps its arguments alive.
/// </remarks>
[SupportedOSPlatform("linux")]
internal static unsafe class TensorLifetime
{
    private const string Deletion = "THSTensor_dispose";

    // The slowest operator in use reads its arguments for a second or so (a product of a large layer on one core).
    private static readonly TimeSpan Grace = TimeSpan.FromSeconds(5);

    private static readonly Lock Gate = new();
    private static readonly Timer Turn = new(_ => EndOld());
    private static List<nint> _young = [], _old = [];
    private static bool _turning;

    // 0: not looked yet. Of each thread.
    [ThreadStatic]
    private static int t_kind;

    private const int Finalizer = 1, Other = 2;

    /// <summary>Puts the jump in place in a loaded bridge library. False: this is no x86-64, or the system forbids it.</summary>
    public static bool Extend(nint bridge)
    {
        delegate* unmanaged[Cdecl]<nint, void> target = &End;
        return NativeJump.Place(bridge, Deletion, (nint)target);
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static void End(nint tensor)
    {
        if (tensor == 0)
        {
            return;
        }
        if (t_kind == 0)
        {
            t_kind = IsFinalizer() ? Finalizer : Other;
        }
        if (t_kind == Other)
        {
            Delete(tensor);
            return;
        }
        lock (Gate)
        {
            _young.Add(tensor);
            if (!_turning)
            {
                _turning = true;
                Turn.Change(Grace, Timeout.InfiniteTimeSpan);
            }
        }
    }

    /// <summary>What was put off before the last turn has waited for one grace at least.</summary>
    private static void EndOld()
    {
        List<nint> ended;
        lock (Gate)
        {
            ended = _old;
            (_old, _young) = (_young, []);
            _turning = _old.Count > 0;
            if (_turning)
            {
                Turn.Change(Grace, Timeout.InfiniteTimeSpan);
            }
        }
        ended.ForEach(Delete);
    }

    // The runtime names its thread so; the tests hold it to that.
    private static bool IsFinalizer()
    {
        try
        {
            return File.ReadAllText("/proc/thread-self/comm").StartsWith(".NET Finalizer", StringComparison.Ordinal);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // Nobody can say. To wait with the end costs memory for some seconds, not to wait may cost the process.
            return true;
        }
    }

    // The same deletion as the bridge's own: of an at::Tensor that was made with new.
    private static void Delete(nint tensor) => _ = aoti_torch_delete_tensor_object(tensor);

    [DllImport("libtorch_cpu.so"), DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int aoti_torch_delete_tensor_object(nint tensor);
}
