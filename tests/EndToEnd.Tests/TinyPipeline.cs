namespace DeepSeekOps.EndToEnd.Tests;

/// <summary>Pipelines small enough to end in seconds, with every kind of part of V3 in the model.</summary>
internal static class TinyPipeline
{
    /// <summary>More steps than a test makes.</summary>
    public const int WithoutEnd = 1_000_000;

    // One thread: operators so small end before a second one has woken, which was a third of a rank's time.
    private const string Model = """
        model:
          preset: mini
          layers: 2
          hiddenSize: 64
          intermediateSize: 128
          moeIntermediateSize: 48
          routedExperts: 8
          activeExperts: 2
          groups: 4
          limitedGroups: 2
        data: {source: "builtin:arithmetic", tokenizer: byte, heldout: 20}
        resources: {nodes: 1, ranksPerNode: 1, device: cpu, threads: 1}
        """;

    /// <summary>One pretraining stage of <paramref name="steps"/> steps of 8 × 64 tokens.</summary>
    public static string Pretraining(string name, int steps, int everySteps = 10, int seed = 1, int keep = 3) => $$"""
        apiVersion: deepseekops/v1
        name: {{name}}
        team: tests
        seed: {{seed}}
        {{Model}}
        checkpoints: {everySteps: {{everySteps}}, keep: {{keep}}}
        stages:
          - name: pretrain
            kind: pretraining
            tokens: {{steps * 8 * 64}}
            sequenceLength: 64
            batchSize: {from: 8, to: 8, over: 0}
            learningRate:
              - {shape: linear, to: 1e-3, untilStep: 5}
              - {shape: constant, to: 1e-3, until: {{steps * 8 * 64}}}
            gamma: {before: 0.001, after: 0, at: {{steps * 8 * 60}}}
            alpha: 1e-4
            lambda: {before: 0.3, after: 0.1, at: {{steps * 8 * 40}}}
        """;

    /// <summary>Two nodes of two ranks: pretraining cut both ways, then fine-tuning in another layout.</summary>
    public static string Gang(string name, int steps) => Pretraining(name, steps)
        .Replace("nodes: 1, ranksPerNode: 1", "nodes: 2, ranksPerNode: 2", StringComparison.Ordinal)
        .Replace("keep: 3}", "keep: 3, inMemoryEvery: 1}", StringComparison.Ordinal)
        .Replace("kind: pretraining", "kind: pretraining\n    parallelism: {pipeline: 2, expert: 2}", StringComparison.Ordinal)
        + """

          - name: sft
            kind: sft
            parallelism: {expert: 4}
            instances: 64
            epochs: 1
            sequenceLength: 64
            batchSize: 8
            learningRate: 1e-3
        """;

    public static string File(string folder, string text)
    {
        string path = Path.Combine(folder, $"pipeline-{text.GetHashCode(StringComparison.Ordinal):x8}.yaml");
        System.IO.File.WriteAllText(path, text);
        return path;
    }
}
