using System.Collections.Immutable;
using System.Text.Json.Serialization;

namespace DeepSeekOps.Decisions.Recipes;

/// <summary>What a stage trains, and how. Closed: one record per kind.</summary>
[JsonDerivedType(typeof(Pretraining), "pretraining")]
[JsonDerivedType(typeof(ContextExtension), "context-extension")]
[JsonDerivedType(typeof(SupervisedFineTuning), "sft")]
[JsonDerivedType(typeof(ReinforcementLearning), "rl")]
[JsonDerivedType(typeof(Distillation), "distillation")]
public abstract record StageRecipe
{
    private StageRecipe() { }

    [JsonIgnore]
    public abstract string Kind { get; }

    public sealed record Pretraining : StageRecipe
    {
        public override string Kind => "pretraining";

        public long Tokens { get; init; }

        public int SequenceLength { get; init; }

        public BatchRamp BatchSize { get; init; } = new();

        public LearningRate LearningRate { get; init; } = LearningRate.Constant(0);

        /// <summary>Speed of the bias update that balances the experts without an auxiliary loss.</summary>
        public Milestone Gamma { get; init; } = Milestone.Always(0.001);

        /// <summary>Weight of the sequence-wise balance loss.</summary>
        public double Alpha { get; init; } = 1e-4;

        /// <summary>Weight of the multi-token prediction loss.</summary>
        public Milestone Lambda { get; init; } = Milestone.Always(0.3);

        /// <summary>Decay of the moving average of the weights, kept in CPU memory; 0: none.</summary>
        public double EmaDecay { get; init; }
    }

    public sealed record ContextExtension : StageRecipe
    {
        public override string Kind => "context-extension";

        public ImmutableArray<ContextPhase> Phases { get; init; } = [];

        public double Gamma { get; init; }

        public double Alpha { get; init; } = 1e-4;

        public double Lambda { get; init; } = 0.1;
    }

    public sealed record SupervisedFineTuning : StageRecipe
    {
        public override string Kind => "sft";

        /// <summary>Question and answer pairs; packed into rows with sample masking.</summary>
        public int Instances { get; init; }

        public int Epochs { get; init; } = 1;

        public int SequenceLength { get; init; }

        /// <summary>Instances per step.</summary>
        public int BatchSize { get; init; }

        public LearningRate LearningRate { get; init; } = LearningRate.Constant(0);

        /// <summary>Weight of the multi-token prediction loss, over the answers.</summary>
        public double Lambda { get; init; } = 0.1;

        /// <summary>A .jsonl of questions and answers; empty: the data source's own.</summary>
        public string Data { get; init; } = "";
    }

    public sealed record ReinforcementLearning : StageRecipe
    {
        public override string Kind => "rl";

        public long Steps { get; init; }

        /// <summary>Questions per step.</summary>
        public int Questions { get; init; }

        /// <summary>Outputs per question: the group over which GRPO normalises rewards.</summary>
        public int GroupSize { get; init; }

        public int MaxNewTokens { get; init; }

        public double Temperature { get; init; } = 1.0;

        public double ClipEpsilon { get; init; } = 0.2;

        /// <summary>Weight of the KL term.</summary>
        public double KlBeta { get; init; } = 0.001;

        public LearningRate LearningRate { get; init; } = LearningRate.Constant(0);

        /// <summary>The reference model becomes the policy every so many steps; 0: never.</summary>
        public int ReferenceEvery { get; init; }

        /// <summary>The rule that gives the reward: "arithmetic", "exact", "boxed".</summary>
        public string Verifier { get; init; } = "arithmetic";

        /// <summary>Sequences per mini-batch; 0: the whole rollout at once.</summary>
        public int MiniBatch { get; init; }
    }

    public sealed record Distillation : StageRecipe
    {
        public override string Kind => "distillation";

        /// <summary>Null: the teacher's own shape.</summary>
        public ModelShape? Student { get; init; }

        /// <summary>Earlier stage the student begins with. Empty: random initialisation.</summary>
        public string StudentFrom { get; init; } = "";

        /// <summary>Drawn from the teacher; those that the verifier rejects are dropped.</summary>
        public int Samples { get; init; }

        public int Epochs { get; init; } = 1;

        public int SequenceLength { get; init; }

        /// <summary>Samples per step.</summary>
        public int BatchSize { get; init; }

        public LearningRate LearningRate { get; init; } = LearningRate.Constant(0);

        /// <summary>Weight of the logit term beside cross-entropy; 0: samples only.</summary>
        public double LogitWeight { get; init; }

        public double Temperature { get; init; } = 1.0;

        public string Verifier { get; init; } = "arithmetic";

        /// <summary>Weight of the student's multi-token prediction loss, over the samples.</summary>
        public double Lambda { get; init; } = 0.1;

        /// <summary>Trains the student once more without the teacher, to be compared with: as many steps again.</summary>
        public bool MeasureUndistilled { get; init; }
    }
}
