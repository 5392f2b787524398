using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Text;

namespace DeepSeekOps.Worker.Cuda;

/// <summary>CUtensorMap: where a matrix lies and how boxes of it are copied.</summary>
[InlineArray(16)]
internal struct TensorMap
{
    private ulong _first;
}

/// <summary>CUDA source compiled for the GPU at hand by NVRTC, which comes with the PyTorch whose libtorch is in use.</summary>
internal sealed unsafe class CudaModule
{
    private readonly nint _driver;
    private readonly nint _module;
    private readonly nint _context;

    // Autograd calls from threads of its own, which begin without a context.
    [ThreadStatic]
    private static bool _entered;

    private readonly Dictionary<string, nint> _functions = [];

    /// <param name="nvrtc">Path of libnvrtc.</param>
    /// <param name="device">Of CUDA's numbering.</param>
    /// <param name="specific">Compile for this very generation of GPUs, whose own instructions the source uses.</param>
    public CudaModule(string source, string nvrtc, int device, bool specific = false)
    {
        _driver = NativeLibrary.Load("libcuda.so.1");
        int Attribute(int which)
        {
            int value;
            Check(((delegate* unmanaged<int*, int, int, int>)Symbol(_driver, "cuDeviceGetAttribute"))(&value, which, device),
                "cuDeviceGetAttribute");
            return value;
        }

        (Capability, Multiprocessors) = ((Attribute(75), Attribute(76)), Attribute(16));
        var image = Compile(source,
            NativeLibrary.Load(nvrtc), $"--gpu-architecture=sm_{Capability.Major}{Capability.Minor}{(specific ? "a" : "")}");
        nint module, context;
        Check(((delegate* unmanaged<nint*, int, int>)Symbol(_driver, "cuDevicePrimaryCtxRetain"))(&context, device),
            "cuDevicePrimaryCtxRetain");
        _context = context;
        Enter();
        fixed (byte* bytes = image)
        {
            Check(((delegate* unmanaged<nint*, byte*, int>)Symbol(_driver, "cuModuleLoadData"))(&module, bytes), "cuModuleLoadData");
        }

        _module = module;
    }

    /// <summary>Compute capability.</summary>
    public (int Major, int Minor) Capability { get; }

    public int Multiprocessors { get; }

    /// <summary>
    /// Queues a kernel on libtorch's current stream. Its parameters are <paramref name="maps"/>, then <paramref name="arguments"/>: slots
    /// of 8 bytes, whatever the parameter's size.
    /// </summary>
    /// <param name="sharedBytes">Shared memory beyond what the kernel declares.</param>
    public void Launch(
        string kernel, int device, (long X, long Y) grid, int threads, ReadOnlySpan<ulong> arguments, int sharedBytes = 0,
        ReadOnlySpan<TensorMap> maps = default)
    {
        Enter();
        var function = Function(kernel, sharedBytes);
        var pointers = stackalloc void*[maps.Length + arguments.Length];
        fixed (TensorMap* first = maps)
        fixed (ulong* values = arguments)
        {
            for (var i = 0; i < maps.Length; i++)
            {
                pointers[i] = first + i;
            }

            for (var i = 0; i < arguments.Length; i++)
            {
                pointers[maps.Length + i] = values + i;
            }

            var stream = CudaQueue.Current(device);
            var launch = (delegate* unmanaged<nint, uint, uint, uint, uint, uint, uint, uint, nint, void**, void**, int>)Symbol(_driver,
                "cuLaunchKernel");
            Check(launch(function, (uint)grid.X, (uint)grid.Y, 1, (uint)threads, 1, 1, (uint)sharedBytes, stream, pointers, null), kernel);
        }
    }

