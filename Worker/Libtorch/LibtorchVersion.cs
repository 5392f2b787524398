using System.Globalization;
using System.Runtime.InteropServices;
using System.Text.RegularExpressions;

namespace DeepSeekOps.Worker.Libtorch;

/// <summary>Which libtorch a folder holds.</summary>
internal static partial class LibtorchVersion
{
    private const int BytesMax = 4_096;

    /// <summary>By the files that PyTorch and libtorch's archives put beside it, without loading it. Empty: there are none.</summary>
    public static string Written(string folder)
    {
        foreach (var path in new[] { Path.Combine(folder, "..", "version.py"), Path.Combine(folder, "..", "build-version") })
        {
            if (File.Exists(path) && new FileInfo(path).Length <= BytesMax
                && Number().Match(File.ReadAllText(path)) is { Success: true } found)
            {
                return found.Value;
            }
        }
        return "";
    }

    /// <summary>As the loaded library says itself, which those from 2.9 on can. Empty: it cannot, or is not loaded.</summary>
    public static string Loaded(string folder)
    {
        if (!NativeLibrary.TryLoad(Path.Combine(folder, "libtorch_cpu.so"), out var library)
            || !NativeLibrary.TryGetExport(library, "aoti_torch_abi_version", out var call))
        {
            return "";
        }
        ulong version = Marshal.GetDelegateForFunctionPointer<AbiVersion>(call)();
        // One byte each of major, minor and patch, from the top.
        return string.Create(CultureInfo.InvariantCulture, $"{version >> 56}.{(version >> 48) & 0xff}.{(version >> 40) & 0xff}");
    }

    [UnmanagedFunctionPointer(CallingConvention.Cdecl)]
    private delegate ulong AbiVersion();

    [GeneratedRegex(@"\d+\.\d+\.\d+")]
    private static partial Regex Number();
}
