using DeepSeekOps.Contracts.Worker.V1;
using DeepSeekOps.Worker.Libtorch;
using TorchSharp;
using static TorchSharp.torch;

namespace DeepSeekOps.Worker.Training;

/// <summary>
/// AdamW with FP32 master weights, all parameters in one fused operator. Moments are FP32, or BF16 as in the report (section 3.3.3):
/// then they are widened for the update and rounded after it.
/// </summary>
public sealed class AdamW : IDisposable
{
    private readonly Optimizer _options;
    private readonly string[] _names;
    private readonly Tensor[] _weights;
    private readonly Tensor[] _first;
    private readonly Tensor[] _second;
    private readonly Tensor[] _steps;

    public AdamW(IReadOnlyList<(string Name, Tensor Weight)> parameters, Optimizer options)
    {
        _options = options;
        _names = [.. parameters.Select(p => p.Name)];
        _weights = [.. parameters.Select(p => p.Weight)];
        var type = options.Bf16Moments ? ScalarType.BFloat16 : ScalarType.Float32;
        Tensor Zeros(Tensor weight) => zeros_like(weight, dtype: type).DetachFromDisposeScope();
        _first = Array.ConvertAll(_weights, Zeros);
        _second = Array.ConvertAll(_weights, Zeros);
        _steps = Array.ConvertAll(_weights, w => zeros([], dtype: ScalarType.Float32, device: w.device).DetachFromDisposeScope());
    }

    /// <summary>What a checkpoint keeps beside the weights.</summary>
    public IEnumerable<(string Name, Tensor Value)> State => _names.SelectMany((name, i) => new[]
    {
        ($"{name}.exp_avg", _first[i]), ($"{name}.exp_avg_sq", _second[i]), ($"{name}.step", _steps[i]),
    });

    /// <summary>Clips the gradients to the norm of the options, updates the weights and clears the gradients.</summary>
    /// <returns>The gradients' norm before clipping, a scalar still on the device.</returns>
    public Tensor Update(double learningRate)
    {
        using var untracked = no_grad();
        int[] learning = [.. Enumerable.Range(0, _weights.Length).Where(i => _weights[i].grad is not null)];
        Tensor[] Of(Tensor[] all) => Array.ConvertAll(learning, i => all[i]);
        var gradients = Array.ConvertAll(learning, i => _weights[i].grad is { } g ? g : throw new InvalidOperationException(_names[i]));
        var norm = stack(Array.ConvertAll(gradients, g => g.norm())).norm();
        if (_options.GradClip > 0)
        {
            Operators.ForeachMul(gradients, (_options.GradClip / (norm + 1e-6)).clamp(max: 1.0));
        }
        var steps = Of(_steps);
        foreach (var step in steps)
        {
            step.add_(1);
        }
        var (first, second) = (Of(_first), Of(_second));
        if (_options.Bf16Moments)
        {
            (first, second) = (Array.ConvertAll(first, m => m.to(ScalarType.Float32)), Array.ConvertAll(second, m => m.to(ScalarType.Float32)));
        }
        Operators.FusedAdamW(
            Array.ConvertAll(learning, i => _weights[i]), gradients, first, second, steps,
            learningRate, _options.Beta1, _options.Beta2, _options.WeightDecay, _options.Epsilon);
        if (_options.Bf16Moments)
        {
            for (var i = 0; i < learning.Length; i++)
            {
                _first[learning[i]].copy_(first[i]);
                _second[learning[i]].copy_(second[i]);
            }
        }
        Clear(gradients, learning);
        return norm;
    }

    /// <summary>
    /// On a GPU gradients go away: the next ones take their memory without an addition to zeros. On a CPU fresh memory costs more than
    /// the addition.
    /// </summary>
    private void Clear(Tensor[] gradients, int[] learning)
    {
        if (gradients.Length > 0 && gradients[0].device.type == DeviceType.CUDA)
        {
            foreach (var i in learning)
            {
                _weights[i].grad = null;
            }
        }
        else
        {
            foreach (var gradient in gradients)
            {
                gradient.zero_();
            }
        }
    }

    public void Dispose()
    {
        foreach (var (_, tensor) in State)
        {
            tensor.Dispose();
        }
    }
}
