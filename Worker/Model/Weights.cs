using DeepSeekOps.Contracts.Worker.V1;
using DeepSeekOps.Recipes.Pipelining;
using DeepSeekOps.Worker.Libtorch;
using TorchSharp;
using static TorchSharp.torch;
using static TorchSharp.torch.nn.functional;

namespace DeepSeekOps.Worker.Model;

/// <summary>A tensor that training changes. Its gradient gathers on <paramref name="Leaf"/>.</summary>
/// <param name="Master">What is updated and saved.</param>
/// <param name="Leaf">What products use: the master itself, or its copy in bfloat16.</param>
public sealed record TrainedWeight(string Name, Tensor Master, Tensor Leaf);

/// <summary>
/// The tensors of a model: masters as they are trained and saved, and what the products compute with. In mixed precision (bf16, and
/// fp8 on a GPU) masters stay float32, and products use copies rounded to bfloat16, made anew when masters may have changed.
/// </summary>
internal sealed class Weights : IDisposable
{
    private const string Router = "mlp.gate.weight"; // computes in float32, always

    private readonly Dictionary<string, Tensor> _masters = [];
    private readonly Dictionary<string, Tensor> _rounded = [];
    private readonly bool _fp8;
    private bool _stale = true;

    public Weights(ModelShape shape, ModelPart part, Device device, ScalarType type, Precision precision)
    {
        Device = device;
        Mixed = precision == Precision.Bf16 || (precision == Precision.Fp8 && device.type == DeviceType.CUDA);
        _fp8 = precision == Precision.Fp8;
        Later = part.Schedule.SplitsBackward() ? new LaterGradients() : null;
        foreach (var weight in WeightShapes.Of(shape).Where(w => part.Holds(shape, w.Name)).Select(part.Share))
        {
            // The correction bias and whatever else is not trained stays in float32.
            var tensor = zeros(weight.Dimensions, weight.Trained ? type : float32, device).DetachFromDisposeScope();
            var rounded = Mixed && weight.Trained && !weight.Name.EndsWith(Router, StringComparison.Ordinal);
            _masters.Add(weight.Name, weight.Trained && !rounded ? tensor.requires_grad_() : tensor);
            if (rounded)
            {
                _rounded.Add(weight.Name, empty(weight.Dimensions, ScalarType.BFloat16, device).DetachFromDisposeScope().requires_grad_());
            }
        }
    }

    public Device Device { get; }

    /// <summary>Takes the gradients of products' weights that a schedule makes later; null: none does.</summary>
    public LaterGradients? Later { get; }

    /// <summary>Activations are bfloat16, masters float32.</summary>
    public bool Mixed { get; }

    /// <summary>Products in FP8 run as such and are not emulated.</summary>
    public bool Fp8OnTensorCores => _fp8 && Mixed;

    /// <summary>The routed experts cannot be one grouped product: FP8 emulation takes them one by one.</summary>
    public bool ExpertsOneByOne => _fp8 && !Mixed;

    /// <summary>Called before a weight is used, with its name; null: before all may be. Somebody may still be bringing them.</summary>
    public Action<string?>? BeforeUse { get; set; }

    public IReadOnlyDictionary<string, Tensor> Masters
    {
        get
        {
            BeforeUse?.Invoke(null);
            return _masters;
        }
    }

    /// <summary>The experts' correction biases, which no gradient changes, in the order of the layers.</summary>
    public IEnumerable<Tensor> CorrectionBiases =>
        _masters.Where(w => w.Key.EndsWith("e_score_correction_bias", StringComparison.Ordinal)).Select(w => w.Value);

    /// <summary>Of what lies in a cache of its activations.</summary>
    public ScalarType ActivationType => Mixed ? ScalarType.BFloat16 : _masters.Values.First().dtype;

    public IEnumerable<TrainedWeight> Trained =>
        from master in Masters
        let leaf = _rounded.GetValueOrDefault(master.Key) ?? master.Value
        where leaf.requires_grad
        select new TrainedWeight(master.Key, master.Value, leaf);

    /// <summary>The weight in the type of the activations.</summary>
    public Tensor this[string name]
    {
        get
        {
            BeforeUse?.Invoke(name);
            return _rounded.TryGetValue(name, out var rounded) ? rounded : _masters[name];
        }
    }

    public bool Contains(string name) => _masters.ContainsKey(name);

    /// <summary>Somebody may write to masters: they are rounded again before the next pass.</summary>
    public void MastersMayChange()
    {
        BeforeUse?.Invoke(null);
        _stale = true;
    }

    /// <summary>Before a pass: copies are those of the masters.</summary>
    public void Round()
    {
        if (Mixed && _stale)
        {
            BeforeUse?.Invoke(null);
            using var untracked = no_grad();
            foreach (var (name, copy) in _rounded)
            {
                copy.copy_(_masters[name]);
            }
        }

        _stale = false;
    }

    /// <summary>x · Wᵀ in the precision that the model computes in.</summary>
    public Tensor Project(Tensor x, string name) => Project(x, this[name], new LaterWeight(this[name], null));

    /// <summary>The same with one expert of a stacked weight.</summary>
    public Tensor Project(Tensor x, string name, long expert) => Project(x, this[name][expert], new LaterWeight(this[name], expert));

    /// <summary>x · Wᵀ in the type of the activations, never in FP8.</summary>
    public Tensor Linear(Tensor x, string name) => Linear(x, this[name], new LaterWeight(this[name], null));

    /// <summary>Each group of rows times its expert's matrix, transposed: [rows, in] · [experts, out, in] → [rows, out].</summary>
    public Tensor Grouped(Tensor rows, string name, Tensor ends) => Later is null
        ? Operators.GroupedMm(rows, this[name].transpose(1, 2), ends)
        : LaterGroupedProduct.Forward(rows, this[name], ends, Later);

    public void Dispose()
    {
        foreach (var tensor in _masters.Values.Concat(_rounded.Values))
        {
            tensor.Dispose();
        }
    }

    private Tensor Project(Tensor x, Tensor weight, LaterWeight later) =>
        _fp8 && x.numel() > 0 && Fp8Linear.Takes(x, weight) ? Fp8Linear.Forward(x, weight, Later, later) : Linear(x, weight, later);

    private Tensor Linear(Tensor x, Tensor weight, LaterWeight later) =>
        Later is null ? linear(x, weight) : LaterProduct.Forward(x, weight, Later, later);
}
