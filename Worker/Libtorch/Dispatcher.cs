using System.Runtime.InteropServices;
using TorchSharp;
using static TorchSharp.torch;

namespace DeepSeekOps.Worker.Libtorch;

/// <summary>
/// Calls any registered operator of libtorch through its stable C interface, with autograd, past what TorchSharp wraps.
/// One builder per call: arguments in the order of the operator's schema, then one of the Run methods.
/// </summary>
/// <remarks>
/// Ownership: every tensor argument is a fresh handle that the callee frees; optionals are malloc'ed slots, freed by the callee;
/// results are handles of ours. The interface has no Scalar arguments in libtorch 2.10.
/// </remarks>
internal ref struct DispatcherCall(string name, string overload = "")
{
    // No operator in use has more than 16 arguments (_fused_adamw_ has 15). Inline, so that a call allocates nothing.
    private Slots _slots;
    private int _count;

    [System.Runtime.CompilerServices.InlineArray(16)]
    private struct Slots
    {
        private ulong _first;
    }

    public DispatcherCall Tensor(Tensor tensor)
    {
        _slots[_count++] = NewHandle(tensor);
        return this;
    }

    public DispatcherCall Tensor(Tensor? tensor, bool optional)
    {
        _slots[_count++] = optional && tensor is null ? 0 : Optional(NewHandle(tensor!));
        return this;
    }

    public DispatcherCall Int(long value)
    {
        _slots[_count++] = (ulong)value;
        return this;
    }

    public DispatcherCall Bool(bool value)
    {
        _slots[_count++] = value ? 1UL : 0UL;
        return this;
    }

    public DispatcherCall Float(double value)
    {
        _slots[_count++] = BitConverter.DoubleToUInt64Bits(value);
        return this;
    }

    public DispatcherCall OptionalFloat(double value)
    {
        _slots[_count++] = Optional(BitConverter.DoubleToUInt64Bits(value));
        return this;
    }

    public DispatcherCall OptionalType(ScalarType value)
    {
        _slots[_count++] = Optional((ulong)value);
        return this;
    }

    /// <summary>An optional argument left out (None).</summary>
    public DispatcherCall None()
    {
        _slots[_count++] = 0;
        return this;
    }

    public DispatcherCall Ints(params ReadOnlySpan<long> values)
    {
        var list = NewList(values.Length);
        foreach (var value in values)
        {
            Check(torch_list_push_back(list, (ulong)value), "list");
        }

        _slots[_count++] = (ulong)list;
        return this;
    }

    public DispatcherCall Tensors(IReadOnlyList<Tensor> tensors)
    {
        var list = NewList(tensors.Count);
        for (var i = 0; i < tensors.Count; i++)
        {
            Check(torch_list_push_back(list, NewHandle(tensors[i])), "list");
        }

        _slots[_count++] = (ulong)list;
        return this;
    }

    /// <summary>Runs an operator that returns one tensor.</summary>
    public Tensor Run()
    {
        RunInPlace();
        return torch.Tensor.UnsafeCreateTensor((nint)_slots[0]);
    }

    /// <summary>Runs an operator that returns nothing.</summary>
    public unsafe void RunInPlace()
    {
        fixed (ulong* stack = &_slots[0])
        {
            Check(aoti_torch_call_dispatcher(name, overload, stack), name);
        }
    }

    /// <summary>Where a tensor's first element lies, on its device.</summary>
    public static ulong Address(Tensor tensor)
    {
        Check(aoti_torch_get_data_ptr(tensor.Handle, out var address), "data pointer");
        GC.KeepAlive(tensor);
        return (ulong)address;
    }

    private static unsafe ulong Optional(ulong value)
    {
        var slot = (ulong*)NativeMemory.Alloc(sizeof(ulong));
        *slot = value;
        return (ulong)slot;
    }

    private static ulong NewHandle(Tensor tensor)
    {
        Check(aoti_torch_new_tensor_handle(tensor.Handle, out var handle), "tensor handle");
        GC.KeepAlive(tensor);
        return (ulong)handle;
    }

    private static nint NewList(int count)
    {
        Check(torch_new_list_reserve_size((nuint)count, out var list), "list");
        return list;
    }

    // libtorch prints the error's text itself, on standard error.
    private static void Check(int status, string what)
    {
        if (status != 0)
        {
            throw new InvalidOperationException($"libtorch refused {what}; its reason is on standard error.");
        }
    }

    private const string Library = "libtorch_cpu.so";

    [DllImport(Library, BestFitMapping = false), DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern unsafe int aoti_torch_call_dispatcher(
        [MarshalAs(UnmanagedType.LPUTF8Str)] string name, [MarshalAs(UnmanagedType.LPUTF8Str)] string overload, ulong* stack);

    [DllImport(Library), DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int aoti_torch_new_tensor_handle(nint tensor, out nint handle);

    [DllImport(Library), DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int aoti_torch_get_data_ptr(nint tensor, out nint address);

    [DllImport(Library), DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int torch_new_list_reserve_size(nuint count, out nint list);

    [DllImport(Library), DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int torch_list_push_back(nint list, ulong value);
}
