using System.Runtime.InteropServices;
using System.Text;

namespace DeepSeekOps.Worker.Cuda;

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
    public CudaModule(string source, string nvrtc, int device)
    {
        _driver = NativeLibrary.Load("libcuda.so.1");
        int major, minor;
        var attribute = (delegate* unmanaged<int*, int, int, int>)Symbol(_driver, "cuDeviceGetAttribute");
        Check(attribute(&major, 75, device), "cuDeviceGetAttribute");
        Check(attribute(&minor, 76, device), "cuDeviceGetAttribute");
        var image = Compile(source, NativeLibrary.Load(nvrtc), $"--gpu-architecture=sm_{major}{minor}");
        nint module, context;
        Check(((delegate* unmanaged<nint*, int, int>)Symbol(_driver, "cuDevicePrimaryCtxRetain"))(&context, device), "cuDevicePrimaryCtxRetain");
        _context = context;
        Enter();
        fixed (byte* bytes = image)
        {
            Check(((delegate* unmanaged<nint*, byte*, int>)Symbol(_driver, "cuModuleLoadData"))(&module, bytes), "cuModuleLoadData");
        }

        _module = module;
    }

    /// <summary>Queues a kernel on libtorch's current stream. Arguments are slots of 8 bytes, whatever the parameter's size.</summary>
    public void Launch(string kernel, int device, (long X, long Y) grid, int threads, ReadOnlySpan<ulong> arguments)
    {
        Enter();
        nint function;
        lock (_functions) // forward and backward run on different threads
        {
            if (!_functions.TryGetValue(kernel, out function))
            {
                var name = Encoding.ASCII.GetBytes(kernel + "\0");
                fixed (byte* text = name)
                {
                    Check(((delegate* unmanaged<nint*, nint, byte*, int>)Symbol(_driver, "cuModuleGetFunction"))(&function, _module, text), kernel);
                }

                _functions.Add(kernel, function);
            }
        }

        var pointers = stackalloc void*[arguments.Length];
        fixed (ulong* values = arguments)
        {
            for (var i = 0; i < arguments.Length; i++)
            {
                pointers[i] = values + i;
            }

            _ = aoti_torch_get_current_cuda_stream(device, out var stream);
            var launch = (delegate* unmanaged<nint, uint, uint, uint, uint, uint, uint, uint, nint, void**, void**, int>)Symbol(_driver, "cuLaunchKernel");
            Check(launch(function, (uint)grid.X, (uint)grid.Y, 1, (uint)threads, 1, 1, 0, stream, pointers, null), kernel);
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
                throw new InvalidOperationException("NVRTC refused the kernels: " + Encoding.UTF8.GetString(Bytes(nvrtc, program, "ProgramLog")).TrimEnd('\0'));
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

    [DllImport("libtorch_cuda.so"), DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int aoti_torch_get_current_cuda_stream(int device, out nint stream);
}
