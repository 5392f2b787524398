using System.Runtime.ExceptionServices;
using TorchSharp;
using static TorchSharp.torch;

namespace DeepSeekOps.Worker.Libtorch;

/// <summary>
/// What every C# backward function needs around it. An exception that leaves one ends the process without a word: it is kept, the pass
/// goes on with gradients of zero, and whoever uses gradients asks first. And autograd calls it on a thread of its own for a GPU, where
/// no dispose scope is open: tensors made there would live until the garbage collector comes by, which sees none of their memory.
/// </summary>
public static class CustomBackward
{
    private static Exception? _first;

    // What the last call on this thread handed to autograd: by the next call it has been taken over.
    [ThreadStatic]
    private static List<Tensor>? _handedOver;

    /// <summary>Runs <paramref name="backward"/>: a gradient per argument of forward, null for what is no tensor.</summary>
    /// <param name="shapes">Of the gradients, for the zeros where it fails.</param>
    public static List<Tensor> Run(Tensor incoming, Func<List<Tensor?>> backward, params ReadOnlySpan<long[]?> shapes)
    {
        foreach (var tensor in _handedOver ?? [])
        {
            tensor.Dispose();
        }

        using var scope = NewDisposeScope();
        List<Tensor?> gradients;
        try
        {
            gradients = backward();
        }
        catch (Exception e)
        {
            // Catches all: see above.
            Interlocked.CompareExchange(ref _first, e, null);
            gradients = [];
            foreach (var shape in shapes)
            {
                gradients.Add(shape is null ? null : zeros(1, incoming.dtype, incoming.device).expand(shape));
            }
        }

        _handedOver = [incoming];
        foreach (var gradient in gradients.OfType<Tensor>())
        {
            _handedOver.Add(gradient.DetachFromDisposeScope());
        }

        return gradients!;
    }

    /// <summary>Of a launch that is over: what went wrong there says nothing of the next.</summary>
    public static void Forget() => Interlocked.Exchange(ref _first, null);

    /// <summary>Call it after backward(), before gradients change a weight: says what went wrong there.</summary>
    public static void ThrowIfFailed()
    {
        if (Interlocked.Exchange(ref _first, null) is { } failure)
        {
            if (failure is IOException or OperationCanceledException)
            {
                // Nothing is wrong with the pass: another rank is gone, or this one is to end.
                ExceptionDispatchInfo.Throw(failure);
            }

            throw new InvalidOperationException("The backward pass failed, its gradients are not to be used.", failure);
        }
    }
}
