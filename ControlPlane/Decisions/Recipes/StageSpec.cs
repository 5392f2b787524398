using System.Collections.Immutable;
using System.Text.Json.Serialization;

namespace DeepSeekOps.Decisions.Recipes;

/// <summary>One stage of a pipeline: its recipe, and what it needs that differs from the pipeline's own.</summary>
public sealed record StageSpec
{
    public string Name { get; init; } = "";

    public StageRecipe Recipe { get; init; } = new StageRecipe.Pretraining();

    /// <summary>Earlier stage whose final checkpoint this one begins with. Empty: the stage before; the first begins at random.</summary>
    public string BeginFrom { get; init; } = "";

    /// <summary>All of them must hold before this stage begins.</summary>
    public ImmutableArray<Gate> Gates { get; init; } = [];

    public ResourceSpec? Resources { get; init; }

    public ParallelLayout? Parallelism { get; init; }

    public CheckpointPolicy? Checkpoints { get; init; }

    /// <summary>The word that a pipeline writes for it.</summary>
    [JsonIgnore]
    public string Kind => Recipe.Kind;
}
