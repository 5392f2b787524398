using DeepSeekOps.Contracts.Worker.V1;
using DeepSeekOps.Worker.Cuda;
using DeepSeekOps.Worker.Libtorch;
using DeepSeekOps.Worker.Model;
using DeepSeekOps.Worker.Parallel;
using TorchSharp;
using static TorchSharp.torch;

namespace DeepSeekOps.Worker.Training.Learning;

/// <summary>
/// AdamW with FP32 master weights, all parameters in one fused operator. Moments are FP32, or BF16 as in the report (section 3.3.3):
/// then they are widened for the update and rounded after it.
/// </summary>
public sealed partial class AdamW : IDisposable
{
    private readonly Optimizer _options;
    private readonly string[] _names;
    private readonly bool[] _mirrored;
    private readonly Tensor[] _weights;
    private readonly Tensor[] _leaves;
    private readonly Tensor?[] _sums;
    private readonly Tensor[] _first;
    private readonly Tensor[] _second;
    private readonly Tensor[] _steps;
    private readonly bool[] _early;
    private readonly List<Action> _summing = [];
    private readonly ILookup<int?, int> _ofLayers;
    private readonly int[] _owners;
    private readonly int[] _own;

    /// <param name="mirrored">Weights that the mirrored rank of the pipeline holds too (<see cref="ModelPart"/>); null: none.</param>
    /// <param name="deal">
    /// Moments are dealt among the ranks that hold the same weight: each has those of some weights, updates these, and gives the others
    /// what comes of it (ZeRO stage 1, arXiv 1910.02054). Null: each rank has all.
    /// </param>
    public AdamW(IReadOnlyList<TrainedWeight> parameters, Optimizer options, Func<string, bool>? mirrored = null, Mesh? deal = null)
    {
        _options = options;
        _names = [.. parameters.Select(p => p.Name)];
        _mirrored = Array.ConvertAll(_names, name => mirrored?.Invoke(name) == true);
        _weights = [.. parameters.Select(p => p.Master)];
        _leaves = [.. parameters.Select(p => p.Leaf)];
        _sums = new Tensor?[_weights.Length];
        _early = new bool[_weights.Length];
        _ofLayers = Enumerable.Range(0, _names.Length).ToLookup(i => WeightShapes.LayerOf(_names[i]));
        _owners = deal is null ? [] : Owners(_names, _weights, deal);
        DealsMoments = deal is not null;
        var type = options.Bf16Moments ? ScalarType.BFloat16 : ScalarType.Float32;
        Tensor Zeros(int i) =>
            (IsOwn(i, deal) ? zeros_like(_weights[i], dtype: type) : empty(0, dtype: type)).DetachFromDisposeScope();
        int[] all = [.. Enumerable.Range(0, _weights.Length)];
        _own = [.. all.Where(i => IsOwn(i, deal))];
        _first = Array.ConvertAll(all, Zeros);
        _second = Array.ConvertAll(all, Zeros);
        _steps = Array.ConvertAll(_weights, w => zeros([], dtype: ScalarType.Float32, device: w.device).DetachFromDisposeScope());
    }

    /// <summary>This rank has the moments of some of its weights only.</summary>
    public bool DealsMoments { get; }

    /// <summary>What a checkpoint keeps beside the weights: of the moments that are here.</summary>
    public IEnumerable<(string Name, Tensor Value)> State => _own.SelectMany(i => new[]
    {
        ($"{_names[i]}.exp_avg", _first[i]), ($"{_names[i]}.exp_avg_sq", _second[i]), ($"{_names[i]}.step", _steps[i]),
    });

    private void Round(int i)
    {
        if (_leaves[i].dtype == ScalarType.BFloat16)
        {
            _leaves[i].copy_(_weights[i]);
        }
    }

    /// <summary>A drill has the next gradient that is to be summed up be NaN here.</summary>
    public bool SpoilsGradient { get; set; }

    /// <summary>
    /// Between two backward passes of one step: takes bfloat16 gradients over into float32 sums, so that micro-batches add up in float32
    /// (report section 3.3.3).
    /// </summary>
    public void Gather()
    {
        using var untracked = no_grad();
        for (var i = 0; i < _leaves.Length; i++)
        {
            Gather(i);
        }
    }

    private void Gather(int i)
    {
        // What is being summed up over the ranks gets nothing more in this step.
        if (!_early[i] && _leaves[i].grad is { } gradient && gradient.dtype == ScalarType.BFloat16)
        {
            if (_sums[i] is { } sum)
            {
                sum.add_(gradient);
            }
            else
            {
                _sums[i] = gradient.to(ScalarType.Float32).DetachFromDisposeScope();
            }
            _leaves[i].grad = null;
        }
    }

