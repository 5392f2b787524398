using DeepSeekOps.Contracts.Worker.V1;
using TorchSharp;
using static TorchSharp.torch;
using static TorchSharp.torch.nn.functional;

namespace DeepSeekOps.Worker.Model;

/// <summary>
/// The tensors of a model: masters as they are trained and saved, and what the products compute with. In mixed precision (bf16, and
/// fp8 on a GPU) masters stay float32, activations are bfloat16, and a weight is rounded where it is used, inside the graph, so that
/// its gradient arrives in float32.
/// </summary>
internal sealed class Weights : IDisposable
{
    private readonly Dictionary<string, Tensor> _masters = [];
    private readonly bool _fp8;
    private Dictionary<string, Tensor>? _held;

    public Weights(ModelShape shape, Device device, ScalarType type, Precision precision)
    {
        Device = device;
        Mixed = precision == Precision.Bf16 || (precision == Precision.Fp8 && device.type == DeviceType.CUDA);
        _fp8 = precision == Precision.Fp8;
        foreach (var weight in WeightShapes.Of(shape))
        {
            // The correction bias and whatever else is not trained stays in float32.
            var tensor = zeros(weight.Dimensions, weight.Trained ? type : float32, device).DetachFromDisposeScope();
            _masters.Add(weight.Name, weight.Trained ? tensor.requires_grad_() : tensor);
        }
    }

    public Device Device { get; }

    /// <summary>Activations are bfloat16, whatever the masters are.</summary>
    public bool Mixed { get; }

    /// <summary>The routed experts cannot be one grouped product: FP8 emulation takes them one by one.</summary>
    public bool ExpertsOneByOne => _fp8 && !Mixed;

    public IReadOnlyDictionary<string, Tensor> Masters => _masters;

    /// <summary>The weight in the type of the activations.</summary>
    public Tensor this[string name] =>
        !Mixed ? _masters[name] : _held is { } held ? held[name] : _masters[name].to(ScalarType.BFloat16);

    /// <summary>x · Wᵀ in the precision that the model computes in.</summary>
    public Tensor Project(Tensor x, string name) => _fp8 ? Fp8Project(x, _masters[name]) : linear(x, this[name]);

    /// <summary>The same with one expert of a stacked weight.</summary>
    public Tensor Project(Tensor x, string name, long expert) => _fp8 ? Fp8Project(x, _masters[name][expert]) : linear(x, this[name][expert]);

    /// <summary>Rounds all weights once, for many forward passes without a gradient, until the result is disposed of.</summary>
    public IDisposable Hold()
    {
        if (!Mixed || _held is not null)
        {
            return new Held(null);
        }

        using var untracked = no_grad();
        // A weight that is bfloat16 already comes back as itself; an alias of it is what Held may dispose of.
        _held = _masters.ToDictionary(m => m.Key, m => m.Value.detach().to(ScalarType.BFloat16).alias().DetachFromDisposeScope());
        return new Held(this);
    }

    public void Dispose()
    {
        foreach (var master in _masters.Values)
        {
            master.Dispose();
        }
    }

    private static Tensor Fp8Project(Tensor x, Tensor weight) => x.numel() > 0 ? Fp8Linear.Forward(x, weight) : linear(x, weight.to(x.dtype));

    private sealed class Held(Weights? owner) : IDisposable
    {
        public void Dispose()
        {
            foreach (var tensor in owner?._held?.Values ?? Enumerable.Empty<Tensor>())
            {
                tensor.Dispose();
            }

            if (owner is not null)
            {
                owner._held = null;
            }
        }
    }
}
