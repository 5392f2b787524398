using System.Collections.Immutable;

namespace DeepSeekOps.Decisions.Recipes;

/// <summary>Numerics of the matrix products.</summary>
public enum Precision
{
    Fp32 = 0,
    Bf16 = 1,
    /// <summary>E4M3 with tile-wise scales, as in section 3.3 of the DeepSeek-V3 report.</summary>
    Fp8 = 2,
}

/// <summary>A whole training pipeline, parsed and checked: what a person wrote, with every default filled in.</summary>
/// <remarks>Tokens, steps and sequences are counts; durations are TimeSpan. The text form is ControlPlane/Pipelines.</remarks>
public sealed record PipelineSpec
{
    public string Name { get; init; } = "";

    /// <summary>Whose quota it uses.</summary>
    public string Team { get; init; } = "default";

    public Priority Priority { get; init; } = Priority.Normal;

    /// <summary>Everything random in the run grows from it.</summary>
    public long Seed { get; init; } = 1;

    public Precision Precision { get; init; } = Precision.Fp32;

    public ModelShape Model { get; init; } = ModelShape.V3;

    /// <summary>Where the first stage has its weights from. Null: random initialisation.</summary>
    public PublishedCheckpoint? ModelFrom { get; init; }

    public DataSpec Data { get; init; } = new();

    public AdamW Optimizer { get; init; } = new();

    public ResourceSpec Resources { get; init; } = new();

    public ParallelLayout Parallelism { get; init; } = new();

    public CheckpointPolicy Checkpoints { get; init; } = new();

    public RecoveryPolicy Recovery { get; init; } = new();

    public LossSpikes LossSpikes { get; init; } = new();

    public ImmutableArray<StageSpec> Stages { get; init; } = [];

    /// <summary>The stage of that name; it is an error of the program to ask for one that is not there.</summary>
    public StageSpec Stage(string name) =>
        this.Stages.FirstOrDefault(s => s.Name == name) ?? throw new KeyNotFoundException($"Pipeline '{Name}' has no stage '{name}'.");

    public ResourceSpec ResourcesOf(StageSpec stage) => stage.Resources ?? Resources;

    public ParallelLayout ParallelismOf(StageSpec stage) => stage.Parallelism ?? Parallelism;

    public CheckpointPolicy CheckpointsOf(StageSpec stage) => stage.Checkpoints ?? Checkpoints;

    /// <summary>The same with another number of nodes for one stage, or for every stage.</summary>
    public PipelineSpec OnNodes(int nodes, string? stage) => this with
    {
        Stages = [.. this.Stages.Select(
            s => stage is null || s.Name == stage ? s with { Resources = ResourcesOf(s) with { Nodes = nodes } } : s)],
    };
}

/// <summary>A folder with config.json and safetensors that no earlier stage made.</summary>
/// <param name="Folder">As the workers see it.</param>
/// <param name="Digest">
/// SHA-256, hex, of config.json followed by the index of the shards (a single file: by its header); of manifest.json where one of our
/// own checkpoints is named. Empty where the folder was not seen when the run was submitted.
/// </param>
public sealed record PublishedCheckpoint(string Folder, string Digest);

/// <summary>What is trained on. Held-out problems never appear in training.</summary>
public sealed record DataSpec
{
    /// <summary>"builtin:arithmetic", .txt and .jsonl files separated by commas, or the folder of a prepared set.</summary>
    public string Source { get; init; } = "builtin:arithmetic";

    /// <summary>"byte", or a Hugging Face tokenizer.json.</summary>
    public string Tokenizer { get; init; } = "byte";

    /// <summary>Share of documents rearranged as fill-in-the-middle (report section 4.1: 0.1).</summary>
    public double FimRate { get; init; }

    /// <summary>Held-out problems for evaluation.</summary>
    public int Heldout { get; init; } = 200;
}

/// <summary>When weights are saved and how many of them are kept.</summary>
public sealed record CheckpointPolicy
{
    public int EverySteps { get; init; } = 100;

    /// <summary>Newest ones of a stage that stay, beside pinned ones and the final one.</summary>
    public int Keep { get; init; } = 3;

    /// <summary>
    /// Steps from one state that a gang's ranks keep in memory to the next; 0: none is kept. Null: as often as it takes a twentieth of the
    /// time, each step where it can.
    /// </summary>
    public int? InMemoryEvery { get; init; }

    /// <summary>Where they are copied to: "s3://bucket/prefix", or "none". Empty: as the cluster's settings say.</summary>
    public string Store { get; init; } = "";
}
