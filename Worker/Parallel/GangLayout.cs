using DeepSeekOps.Contracts.Worker.V1;

namespace DeepSeekOps.Worker.Parallel;

/// <summary>Where a rank stands in its gang's layout, each counted from 0.</summary>
/// <param name="Pipeline">Which layers it has.</param>
/// <param name="Data">Which rows of each batch it takes.</param>
/// <param name="Expert">Which routed experts of its layers it has.</param>
/// <param name="Tensor">Which slice of its products it has.</param>
public readonly record struct Coordinates(int Pipeline, int Data, int Expert, int Tensor);

/// <summary>
/// How one model is spread over the ranks of a gang. Tensor neighbours talk most and are numbered next to each other; then come those that
/// take other rows of the batch, of which <paramref name="Expert"/> neighbours share the experts; pipelines are the outermost.
/// </summary>
public sealed record GangLayout(int Ranks, int Pipeline, int Tensor, int Expert)
{
    /// <summary>Ranks that hold the same weights and take different rows.</summary>
    public int Data => Ranks / (Pipeline * Tensor);

    /// <exception cref="InvalidDataException">So many ranks cannot be laid out that way.</exception>
    public static GangLayout Of(ParallelLayout? layout, int ranks)
    {
        var made = layout is null ? new GangLayout(ranks, 1, 1, 1)
            : new GangLayout(ranks, Math.Max(1, layout.Pipeline), Math.Max(1, layout.Tensor), Math.Max(1, layout.Expert));
        var data = layout is null ? ranks : Math.Max(1, layout.Data);
        return (long)made.Pipeline * made.Tensor * data == ranks && ranks / made.Pipeline % made.Expert == 0 ? made : throw new InvalidDataException(
            $"{ranks} ranks cannot be laid out as {made.Pipeline} pipeline × {data} data × {made.Tensor} tensor with {made.Expert} ranks to share the experts: "
            + "the product has to be the number of ranks, and the experts' ranks a divisor of those of one pipeline step.");
    }

    public Coordinates Of(int rank)
    {
        var within = rank % (Data * Tensor);
        return new Coordinates(rank / (Data * Tensor), within / Tensor, within % Expert, within % Tensor);
    }
}
