using DeepSeekOps.Recipes.Weights;
using DeepSeekOps.Worker.Parallel;

namespace DeepSeekOps.Worker.Model;

/// <summary>What of a model one rank holds: a run of its layers, and some of the routed experts of each.</summary>
/// <param name="FirstLayer">Of the main model.</param>
/// <param name="Layers">How many from there on.</param>
/// <param name="Of">Layers that the whole main model has.</param>
/// <param name="FirstExpert">Of each of its layers.</param>
/// <param name="Experts">How many from there on.</param>
public sealed record ModelPart(int FirstLayer, int Layers, int Of, int FirstExpert, int Experts)
{
    /// <summary>It has the embedding that the pass begins with.</summary>
    public bool Begins => FirstLayer == 0;

    /// <summary>It has the last norm, the head and the modules that predict further tokens.</summary>
    public bool Ends => FirstLayer + Layers == Of;

    public static ModelPart Whole(ModelShape shape) => new(0, shape.Layers, shape.Layers, 0, shape.RoutedExperts);

    /// <summary>Layers and experts are dealt evenly, neighbours together.</summary>
    /// <exception cref="InvalidDataException">The model cannot be cut that way.</exception>
    public static ModelPart At(ModelShape shape, GangLayout layout, Coordinates place)
    {
        if (layout.Pipeline > shape.Layers)
        {
            throw new InvalidDataException($"{shape.Layers} layers cannot be dealt to {layout.Pipeline} pipeline ranks: "
                + $"use at most {shape.Layers}.");
        }
        if (shape.RoutedExperts % layout.Expert != 0)
        {
            throw new InvalidDataException($"{shape.RoutedExperts} routed experts cannot be dealt evenly to {layout.Expert} ranks: use a "
                + $"divisor of {shape.RoutedExperts}.");
        }
        int Boundary(int pipeline) => (int)((long)shape.Layers * pipeline / layout.Pipeline);
        var (first, experts) = (Boundary(place.Pipeline), shape.RoutedExperts / layout.Expert);
        return new ModelPart(first, Boundary(place.Pipeline + 1) - first, shape.Layers, place.Expert * experts, experts);
    }

    /// <summary>Blocks by number: its layers, and with the last of them the modules that predict further.</summary>
    public IEnumerable<int> Blocks(ModelShape shape) =>
        Enumerable.Range(FirstLayer, Layers).Concat(Ends ? Enumerable.Range(Of, shape.MtpDepth) : []);

    /// <summary>
    /// Whether the weight lies here. The embedding does twice where a pipeline's last rank needs it too: as its head, or for the modules
    /// that predict further tokens.
    /// </summary>
    public bool Holds(ModelShape shape, string name) => WeightShapes.LayerOf(name) is { } layer
        ? (layer >= FirstLayer && layer < FirstLayer + Layers) || (layer >= Of && Ends)
        : name == WeightShapes.Embedding ? Begins || (Ends && EmbedsAtTheEnd(shape)) : Ends;

    /// <summary>First and last of a pipeline hold copies of one embedding.</summary>
    public static bool EmbedsAtTheEnd(ModelShape shape) => shape.TiedEmbeddings || shape.MtpDepth > 0;

    public WeightShape Share(WeightShape weight) =>
        WeightShapes.IsExperts(weight.Name) ? weight with { Dimensions = [Experts, .. weight.Dimensions[1..]] } : weight;
}
