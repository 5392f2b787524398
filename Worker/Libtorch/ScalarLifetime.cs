using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Versioning;

namespace DeepSeekOps.Worker.Libtorch;

/// <summary>
/// Keeps numbers alive while libtorch reads them. TorchSharp boxes every number that goes to an operator in a native scalar
/// (also the 1 that <c>a + b</c> scales b by), hands over its address and holds on to nothing: a garbage collection at that moment
/// frees what the operator is about to read. It answers with "Expected false to be true", or computes with another number.
/// Most are made inside of TorchSharp, so their end is put off at the one place that all of them pass: the library's own function
/// that deletes them. <see cref="TensorLifetime"/> does it for tensors.
/// </summary>
/// <remarks>
/// That function's first bytes become a jump to <see cref="PutOff"/>. Where memory may not be made writable, it stays as it is.
/// TorchSharp 0.107; to be dropped when TorchSharp keeps its arguments alive.
/// </remarks>
[SupportedOSPlatform("linux")]
internal static unsafe class ScalarLifetime
{
    private const string Deletion = "THSTorch_dispose_scalar";

    // Operators read their scalars within microseconds; a thread that was put to sleep between may need a while longer.
    private const long GraceMilliseconds = 2_000;

    private static readonly Lock Gate = new();
    private static List<nint> _young = [], _old = [];
    private static long _turned;

    /// <summary>Puts the jump in place in a loaded bridge library. False: this is no x86-64, or the system forbids it.</summary>
    public static bool Extend(nint bridge)
    {
        delegate* unmanaged[Cdecl]<nint, void> target = &PutOff;
        return NativeJump.Place(bridge, Deletion, (nint)target);
    }

    // Takes the place of the deletion; called by finalizers and by Dispose. What it puts off it frees one or two graces later:
    // these scalars hold plain numbers, so to delete them is to free their memory.
    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static void PutOff(nint scalar)
    {
        if (scalar == 0)
        {
            return;
        }
        lock (Gate)
        {
            var now = Environment.TickCount64;
            if (now - _turned > GraceMilliseconds)
            {
                foreach (var ended in _old)
                {
                    NativeMemory.Free((void*)ended);
                }
                _old.Clear();
                (_young, _old) = (_old, _young);
                _turned = now;
            }
            _young.Add(scalar);
        }
    }
}
