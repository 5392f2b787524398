using TorchSharp;
using static TorchSharp.torch;

namespace DeepSeekOps.Worker.Model;

/// <summary>
/// What MLA keeps per token and layer while sampling: the latent and the rotated shared key (report section 2.1.1), nothing per
/// head. Rows advance together.
/// </summary>
public sealed class LatentCache : IDisposable
{
    private readonly Tensor _latents; // [layers, batch, capacity, kv_lora_rank + rope]

    public LatentCache(ModelShape shape, int batch, int capacity, Device device, ScalarType type = ScalarType.Float32)
    {
        _latents = zeros(shape.Layers, batch, capacity, shape.KvLoraRank + shape.QkRopeHeadDim, type, device).DetachFromDisposeScope();
        Capacity = capacity;
    }

    public int Capacity { get; }

    /// <summary>Places filled so far.</summary>
    public long Length { get; private set; }

    /// <summary>Forgets all but the first places: rejected guesses of speculative sampling.</summary>
    public void Truncate(long length)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(length, Length);
        Length = length;
    }

    public void Dispose() => _latents.Dispose();

    internal Tensor UpTo(int layer, long length) => length <= Capacity
        ? _latents[layer].narrow(1, 0, length)
        : throw new ArgumentOutOfRangeException(nameof(length), $"The cache holds {Capacity} places, {length} are needed: make it larger.");

    internal void Advance(long places) => Length += places;
}