    /// <summary>
    /// The gradients of a layer's weights are made: sums them up over the ranks beside the backward pass, which goes on. What has none yet
    /// is summed up by <see cref="Update"/>. Not for weights whose backward pass is to come in this step once more.
    /// </summary>
    public void SumEarly(int layer, Mesh mesh)
    {
        if (mesh.Beside is not { } beside)
        {
            return;
        }
        using var untracked = no_grad();
        using var scope = NewDisposeScope();
        var sumsUp = Array.Exists(_sums, s => s is not null);
        int[] made = [.. _ofLayers[layer].Where(i => !_early[i] && (_sums[i] ?? _leaves[i].grad) is not null)];
        if (made.Length == 0)
        {
            return;
        }
        Array.ForEach(made, sumsUp ? Gather : _ => { });
        Spoil(made);
        _summing.Add(beside.Run(() => Sum(made, beside.Data, beside.Replicas)));
        Array.ForEach(made, i => _early[i] = true);
    }

    private void Sum(int[] weights, IProcessGroup data, IProcessGroup replicas)
    {
        data.AllReduce([.. weights.Where(i => !WeightShapes.IsExperts(_names[i])).Select(Gradient)]);
        replicas.AllReduce([.. weights.Where(i => WeightShapes.IsExperts(_names[i])).Select(Gradient)]);
    }

    private void Spoil(int[] weights)
    {
        if (SpoilsGradient && weights.Length > 0)
        {
            SpoilsGradient = false;
            Gradient(weights[0]).fill_(double.NaN);
        }
    }

    /// <summary>Sums up the gradients of all rows, over the ranks that hold the same weight.</summary>
    /// <returns>The weights that learn, by number.</returns>
    private int[] Reduce(Mesh mesh)
    {
        using var untracked = no_grad();
        if (Array.Exists(_sums, s => s is not null))
        {
            Gather();
        }
        for (var i = 0; i < _leaves.Length && mesh.Mirror is not null; i++)
        {
            // One of the two may have had no use for it: both add up all the same.
            if (_mirrored[i] && (_sums[i] ?? _leaves[i].grad) is null && _names[i] == WeightShapes.Embedding)
            {
                _leaves[i].grad = zeros_like(_leaves[i]);
            }
        }
        int[] learning = [.. Enumerable.Range(0, _leaves.Length).Where(i => (_sums[i] ?? _leaves[i].grad) is not null)];
        int[] left = [.. learning.Where(i => !_early[i])];
        Spoil(left);
        Sum(left, mesh.Data, mesh.Replicas);
        _summing.ForEach(wait => wait());
        _summing.Clear();
        mesh.Mirror?.AllReduce([.. learning.Where(i => _mirrored[i]).Select(Gradient)]);
        return learning;
    }

    /// <summary>
    /// The reduced gradients of what this rank is the first in the gang to hold, and then none any more: for a look at them instead of an
    /// update.
    /// </summary>
    public Dictionary<string, double> TakeSquaredNorms(Mesh mesh)
    {
        using var untracked = no_grad();
        using var scope = NewDisposeScope();
        var learning = Reduce(mesh);
        var norms = learning.Where(i => IsCounted(i, mesh) && mesh.Replicas.Own == 0)
            .ToDictionary(i => _names[i], i => Math.Pow(Gradient(i).to(ScalarType.Float64).norm().item<double>(), 2));
        Clear(learning);
        return norms;
    }

    /// <summary>Of the ranks that hold one model between them the first with this weight: each weight counts once in a norm.</summary>
    private bool IsCounted(int i, Mesh mesh) => (WeightShapes.IsExperts(_names[i]) || mesh.Experts.Own == 0)
        && !(_mirrored[i] && mesh.Mirror is { Own: > 0 });

