using TorchSharp;
using static TorchSharp.torch;

namespace DeepSeekOps.Worker.Model;

/// <summary>The weight of a product, or one expert's of a stacked one.</summary>
/// <param name="Leaf">Where its gradient gathers.</param>
public readonly record struct LaterWeight(Tensor Leaf, long? Expert)
{
    public void Add(Tensor gradient)
    {
        if (Leaf.grad is null)
        {
            // Detached, since libtorch would refuse one that is still part of a graph.
            Leaf.grad = Expert is null ? gradient.detach() : zeros_like(Leaf);
            if (Expert is null)
            {
                return;
            }
        }
        var all = Leaf.grad ?? throw new InvalidOperationException("A gradient that was just set is not there.");
        (Expert is { } expert ? all[expert] : all).add_(gradient);
    }
}

/// <summary>
/// The gradients of weights that a backward pass leaves for later. A product's two gradients are two products: that of its input is wanted
/// at once by the layers before, that of its weight only at the end of the step. Where <see cref="Leaves"/> is set, the pass makes the
/// first alone and keeps what the second is made from.
/// </summary>
public sealed class LaterGradients
{
    private List<LaterGradient> _left = [];

    /// <summary>Backward passes leave the gradients of products' weights.</summary>
    public bool Leaves { get; set; }

    /// <summary>What was left since it was last asked.</summary>
    public LeftGradients Take()
    {
        var left = _left;
        _left = [];
        return new LeftGradients(left);
    }

    /// <param name="made">Makes the weight's gradient from <paramref name="kept"/>, of which aliases are handed to it.</param>
    internal void Leave(LaterWeight weight, Tensor[] kept, Func<Tensor[], Tensor> made) =>
        // Autograd lets go of its own handles when the pass ends.
        _left.Add(new LaterGradient(weight, Array.ConvertAll(kept, k => k.detach().DetachFromDisposeScope()), made));
}

internal sealed record LaterGradient(LaterWeight Weight, Tensor[] Kept, Func<Tensor[], Tensor> Made);

/// <summary>The gradients of weights that one backward pass left.</summary>
public sealed class LeftGradients : IDisposable
{
    private readonly List<LaterGradient> _left;

    internal LeftGradients(List<LaterGradient> left) => _left = left;

    /// <summary>Makes them and adds them to those that the weights have.</summary>
    public void Make()
    {
        using var untracked = no_grad();
        foreach (var gradient in _left)
        {
            using var scope = NewDisposeScope();
            gradient.Weight.Add(gradient.Made(gradient.Kept));
        }
        Dispose();
    }

    public void Dispose()
    {
        foreach (var kept in _left.SelectMany(l => l.Kept))
        {
            kept.Dispose();
        }
        _left.Clear();
    }
}