    /// <summary>
    /// Describes a matrix of bytes [rows, columns] for copies of boxes to shared memory, swizzled by 128 bytes; zeros beyond its edges.
    /// </summary>
    public TensorMap Describe(ulong address, long rows, long columns, int boxRows, int boxColumns)
    {
        Enter();
        // The driver wants the place of what it writes to be a multiple of 64.
        var room = stackalloc byte[sizeof(TensorMap) + 63];
        var map = (TensorMap*)(((nint)room + 63) & ~(nint)63);
        ulong* size = stackalloc ulong[] { (ulong)columns, (ulong)rows };
        ulong stride = (ulong)columns;
        uint* box = stackalloc uint[] { (uint)boxColumns, (uint)boxRows };
        uint* steps = stackalloc uint[] { 1, 1 };
        const int Bytes = 0, Plain = 0, Swizzle128 = 3, Promote256 = 3, Zeros = 0;
        var encode =
            (delegate* unmanaged<TensorMap*, int, uint, ulong, ulong*, ulong*, uint*, uint*, int, int, int, int, int>)Symbol(_driver,
                "cuTensorMapEncodeTiled");
        Check(encode(map, Bytes, 2, address, size, &stride, box, steps, Plain, Swizzle128, Promote256, Zeros), "cuTensorMapEncodeTiled");
        return *map;
    }

    private nint Function(string kernel, int sharedBytes)
    {
        lock (_functions) // forward and backward run on different threads
        {
            if (_functions.TryGetValue(kernel, out var function))
            {
                return function;
            }

            fixed (byte* text = Encoding.ASCII.GetBytes(kernel + "\0"))
            {
                Check(((delegate* unmanaged<nint*, nint, byte*, int>)Symbol(_driver, "cuModuleGetFunction"))(&function, _module, text),
                    kernel);
            }

            if (sharedBytes > 0)
            {
                const int MaxDynamicSharedBytes = 8;
                Check(((delegate* unmanaged<nint, int, int, int>)Symbol(_driver, "cuFuncSetAttribute"))(function, MaxDynamicSharedBytes,
                    sharedBytes), kernel);
            }

            _functions.Add(kernel, function);
            return function;
        }
    }

    private void Enter()
    {
        if (!_entered)
        {
            Check(((delegate* unmanaged<nint, int>)Symbol(_driver, "cuCtxSetCurrent"))(_context), "cuCtxSetCurrent");
            _entered = true;
        }
    }

    private static byte[] Compile(string source, nint nvrtc, string architecture)
    {
        nint program;
        var (text, option) = (Encoding.UTF8.GetBytes(source + "\0"), Encoding.ASCII.GetBytes(architecture + "\0"));
        fixed (byte* code = text, first = option)
        {
            var create = (delegate* unmanaged<nint*, byte*, byte*, int, byte**, byte**, int>)Symbol(nvrtc, "nvrtcCreateProgram");
            Check(create(&program, code, null, 0, null, null), "nvrtcCreateProgram");
            var failed = ((delegate* unmanaged<nint, int, byte**, int>)Symbol(nvrtc, "nvrtcCompileProgram"))(program, 1, &first);
            if (failed != 0)
            {
                throw new InvalidOperationException(
                    "NVRTC refused the kernels: " + Encoding.UTF8.GetString(Bytes(nvrtc, program, "ProgramLog")).TrimEnd('\0'));
            }
        }

        var image = Bytes(nvrtc, program, "CUBIN");
        Check(((delegate* unmanaged<nint*, int>)Symbol(nvrtc, "nvrtcDestroyProgram"))(&program), "nvrtcDestroyProgram");
        return image;
    }

    private static byte[] Bytes(nint nvrtc, nint program, string what)
    {
        nuint size;
        Check(((delegate* unmanaged<nint, nuint*, int>)Symbol(nvrtc, $"nvrtcGet{what}Size"))(program, &size), what);
        var bytes = new byte[size];
        fixed (byte* into = bytes)
        {
            Check(((delegate* unmanaged<nint, byte*, int>)Symbol(nvrtc, $"nvrtcGet{what}"))(program, into), what);
        }

        return bytes;
    }

    private static nint Symbol(nint library, string name) => NativeLibrary.GetExport(library, name);

    private static void Check(int status, string what)
    {
        if (status != 0)
        {
            throw new InvalidOperationException($"CUDA answered {what} with error {status}.");
        }
    }
}