    /// <summary>
    /// Sums up the gradients of all rows, clips them to the norm of the options, updates the weights and clears the gradients. Where the
    /// norm is not finite nothing is changed: that is looked at on the device, so that no step waits for it.
    /// </summary>
    /// <returns>The gradients' norm before clipping, a scalar still on the device.</returns>
    public Tensor Update(double learningRate, Mesh mesh)
    {
        using var untracked = no_grad();
        Settle();
        var learning = Reduce(mesh);
        int[] byKernel = [.. learning.Where(i => CudaKernels.Serve(Gradient(i)))];
        int[] byLibtorch = [.. learning.Except(byKernel)];
        var gradients = Array.ConvertAll(byLibtorch, i => Gradient(i).to(ScalarType.Float32));
        var norm = Norm([.. byKernel.Where(i => IsCounted(i, mesh))],
            [.. byLibtorch.Index().Where(g => IsCounted(g.Item, mesh)).Select(g => gradients[g.Index])], mesh.Model);
        var sound = norm.isfinite().to(ScalarType.Float32);
        Tensor? factor = _options.GradClip > 0 ? (_options.GradClip / (norm + 1e-6)).clamp(max: 1.0) : null;
        // A factor that is NaN tells the kernel to change nothing; that of an infinite norm would be 0.
        var kernelFactor = byKernel.Length > 0 ? (factor ?? ones_like(norm)).masked_fill(sound == 0, double.NaN) : null;
        var libtorchs = byLibtorch.Zip(gradients).ToDictionary(g => g.First, g => g.Second);
        // What others have the moments of is theirs to update; they give it while this rank goes on.
        foreach (var some in DealsMoments ? Portions(learning) : [learning])
        {
            int[] own = [.. some.Where(i => IsOwn(i, mesh))];
            Array.ForEach(own, i => _steps[i].add_(sound));
            int[] further = [.. own.Where(libtorchs.ContainsKey)];
            if (further.Length > 0)
            {
                UpdateByLibtorch(further, Array.ConvertAll(further, i => libtorchs[i]), factor, learningRate, 1 - sound);
            }
            foreach (var i in own.Except(further))
            {
                CudaKernels.AdamW(
                    _weights[i], _first[i], _second[i], Gradient(i), _leaves[i], kernelFactor!, _steps[i],
                    learningRate, _options.Beta1, _options.Beta2, _options.WeightDecay, _options.Epsilon);
            }
            Give(some, mesh);
        }
        Clear(learning);
        return norm;
    }

    private Tensor Gradient(int i) =>
        (_sums[i] ?? _leaves[i].grad) is { } gradient ? gradient : throw new InvalidOperationException(_names[i]);

    /// <summary>Over all parts of the model: a rank knows the norms of what it holds.</summary>
    private Tensor Norm(int[] byKernel, Tensor[] gradients, IProcessGroup model)
    {
        var norms = gradients.Length > 0 ? stack(Array.ConvertAll(gradients, g => g.norm())) : null;
        if (byKernel.Length > 0)
        {
            var partials = zeros(byKernel.Length, 256, ScalarType.Float32, _weights[0].device);
            for (var i = 0; i < byKernel.Length; i++)
            {
                CudaKernels.SumSquares(Gradient(byKernel[i]), partials[i]);
            }
            var further = partials.sum(1).sqrt();
            norms = norms is null ? further : cat([norms, further]);
        }
        var own = norms is null ? zeros(1, device: _weights[0].device) : norms.norm().reshape(1);
        return model.AllGather(own).norm();
    }

    private void UpdateByLibtorch(int[] learning, Tensor[] gradients, Tensor? factor, double learningRate, Tensor spoilt)
    {
        Tensor[] Of(Tensor[] all) => Array.ConvertAll(learning, i => all[i]);
        if (factor is not null)
        {
            Operators.ForeachMul(gradients, factor);
        }
        var (first, second) = (Of(_first), Of(_second));
        if (_options.Bf16Moments)
        {
            (first, second) = (Array.ConvertAll(first, m => m.to(ScalarType.Float32)),
                Array.ConvertAll(second, m => m.to(ScalarType.Float32)));
        }
        Operators.FusedAdamW(
            Of(_weights), gradients, first, second, Of(_steps),
            learningRate, _options.Beta1, _options.Beta2, _options.WeightDecay, _options.Epsilon, spoilt);
        for (var i = 0; i < learning.Length; i++)
        {
            if (_options.Bf16Moments)
            {
                _first[learning[i]].copy_(first[i]);
                _second[learning[i]].copy_(second[i]);
            }
            Round(learning[i]);
        }
    }

    /// <summary>
    /// Gradients go away, so that the next ones take their memory without an addition to zeros; but on a CPU fresh memory costs more than
    /// the addition.
    /// </summary>
    private void Clear(int[] learning)
    {
        foreach (var i in learning)
        {
            _early[i] = false;
            if (_sums[i] is { } sum)
            {
                sum.Dispose();
                _sums[i] = null;
            }
            else if (_leaves[i].device.type == DeviceType.CUDA)
            {
                _leaves[i].grad = null;
            }
            else
            {
                Gradient(i).zero_();
            }
        }
    }

    public void Dispose()
    {
        foreach (var tensor in (Tensor[])[.. _first, .. _second, .. _steps])
        {
            tensor.Dispose();
        }
    }
}
