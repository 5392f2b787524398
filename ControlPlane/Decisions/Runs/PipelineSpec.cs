using System.Collections.Immutable;
using System.Text.Json.Serialization;
using DeepSeekOps.Decisions.Checkpoints;
using DeepSeekOps.Decisions.Stages;

namespace DeepSeekOps.Decisions.Runs;

/// <summary>Which of two gangs goes first. The number is what placement compares.</summary>
public enum Priority
{
    Low = 0,
    Normal = 100,
    High = 200,
    Urgent = 300,
}

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

    public ImmutableArray<StageSpec> Stages { get; init; } = [];

    /// <summary>The stage of that name; it is an error of the program to ask for one that is not there.</summary>
    public StageSpec Stage(string name) =>
        Stages.FirstOrDefault(s => s.Name == name) ?? throw new KeyNotFoundException($"Pipeline '{Name}' has no stage '{name}'.");

    public ResourceSpec ResourcesOf(StageSpec stage) => stage.Resources ?? Resources;

    public ParallelLayout ParallelismOf(StageSpec stage) => stage.Parallelism ?? Parallelism;

    public CheckpointPolicy CheckpointsOf(StageSpec stage) => stage.Checkpoints ?? Checkpoints;

    /// <summary>The same with another number of nodes for one stage, or for every stage.</summary>
    public PipelineSpec OnNodes(int nodes, string? stage) => this with
    {
        Stages = [.. Stages.Select(s => stage is null || s.Name == stage ? s with { Resources = ResourcesOf(s) with { Nodes = nodes } } : s)],
    };
}

/// <summary>A folder with config.json and safetensors that no earlier stage made.</summary>
/// <param name="Folder">As the workers see it.</param>
/// <param name="Digest">
/// SHA-256, hex, of config.json followed by the index of the shards (a single file: by its header); of manifest.json where one of our
/// own checkpoints is named. Empty where the folder was not seen when the run was submitted.
/// </param>
public sealed record PublishedCheckpoint(string Folder, string Digest)
{
    [JsonIgnore]
    public CheckpointRef Ref => new("", "", 0, Folder, Digest, "");
}

/// <summary>What is trained on. Held-out problems never appear in training.</summary>
public sealed record DataSpec
{
    /// <summary>"builtin:arithmetic", or .txt and .jsonl files separated by commas.</summary>
    public string Source { get; init; } = "builtin:arithmetic";

    /// <summary>"byte", or a Hugging Face tokenizer.json.</summary>
    public string Tokenizer { get; init; } = "byte";

    /// <summary>Share of documents rearranged as fill-in-the-middle (report section 4.1: 0.1).</summary>
    public double FimRate { get; init; }

    /// <summary>Held-out problems for evaluation.</summary>
    public int Heldout { get; init; } = 200;
}

/// <summary>AdamW and the clip, by default as in section 4.2 of the report.</summary>
public sealed record AdamW
{
    public double Beta1 { get; init; } = 0.9;

    public double Beta2 { get; init; } = 0.95;

    public double Epsilon { get; init; } = 1e-8;

    public double WeightDecay { get; init; } = 0.1;

    /// <summary>Largest norm of the whole gradient.</summary>
    public double GradClip { get; init; } = 1.0;

    /// <summary>Moments in BF16 (report section 3.3.3); else FP32.</summary>
    public bool Bf16Moments { get; init; }
}

/// <summary>The machines of a gang.</summary>
public sealed record ResourceSpec
{
    public int Nodes { get; init; } = 1;

    /// <summary>One rank per GPU; on a laptop one per process.</summary>
    public int RanksPerNode { get; init; } = 1;

    /// <summary>"cpu", "cuda", or empty for cuda where there is one.</summary>
    public string Device { get; init; } = "";

    /// <summary>Threads per rank on CPU; 0: the node's cores divided by its ranks.</summary>
    public int Threads { get; init; }

    /// <summary>The GPU that plans and utilisation are reckoned against: "h800", "h100", "h200", "a100". Empty: none.</summary>
    public string Gpu { get; init; } = "";

    public double DollarsPerGpuHour { get; init; } = 2.0;

    /// <summary>Only nodes of this group, as the cluster's settings name it; empty: any node.</summary>
    public string Group { get; init; } = "";

    [JsonIgnore]
    public int Ranks => Nodes * RanksPerNode;
}

/// <summary>Order of a pipeline-parallel step.</summary>
public enum PipelineSchedule
{
    OneForwardOneBackward = 0,
    /// <summary>Zero-bubble, ZB1P.</summary>
    ZeroBubble = 1,
    DualPipe = 2,
}

/// <summary>How one model is spread over the ranks. Data parallelism is what remains: ranks / (pipeline × tensor × context).</summary>
public sealed record ParallelLayout
{
    public int Pipeline { get; init; } = 1;

    public int Tensor { get; init; } = 1;

    /// <summary>Ranks that share the experts of a layer.</summary>
    public int Expert { get; init; } = 1;

    /// <summary>ZeRO stage: 0 none, 1 optimizer states, 2 and gradients, 3 and weights.</summary>
    public int Zero { get; init; }

    public PipelineSchedule Schedule { get; init; } = PipelineSchedule.OneForwardOneBackward;

    /// <summary>Sequences of one forward pass of one data-parallel rank.</summary>
    public int MicroBatch { get; init; } = 1;

    /// <summary>So many ranks can be cut into pipelines, and their expert groups dealt evenly.</summary>
    public bool Fits(int ranks) => ranks % (Pipeline * Tensor) == 0 && ranks / Pipeline % Expert == 0;
}

/// <summary>When weights are saved and how many of them are kept.</summary>
public sealed record CheckpointPolicy
{
    public int EverySteps { get; init; } = 100;

    /// <summary>Newest ones of a stage that stay, beside pinned ones and the final one.</summary>
    public int Keep { get; init; } = 3;
}
