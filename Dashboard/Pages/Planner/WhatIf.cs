using System.Collections.Immutable;
using System.Globalization;

namespace DeepSeekOps.Dashboard.Pages.Planner;

/// <summary>What the sliders stand at: pretraining of V3. Begins as its report has it.</summary>
public sealed record WhatIf
{
    public const int GpusPerNode = 8;

    public int Nodes { get; init; } = 256;

    public int Tensor { get; init; } = 1;

    public int Pipeline { get; init; } = 16;

    public int Expert { get; init; } = 64;

    public int Zero { get; init; } = 1;

    public string Schedule { get; init; } = "dualpipe";

    public int MicroBatch { get; init; } = 1;

    public int SequenceLength { get; init; } = 4096;

    /// <summary>Sequences of one optimizer step.</summary>
    public int BatchSize { get; init; } = 15360;

    /// <summary>To be trained, in trillions.</summary>
    public double TrillionTokens { get; init; } = 14.8;

    public string Gpu { get; init; } = "h800";

    public string Precision { get; init; } = "fp8";

    public double DollarsPerGpuHour { get; init; } = 2;

    /// <summary>Replicas of the model that work on different sequences. Not whole where the layout does not fit.</summary>
    public double DataParallel => (double)Nodes * GpusPerNode / Pipeline / Tensor;

    /// <summary>As many nodes as so many replicas need.</summary>
    public WhatIf WithDataParallel(int replicas) => this with { Nodes = Math.Max(1, replicas * Pipeline * Tensor / GpusPerNode) };

    /// <summary>Rounded up to whole sequences, which a file has to name.</summary>
    public long Tokens => (long)Math.Ceiling(TrillionTokens * 1e12 / SequenceLength) * SequenceLength;

    /// <summary>
    /// The pipeline file it stands for. Its data are the built-in ones: a plan reads none, and a file that is not here would stop it.
    /// </summary>
    public string Text => string.Create(CultureInfo.InvariantCulture, $$"""
        apiVersion: deepseekops/v1
        name: what-if
        precision: {{Precision}}
        model: {preset: v3}
        data: {source: "builtin:arithmetic", tokenizer: byte}
        optimizer: {bf16Moments: true}
        resources: {nodes: {{Nodes}}, ranksPerNode: {{GpusPerNode}}, device: cuda, gpu: {{Gpu}}, dollarsPerGpuHour: {{DollarsPerGpuHour}}}
        parallelism: {pipeline: {{Pipeline}}, tensor: {{Tensor}}, expert: {{Expert}}, zero: {{Zero}}, schedule: {{Schedule}}, microBatch: {{MicroBatch}}}
        checkpoints: {everySteps: 15}
        stages:
          - name: pretrain
            kind: pretraining
            tokens: {{Tokens}}
            sequenceLength: {{SequenceLength}}
            batchSize: {{BatchSize}}
            learningRate: 2.2e-4

        """);
}

/// <summary>One slider: it stops only where something was built or published.</summary>
public sealed record Dial(string Key, string Word, string Unit, ImmutableArray<int> Stops, Func<WhatIf, int> Read,
    Func<WhatIf, int, WhatIf> Set)
{
    public static readonly ImmutableArray<Dial> All =
    [
        new("nodes", "Nodes", "of 8 GPUs", [1, 2, 4, 8, 16, 32, 64, 96, 128, 160, 192, 224, 256, 384, 512, 768, 1024, 2048, 4096],
            w => w.Nodes, (w, v) => w with { Nodes = v }),
        new("pipeline", "Pipeline parallel", "PP", [1, 2, 4, 8, 16, 32], w => w.Pipeline, (w, v) => w with { Pipeline = v }),
        new("tensor", "Tensor parallel", "TP", [1, 2, 4, 8], w => w.Tensor, (w, v) => w with { Tensor = v }),
        new("expert", "Expert parallel", "EP", [1, 2, 4, 8, 16, 32, 64, 128, 256], w => w.Expert, (w, v) => w with { Expert = v }),
        new("data", "Data parallel", "DP, sets nodes", [1, 2, 4, 8, 16, 32, 64, 96, 128, 192, 256, 512, 1024, 2048],
            w => (int)w.DataParallel, (w, v) => w.WithDataParallel(v)),
        new("micro", "Micro-batch", "sequences", [1, 2, 4, 8, 16], w => w.MicroBatch, (w, v) => w with { MicroBatch = v }),
        new("sequence", "Sequence length", "tokens", [2048, 4096, 8192, 16384, 32768, 65536, 131072], w => w.SequenceLength,
            (w, v) => w with { SequenceLength = v }),
        new("batch", "Batch", "sequences per step", [512, 1024, 1920, 3072, 4096, 7680, 15360, 30720], w => w.BatchSize,
            (w, v) => w with { BatchSize = v }),
    ];

    /// <summary>The stop nearest to where it stands, so that a value between two stops still has a place on the slider.</summary>
    public int Place(WhatIf at)
    {
        int value = Read(at);
        return Enumerable.Range(0, Stops.Length).MinBy(i => Math.Abs((double)Stops[i] - value));
    }
}
