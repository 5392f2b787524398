using System.Runtime.CompilerServices;
using DeepSeekOps.Worker.Libtorch;

namespace DeepSeekOps.Worker.Tests;

/// <summary>A test may touch TorchSharp before anything of the worker: libtorch is prepared when this assembly loads.</summary>
internal static class LibtorchFirst
{
    // The rule is against initialisers in libraries that others load; this is a program.
    [ModuleInitializer]
    internal static void Prepare() => RuntimeHelpers.RunModuleConstructor(typeof(LibtorchLoading).Module.ModuleHandle);
}
