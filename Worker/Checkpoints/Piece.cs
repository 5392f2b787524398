using static TorchSharp.torch;

namespace DeepSeekOps.Worker.Checkpoints;

/// <summary>A tensor of a stage's state, or what of it lies on this rank.</summary>
/// <param name="Name">Of the whole tensor.</param>
/// <param name="Value">As it lies here.</param>
public readonly record struct Piece(string Name, Tensor Value)
{
    /// <summary>Where along the whole's first dimension it begins, and how long that is; null: the whole lies here.</summary>
    public (long First, long Of)? Rows { get; init; }

    /// <summary>Of the whole tensor.</summary>
    public long[] WholeShape => Rows is { } rows ? [rows.Of, .. Value.shape[1..]] : Value.shape;

    /// <summary>Where in the whole it begins.</summary>
    public long[] Offset => [Rows?.First ?? 0, .. new long[Math.Max(0, Value.shape.Length - 1)]];

    public static implicit operator Piece((string Name, Tensor Value) whole) => new(whole.Name, whole.Value);

    internal PartTensor In(string file, string of) => Rows is null ? new PartTensor(of, Name, Value.shape, file)
        : new PartTensor(of, Name, WholeShape, file) { Offset = Offset, Extent = Value.shape };
}
