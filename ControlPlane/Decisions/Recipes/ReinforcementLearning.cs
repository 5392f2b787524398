using System.Collections.Immutable;
using System.Text.Json.Serialization;
using DeepSeekOps.Recipes.Schedules;

namespace DeepSeekOps.Decisions.Recipes;

[JsonDerivedType(typeof(ReinforcementLearning), "rl")]
public abstract partial record StageRecipe
{
    /// <summary>GRPO against a rule (report section 5.2): a step samples a rollout, and learns from it.</summary>
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

        [JsonIgnore]
        public override bool IsToldInTokens => false;

        [JsonIgnore]
        public override bool BeginsAtRandom => false;

        [JsonIgnore]
        public override bool CutsIntoPipelines => false;

        [JsonIgnore]
        public override bool ReplicasAreAlike => false;

        /// <summary>The length of outputs is assumed, and it changes as the policy learns.</summary>
        [JsonIgnore]
        public override double StatedError => 0.50;

        private protected override StageLength Count() => new(Steps, Steps * Questions * GroupSize * MaxNewTokens);

        public override double PlannedTokens() => (double)Steps * Questions * GroupSize * Mean(MaxNewTokens);

        public override bool KeepsAverage() => false;

        public override int LongestSequence() => MaxNewTokens;

        public override int? SequenceOf(long step) => null;

        public override ImmutableArray<StageSegment> Segments(ParallelLayout layout, int ranks) => Alike(MaxNewTokens, PackedChunk);

        /// <summary>Each rollout is waited for, all outputs together.</summary>
        public override SampledOutputs Sampled() => new((double)Steps * Questions * GroupSize, Mean(MaxNewTokens), Steps);

        public override long TokensAt(long step) => Evenly(step);

        public override long TokensAfter(long step, long before) => Evenly(step);

        public override double LearningRateAt(long step, long tokens) => LearningRate.At(step, tokens, Steps);

        public override string SecondOrigin() => "";

        public override ModelShape ShapeAfter(ModelShape before) => before;

        public override ContextPhase? ExtensionAfter(PipelineSpec pipeline, StageSpec stage) => pipeline.ExtensionBefore(stage);

        public override StageRecipe WithoutShares() => this;
    }
}
