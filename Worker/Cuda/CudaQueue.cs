using System.Runtime.InteropServices;
using System.Security.Cryptography;

namespace DeepSeekOps.Worker.Cuda;

/// <summary>The GPU's queues (streams) and marks in them (events), by the driver's own calls.</summary>
internal static unsafe class CudaQueue
{
    private const int NotReady = 600;

    private static readonly Lazy<nint> Driver = new(() => NativeLibrary.Load("libcuda.so.1"));

    /// <summary>From now on "the GPU" on this thread is that one, also for whoever names none.</summary>
    public static void Enter(int device)
    {
        nint context;
        Check(((delegate* unmanaged<uint, int>)Symbol("cuInit"))(0), "cuInit");
        Check(((delegate* unmanaged<nint*, int, int>)Symbol("cuDevicePrimaryCtxRetain"))(&context, device), "cuDevicePrimaryCtxRetain");
        Check(((delegate* unmanaged<nint, int>)Symbol("cuCtxSetCurrent"))(context), "cuCtxSetCurrent");
    }

    /// <summary>The one that libtorch's operators of this thread go to.</summary>
    /// <param name="device">Of CUDA's numbering.</param>
    public static nint Current(int device)
    {
        _ = aoti_torch_get_current_cuda_stream(device, out var stream);
        return stream;
    }

    /// <summary>Until it is disposed, what this thread asks libtorch for goes to that queue.</summary>
    /// <param name="device">Of CUDA's numbering.</param>
    public static IDisposable Use(nint stream, int device)
    {
        var failed = aoti_torch_create_cuda_stream_guard(stream, device, out var guard);
        return failed == 0 ? new Guard(guard)
            : throw new InvalidOperationException($"libtorch does not take another queue of GPU {device} (error {failed}).");
    }

    /// <summary>One beside libtorch's, which waits for it nowhere by itself.</summary>
    /// <param name="first">What is asked here begins before what waits in others: for calls that other GPUs wait for.</param>
    public static nint New(bool first = false)
    {
        const uint NonBlocking = 1;
        int least, greatest;
        nint stream;
        Check(
            ((delegate* unmanaged<int*, int*, int>)Symbol("cuCtxGetStreamPriorityRange"))(&least, &greatest),
            "cuCtxGetStreamPriorityRange");
        Check(((delegate* unmanaged<nint*, uint, int, int>)Symbol("cuStreamCreateWithPriority"))(
            &stream, NonBlocking, first ? greatest : least), "cuStreamCreateWithPriority");
        return stream;
    }

    public static void Destroy(nint stream) => _ = ((delegate* unmanaged<nint, int>)Symbol("cuStreamDestroy_v2"))(stream);

    /// <summary>A mark behind what has been queued so far.</summary>
    public static nint Mark(nint stream)
    {
        const uint WithoutTime = 2;
        nint mark;
        Check(((delegate* unmanaged<nint*, uint, int>)Symbol("cuEventCreate"))(&mark, WithoutTime), "cuEventCreate");
        Check(((delegate* unmanaged<nint, nint, int>)Symbol("cuEventRecord"))(mark, stream), "cuEventRecord");
        return mark;
    }

    /// <summary>What is queued from now on begins only after the mark.</summary>
    public static void Wait(nint stream, nint mark) =>
        Check(((delegate* unmanaged<nint, nint, uint, int>)Symbol("cuStreamWaitEvent"))(stream, mark, 0), "cuStreamWaitEvent");

    /// <summary>Whether the GPU has come to the mark.</summary>
    public static bool Passed(nint mark)
    {
        var state = ((delegate* unmanaged<nint, int>)Symbol("cuEventQuery"))(mark);
        if (state != NotReady)
        {
            Check(state, "cuEventQuery");
        }

        return state != NotReady;
    }

    public static void Forget(nint mark) => _ = ((delegate* unmanaged<nint, int>)Symbol("cuEventDestroy_v2"))(mark);

    /// <summary>Waits until all that was queued there is done.</summary>
    public static void Finish(nint stream) =>
        Check(((delegate* unmanaged<nint, int>)Symbol("cuStreamSynchronize"))(stream), "cuStreamSynchronize");

    /// <summary>Queued where the memory is pinned; else done when this returns.</summary>
    public static void CopyToHost(nint into, ulong from, long bytes, nint stream) =>
        Check(((delegate* unmanaged<nint, ulong, nuint, nint, int>)Symbol("cuMemcpyDtoHAsync_v2"))(into, from, (nuint)bytes, stream),
            "cuMemcpyDtoHAsync");

    /// <summary>Keeps host memory where it is, so that GPUs reach it by themselves.</summary>
    /// <returns>False: the system does not allow it.</returns>
    public static bool Pin(nint address, long bytes)
    {
        const uint ForAllContexts = 1;
        return ((delegate* unmanaged<nint, nuint, uint, int>)Symbol("cuMemHostRegister_v2"))(address, (nuint)bytes, ForAllContexts) == 0;
    }

    public static void Unpin(nint address) => _ = ((delegate* unmanaged<nint, int>)Symbol("cuMemHostUnregister"))(address);

    /// <summary>Waits until the thread's current GPU has done all that was queued. What failed there is not told: it is given up.</summary>
    public static void Finish() => _ = ((delegate* unmanaged<int>)Symbol("cuCtxSynchronize"))();

    /// <summary>A number that is the same for every process that computes on this GPU, and no other's; never 0.</summary>
    public static long IdOf(int device)
    {
        Span<byte> id = stackalloc byte[16];
        fixed (byte* bytes = id)
        {
            Check(((delegate* unmanaged<byte*, int, int>)Symbol("cuDeviceGetUuid"))(bytes, device), "cuDeviceGetUuid");
        }

        return BitConverter.ToInt64(SHA256.HashData(id)) | 1;
    }

    /// <summary>What the driver calls a GPU, and how much memory it has.</summary>
    public static (string Name, long Bytes) Describe(int device)
    {
        const int longest = 256;
        Span<byte> name = stackalloc byte[longest];
        nuint bytes = 0;
        fixed (byte* text = name)
        {
            Check(((delegate* unmanaged<byte*, int, int, int>)Symbol("cuDeviceGetName"))(text, longest, device), "cuDeviceGetName");
            Check(((delegate* unmanaged<nuint*, int, int>)Symbol("cuDeviceTotalMem_v2"))(&bytes, device), "cuDeviceTotalMem");
            return (Marshal.PtrToStringUTF8((nint)text) ?? "", (long)bytes);
        }
    }

    private static nint Symbol(string name) => NativeLibrary.GetExport(Driver.Value, name);

    private static void Check(int status, string call)
    {
        if (status != 0)
        {
            throw new InvalidOperationException($"CUDA answered {call} with error {status}.");
        }
    }

    [DllImport("libtorch_cuda.so"), DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int aoti_torch_get_current_cuda_stream(int device, out nint stream);

    [DllImport("libtorch_cuda.so"), DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int aoti_torch_create_cuda_stream_guard(nint stream, int device, out nint guard);

    [DllImport("libtorch_cuda.so"), DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int aoti_torch_delete_cuda_stream_guard(nint guard);

    private sealed class Guard(nint handle) : IDisposable
    {
        public void Dispose() => _ = aoti_torch_delete_cuda_stream_guard(handle);
    }
}
