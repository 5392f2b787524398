using System.Collections.Immutable;
using System.Text.Json.Serialization;
using DeepSeekOps.Recipes.Schedules;

namespace DeepSeekOps.Decisions.Recipes;

[JsonDerivedType(typeof(Pretraining), "pretraining")]
public abstract partial record StageRecipe
{
    /// <summary>Next tokens of documents, with the batch and the rates of section 4.2 of the report.</summary>
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

        /// <summary>What this stage reads in place of the pipeline's data: files, or a prepared set; empty: the pipeline's.</summary>
        public string Data { get; init; } = "";

        [JsonIgnore]
        public override bool IsToldInTokens => true;

        [JsonIgnore]
        public override bool BeginsAtRandom => true;

        [JsonIgnore]
        public override bool CutsIntoPipelines => true;

        [JsonIgnore]
        public override bool ReplicasAreAlike => true;

        /// <summary>At the calibrated point.</summary>
        [JsonIgnore]
        public override double StatedError => 0.01;

        private protected override StageLength Count() => StageLength.Of(Tokens, SequenceLength, BatchSize);

        public override double PlannedTokens() => Length().Tokens;

        public override bool KeepsAverage() => EmaDecay > 0;

        public override int LongestSequence() => SequenceLength;

        public override int? SequenceOf(long step) => SequenceLength;

        public override ImmutableArray<StageSegment> Segments(ParallelLayout layout, int ranks)
        {
            var length = Length();
            double full = (double)BatchSize.To * SequenceLength;
            int rows = BatchSize.To / Math.Max(1, ranks / (layout.Pipeline * layout.Tensor));
            double chunk = (double)SequenceLength * layout.RowsAtOnce(rows, BatchSize);
            return [new(length.Steps, length.Tokens, full, SequenceLength, chunk) { Ramp = (BatchSize, SequenceLength) }];
        }

        public override SampledOutputs Sampled() => SampledOutputs.None;

        public override long TokensAt(long step) => StageLength.TokensAt(step, SequenceLength, BatchSize);

        public override long TokensAfter(long step, long before) => before + ((long)BatchSize.At(before) * SequenceLength);

        public override double LearningRateAt(long step, long tokens) => LearningRate.At(step, tokens, Length().Steps, Tokens);

        public override string SecondOrigin() => "";

        public override ModelShape ShapeAfter(ModelShape before) => before;

        public override ContextPhase? ExtensionAfter(PipelineSpec pipeline, StageSpec stage) => pipeline.ExtensionBefore(stage);

        public override StageRecipe WithoutShares() => this with
        {
            BatchSize = BatchSize.OverPercent is { } over ? BatchSize with { OverTokens = TokenShares.Tokens(Tokens, over) } : BatchSize,
            LearningRate = new([.. LearningRate.Pieces.Select(piece =>
                piece.UntilPercent is { } until ? piece with { UntilTokens = TokenShares.Tokens(Tokens, until) } : piece)]),
            Gamma = TokenShares.Resolve(Gamma, Tokens),
            Lambda = TokenShares.Resolve(Lambda, Tokens),
        };
    }
}
