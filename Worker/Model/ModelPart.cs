using System.Collections.Immutable;
using DeepSeekOps.Recipes.Pipelining;
using DeepSeekOps.Recipes.Weights;
using DeepSeekOps.Worker.Parallel;

namespace DeepSeekOps.Worker.Model;

/// <summary>A run of neighbouring layers of the main model: a piece of a pipeline.</summary>
/// <param name="Piece">Its number in the pipeline.</param>
/// <param name="First">Layer.</param>
/// <param name="Layers">How many from there on.</param>
/// <param name="Of">Layers that the whole main model has.</param>
public readonly record struct LayerRun(int Piece, int First, int Layers, int Of)
{
    /// <summary>It has the embedding that the pass begins with.</summary>
    public bool Begins => First == 0;

    /// <summary>It has the last norm, the head and the modules that predict further tokens.</summary>
    public bool Ends => First + Layers == Of;

    /// <summary>Blocks by number: its layers, and with the last of them the modules that predict further.</summary>
    public IEnumerable<int> Blocks(ModelShape shape) =>
        Enumerable.Range(First, Layers).Concat(Ends ? Enumerable.Range(Of, shape.MtpDepth) : []);

    public bool Holds(int layer) => (layer >= First && layer < First + Layers) || (layer >= Of && Ends);
}

/// <summary>What of a model one rank holds: one run of its layers or two, and some of the routed experts of each layer.</summary>
/// <param name="Pieces">The earlier one first.</param>
/// <param name="FirstExpert">Of each of its layers.</param>
/// <param name="Experts">How many from there on.</param>
/// <param name="Schedule">By which micro-batches go through the pieces.</param>
public sealed record ModelPart(
    ImmutableArray<LayerRun> Pieces, int FirstExpert, int Experts, PipelineSchedule Schedule = PipelineSchedule.OneForwardOneBackward)
{
    public bool Begins => Pieces.Any(p => p.Begins);

    public bool Ends => Pieces.Any(p => p.Ends);

    public static ModelPart Whole(ModelShape shape) => new([new LayerRun(0, 0, shape.Layers, shape.Layers)], 0, shape.RoutedExperts);

    /// <summary>Layers and experts are dealt evenly, neighbours together.</summary>
    /// <exception cref="InvalidDataException">The model cannot be cut that way.</exception>
    public static ModelPart At(ModelShape shape, GangLayout layout, Coordinates place)
    {
        if (PipelineSchedules.LayoutProblem(layout.Schedule, layout.Pipeline, shape.Layers) is { } problem)
        {
            throw new InvalidDataException($"{problem.Message} {problem.Fix}");
        }
        if (shape.RoutedExperts % layout.Expert != 0)
        {
            throw new InvalidDataException($"{shape.RoutedExperts} routed experts cannot be dealt evenly to {layout.Expert} ranks: use a "
                + $"divisor of {shape.RoutedExperts}.");
        }
        int pieces = PipelineRoute.PiecesOf(layout.Schedule, layout.Pipeline), experts = shape.RoutedExperts / layout.Expert;
        int Boundary(int piece) => (int)((long)shape.Layers * piece / pieces);
        return new ModelPart(
            [.. PipelineRoute.PiecesOf(layout.Schedule, layout.Pipeline, place.Pipeline).Select(
                piece => new LayerRun(piece, Boundary(piece), Boundary(piece + 1) - Boundary(piece), shape.Layers))],
            place.Expert * experts, experts, layout.Schedule);
    }

    /// <summary>The run of a piece that lies here.</summary>
    public LayerRun Run(int piece) => Pieces.First(p => p.Piece == piece);

    /// <summary>Blocks by number, of all pieces.</summary>
    public IEnumerable<int> Blocks(ModelShape shape) => Pieces.SelectMany(p => p.Blocks(shape));

    /// <summary>
    /// Whether the weight lies here. The embedding does twice where a pipeline's last piece needs it too: as its head, or for the modules
    /// that predict further tokens.
    /// </summary>
    public bool Holds(ModelShape shape, string name) => WeightShapes.LayerOf(name) is { } layer ? Pieces.Any(p => p.Holds(layer))
        : name == WeightShapes.Embedding ? Begins || (Ends && EmbedsAtTheEnd(shape)) : Ends;

    /// <summary>
    /// The mirrored rank of the pipeline holds the weight too, and both learn it together: all of them where each piece lies twice, else
    /// the embedding where the first and the last piece need it and lie apart.
    /// </summary>
    public bool HoldsWithMirror(ModelShape shape, string name) => PipelineRoute.IsMirrored(Schedule)
        || (name == WeightShapes.Embedding && EmbedsAtTheEnd(shape) && !(Begins && Ends));

    /// <summary>First and last piece of a pipeline need the one embedding.</summary>
    private static bool EmbedsAtTheEnd(ModelShape shape) => shape.TiedEmbeddings || shape.MtpDepth > 0;

    public WeightShape Share(WeightShape weight) =>
        WeightShapes.IsExperts(weight.Name) ? weight with { Dimensions = [Experts, .. weight.Dimensions[1..]] } : weight;
}
