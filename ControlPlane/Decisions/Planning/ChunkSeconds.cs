namespace DeepSeekOps.Decisions.Planning;

/// <summary>How long the parts of one micro-batch take on a rank that goes through one piece of the model; any unit.</summary>
/// <param name="InputBackward">Gradients of what came in.</param>
/// <param name="WeightBackward">Gradients of the weights.</param>
/// <param name="Overlapped">A forward and a whole backward at the same time: less than one after the other.</param>
/// <param name="Send">Until what one rank has made is on the next one; the sender goes on meanwhile.</param>
public sealed record ChunkSeconds(double Forward, double InputBackward, double WeightBackward, double Overlapped, double Send = 0)
{
    public double Backward => InputBackward + WeightBackward;

    public ChunkSeconds Times(double factor) =>
        new(Forward * factor, InputBackward * factor, WeightBackward * factor, Overlapped * factor, Send * factor);
}
