using System.Reflection;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace DeepSeekOps.Worker.Libtorch;

/// <summary>
/// Loads libtorch before TorchSharp asks for it: from DSOPS_LIBTORCH, from a PyTorch installation where there is an NVIDIA
/// GPU, or the CPU build that came with this program. It happens when the TorchSharp assembly is first touched, so a
/// process that never computes (the node agent) never pays for it.
/// </summary>
public static class LibtorchLoading
{
    // Dependencies first. The CUDA ones exist only in CUDA builds.
    private static readonly string[] Libraries = ["libc10.so", "libtorch_cpu.so", "libc10_cuda.so", "libtorch_cuda.so", "libtorch.so"];
    private const string Bridge = "libLibTorchSharp.so";

    private static readonly string[] PackageFolders = ["site-packages", "dist-packages"];

    private static readonly Lock Gate = new();

    private static string? _failure;
    private static bool _tried;

    /// <summary>
    /// The folder that libtorch came from, or was to come from where it does not load; null before the first use, where there is none, and
    /// on systems where TorchSharp finds its own.
    /// </summary>
    public static string? Folder { get; private set; }

    /// <summary>Loads libtorch now and says in words what is missing where that fails.</summary>
    public static void Require()
    {
        // Before TorchSharp finds out by itself: it then looks for packages, copies what it finds beside the program, and tells all of it.
        if (WhyNot() is { } missing)
        {
            throw new DllNotFoundException(missing);
        }
        RuntimeHelpers.RunClassConstructor(typeof(TorchSharp.torch).Assembly.GetType("TorchSharp.torch")!.TypeHandle);
    }

    /// <summary>Where it would be loaded from, before anything is: a wrong one may end the process.</summary>
    /// <exception cref="DllNotFoundException">There is none; the message says where it was looked for.</exception>
    internal static string Choose() => ChosenFolder(ShippedFolder());

    /// <summary>Loads it, unless that was tried before. Null: it is there.</summary>
    internal static string? WhyNot()
    {
        if (OperatingSystem.IsLinux())
        {
            LoadOnce();
        }
        return _failure;
    }

    /// <summary>Threads for one operator. Ranks of one host share its cores: cores divided by ranks, at least one.</summary>
    public static void SetThreads(int threads)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(threads);
        TorchSharp.torch.set_num_threads(threads);
    }

    [ModuleInitializer]
    internal static void LoadWithTorchSharp()
    {
        AppDomain.CurrentDomain.AssemblyLoad += (_, loaded) =>
        {
            if (OperatingSystem.IsLinux() && loaded.LoadedAssembly.GetName().Name == "TorchSharp")
            {
                LoadOnce();
            }
        };
    }

    // An exception must not leave an assembly-load handler: what went wrong is kept for Require, and TorchSharp fails on its own after it.
    private static void LoadOnce()
    {
        lock (Gate)
        {
            if (!_tried)
            {
                _tried = true;
                Load();
            }
        }
    }

    private static void Load()
    {
        try
        {
            WaitPassively();
            var shipped = ShippedFolder();
            var folder = ChosenFolder(shipped);
            Folder = folder;
            foreach (var library in Libraries.Select(name => Path.Combine(folder, name)).Where(File.Exists))
            {
                NativeLibrary.Load(library);
            }

            LoadBridge(Path.Combine(shipped, Bridge));
        }
        catch (Exception e) when (e is DllNotFoundException or BadImageFormatException or IOException or UnauthorizedAccessException)
        {
            _failure = e.Message;
        }
    }

    /// <summary>
    /// OpenMP's threads spin while they wait, which on a host shared with other ranks made a step four times as long. Read when
    /// libgomp loads, from the C environment (which .NET's own does not write through to); whoever set it is left alone.
    /// </summary>
    private static void WaitPassively()
    {
        if (OperatingSystem.IsLinux())
        {
            _ = setenv("OMP_WAIT_POLICY", "passive", overwrite: 0);
        }
    }

    [DllImport("libc", BestFitMapping = false,
        ThrowOnUnmappableChar = true), DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int setenv([MarshalAs(UnmanagedType.LPUTF8Str)] string name, [MarshalAs(UnmanagedType.LPUTF8Str)] string value,
        int overwrite);

    private static void LoadBridge(string path)
    {
        if (!File.Exists(path))
        {
            throw new DllNotFoundException(
                $"{Bridge} is missing in {Path.GetDirectoryName(path)}: publish the worker for linux-x64 again.");
        }

        if (!OperatingSystem.IsLinux())
        {
            return;
        }
        // The mended copy carries the same SONAME, so TorchSharp's own search by name finds it once it is loaded.
        if (!NativeLibrary.TryLoad(path, out var bridge))
        {
            bridge = NativeLibrary.Load(GlibcxxMend.MendedCopy(path));
        }
        if (!ScalarLifetime.Extend(bridge) || !TensorLifetime.Extend(bridge))
        {
            Console.Error.WriteLine($"{Bridge} stays as it is: this system lets no code be changed. A step may fail, seldom, with "
                + $"\"Expected false to be true\" or a segmentation fault.");
        }
    }

    private static string ShippedFolder()
    {
        var home = Path.GetDirectoryName(Assembly.GetExecutingAssembly().Location)!;
        var native = Path.Combine(home, "runtimes", "linux-x64", "native");
        return Directory.Exists(native) ? native : home;
    }

    private static string ChosenFolder(string shipped)
    {
        if (Environment.GetEnvironmentVariable("DSOPS_LIBTORCH") is { Length: > 0 } named)
        {
            return File.Exists(Path.Combine(named, "libtorch_cpu.so"))
                ? named
                : throw new DllNotFoundException($"DSOPS_LIBTORCH is {named}, where no libtorch_cpu.so is: name the folder torch/lib "
                    + "of a PyTorch installation.");
        }

        if (File.Exists("/proc/driver/nvidia/version")
            && PythonFolders().FirstOrDefault(f => File.Exists(Path.Combine(f, "libtorch_cuda.so"))) is { } found)
        {
            return found;
        }

        return File.Exists(Path.Combine(shipped, "libtorch_cpu.so"))
            ? shipped
            : throw new DllNotFoundException(
                $"No libtorch: {shipped} has no libtorch_cpu.so. Publish the worker with the package libtorch-cpu-linux-x64, "
                + "or set DSOPS_LIBTORCH to the folder torch/lib of PyTorch 2.10 or 2.11.");
    }

    /// <summary>torch/lib of the Python installations in their usual places, the active environment first.</summary>
    private static IEnumerable<string> PythonFolders()
    {
        string?[] roots =
        [
            Environment.GetEnvironmentVariable("VIRTUAL_ENV"), Environment.GetEnvironmentVariable("CONDA_PREFIX"),
            "/usr/local", "/usr", "/opt/conda", "/opt/venv",
        ];
        return
            from root in roots
            where root is not null && Directory.Exists(Path.Combine(root, "lib"))
            from python in Directory.EnumerateDirectories(Path.Combine(root, "lib"), "python3*").OrderDescending(StringComparer.Ordinal)
            from packages in PackageFolders
            select Path.Combine(python, packages, "torch", "lib");
    }
}
