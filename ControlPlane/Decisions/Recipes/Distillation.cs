using System.Collections.Immutable;
using System.Text.Json.Serialization;
using DeepSeekOps.Recipes.Schedules;

namespace DeepSeekOps.Decisions.Recipes;

[JsonDerivedType(typeof(Distillation), "distillation")]
public abstract partial record StageRecipe
{
    /// <summary>A student learns what its teacher, the checkpoint that the stage begins with, says and a rule accepts.</summary>
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

        [JsonIgnore]
        public override bool IsToldInTokens => false;

        /// <summary>The student may; the teacher is the checkpoint that it begins with.</summary>
        [JsonIgnore]
        public override bool BeginsAtRandom => false;

        [JsonIgnore]
        public override bool CutsIntoPipelines => false;

        [JsonIgnore]
        public override bool ReplicasAreAlike => false;

        /// <summary>The length of samples is assumed, and how many the rule accepts is not known.</summary>
        [JsonIgnore]
        public override double StatedError => 0.50;

        private protected override StageLength Count() => StageLength.OfEpochs(Samples, Epochs, BatchSize, SequenceLength);

        public override double PlannedTokens() => (double)Samples * Epochs * Mean(SequenceLength);

        public override bool KeepsAverage() => false;

        public override int LongestSequence() => SequenceLength;

        public override int? SequenceOf(long step) => SequenceLength;

        public override ImmutableArray<StageSegment> Segments(ParallelLayout layout, int ranks) =>
            Alike(SequenceLength, Math.Min(SequenceLength, PackedChunk));

        /// <summary>Before the first step, at the nodes' full throughput.</summary>
        public override SampledOutputs Sampled() => new(Samples, Mean(SequenceLength), 0);

        public override long TokensAt(long step) => Evenly(step);

        public override long TokensAfter(long step, long before) => Evenly(step);

        public override double LearningRateAt(long step, long tokens) => LearningRate.At(step, tokens, Length().Steps);

        public override string SecondOrigin() => StudentFrom;

        public override ModelShape ShapeAfter(ModelShape before) => Student ?? before;

        /// <summary>A student that begins at random has positions of its own.</summary>
        public override ContextPhase? ExtensionAfter(PipelineSpec pipeline, StageSpec stage) =>
            pipeline.Earlier(stage, StudentFrom) is { } from ? pipeline.ExtensionAfter(from) : null;

        public override StageRecipe WithoutShares() => this;
    }
}
