namespace DeepSeekOps.ControlPlane.Pipelines;

/// <summary>What docs/pipeline.md says beyond its tables.</summary>
internal static class PipelineProse
{
    private const string Beginning = """

        ### Beginning from a checkpoint

        `model: {from: FOLDER}` begins the first stage, whatever its kind, with weights from a folder: `config.json` with `model.safetensors`, or with
        `model.safetensors.index.json` and its shards, in FP32, FP16, BF16 or block-scaled FP8 (`weight_scale_inv`). What Hugging Face publishes and what
        transformers saves is such a folder, and so is every checkpoint of a run here: `checkpoints/RUN/STAGE/step-N` in the data directory (name a final or
        pinned one; others may be deleted). deploy/examples/fine-tune.yaml does it.

        - The shape is the folder's, YaRN included. What is written beside `from` has to agree; only `mtpDepth` may be larger. MTP modules that the folder
          lacks are initialised at random, and a note on the timeline says so.
        - A `tokenizer.json` in the folder is used unless `data.tokenizer` names another one.
        - A relative path begins at the pipeline file's folder. Control plane and workers see the same path.
        - Each checkpoint says what its stage began from: the folder and a SHA-256, of `config.json` followed by the index (by the header of a single file),
          or of `manifest.json` in a checkpoint of ours. A folder that differs from the one submitted is refused. A stage that is resumed goes on from its own
          checkpoint; only RL and distillation read the folder again, for the reference model and the teacher.

        """;

    private const string Shares = """

        ### Milestones as shares

        `batchSize.over`, `learningRate.until`, `gamma.at` and `lambda.at` take tokens (`14.3T`) or a share of the stage's `tokens` (`96.6667%`), rounded to the
        nearest token. A file with shares scales as a whole: `dsops clone mini short --set stages.pretrain.tokens=300Ki` passes every milestone in half the
        tokens. As many digits as the tokens have are enough to name one: 96.621621621622% of 14.8T are 14.3T.

        """;

    /// <summary>After the table of that title; empty: nothing more is to be said.</summary>
    public static string After(string title) => title switch
    {
        "model" => Beginning,
        "stages: pretraining" => Shares,
        _ => "",
    };
}
