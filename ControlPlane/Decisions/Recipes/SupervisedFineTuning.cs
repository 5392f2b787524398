using System.Collections.Immutable;
using System.Text.Json.Serialization;
using DeepSeekOps.Recipes.Schedules;

namespace DeepSeekOps.Decisions.Recipes;

[JsonDerivedType(typeof(SupervisedFineTuning), "sft")]
public abstract partial record StageRecipe
{
    /// <summary>Answers of conversations, packed into rows with sample masking (report section 5.1).</summary>
    public sealed record SupervisedFineTuning : StageRecipe
    {
        public override string Kind => "sft";

        /// <summary>Question and answer pairs.</summary>
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

        [JsonIgnore]
        public override bool IsToldInTokens => false;

        [JsonIgnore]
        public override bool BeginsAtRandom => false;

        [JsonIgnore]
        public override bool CutsIntoPipelines => false;

        [JsonIgnore]
        public override bool ReplicasAreAlike => false;

        /// <summary>The length of instances is assumed.</summary>
        [JsonIgnore]
        public override double StatedError => 0.50;

        private protected override StageLength Count() => StageLength.OfEpochs(Instances, Epochs, BatchSize, SequenceLength);

        public override double PlannedTokens() => (double)Instances * Epochs * Mean(SequenceLength);

        public override bool KeepsAverage() => false;

        public override int LongestSequence() => SequenceLength;

        public override int? SequenceOf(long step) => SequenceLength;

        public override ImmutableArray<StageSegment> Segments(ParallelLayout layout, int ranks) =>
            Alike(SequenceLength, Math.Min(SequenceLength, PackedChunk));

        public override SampledOutputs Sampled() => SampledOutputs.None;

        public override long TokensAt(long step) => Evenly(step);

        public override long TokensAfter(long step, long before) => Evenly(step);

        public override double LearningRateAt(long step, long tokens) => LearningRate.At(step, tokens, Length().Steps);

        public override string SecondOrigin() => "";

        public override ModelShape ShapeAfter(ModelShape before) => before;

        public override ContextPhase? ExtensionAfter(PipelineSpec pipeline, StageSpec stage) => pipeline.ExtensionBefore(stage);

        public override StageRecipe WithoutShares() => this;
    }
}
