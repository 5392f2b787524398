using System.Runtime.InteropServices;
using static TorchSharp.torch;

namespace DeepSeekOps.Worker.Safetensors;

/// <summary>
/// The memory behind a contiguous tensor on the CPU, of any element type, float8 too (TorchSharp's accessors know fewer types).
/// </summary>
internal static class TensorMemory
{
    public static nint Address(Tensor tensor)
    {
        if (tensor.device_type != TorchSharp.DeviceType.CPU || !tensor.is_contiguous())
        {
            throw new ArgumentException("only the memory of a contiguous tensor on the CPU can be reached");
        }

        int status = aoti_torch_get_data_ptr(tensor.Handle, out nint address);
        return status == 0 ? address
            : throw new InvalidOperationException("libtorch refused a tensor's address; its reason is on standard error.");
    }

    [DllImport("libtorch_cpu.so"), DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int aoti_torch_get_data_ptr(nint tensor, out nint address);
}
