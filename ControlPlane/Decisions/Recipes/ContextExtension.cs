using System.Collections.Immutable;
using System.Text.Json.Serialization;
using DeepSeekOps.Recipes.Schedules;

namespace DeepSeekOps.Decisions.Recipes;

[JsonDerivedType(typeof(ContextExtension), "context-extension")]
public abstract partial record StageRecipe
{
    /// <summary>Longer and longer sequences under YaRN (report section 4.3).</summary>
    public sealed record ContextExtension : StageRecipe
    {
        public override string Kind => "context-extension";

        public ImmutableArray<ContextPhase> Phases { get; init; } = [];

        public double Gamma { get; init; }

        public double Alpha { get; init; } = 1e-4;

        public double Lambda { get; init; } = 0.1;

        /// <summary>What this stage reads in place of the pipeline's data: files, or a prepared set; empty: the pipeline's.</summary>
        public string Data { get; init; } = "";

        [JsonIgnore]
        public override bool IsToldInTokens => true;

        [JsonIgnore]
        public override bool BeginsAtRandom => false;

        [JsonIgnore]
        public override bool CutsIntoPipelines => true;

        [JsonIgnore]
        public override bool ReplicasAreAlike => true;

        /// <summary>Its sequences lie beyond the step that was measured.</summary>
        [JsonIgnore]
        public override double StatedError => 0.10;

        private protected override StageLength Count() => new(Phases.Sum(p => p.Steps), Phases.Sum(p => p.Steps * p.StepTokens));

        public override double PlannedTokens() => Length().Tokens;

        public override bool KeepsAverage() => false;

        public override int LongestSequence() => Phases.Max(p => p.SequenceLength);

        public override int? SequenceOf(long step) => PhaseOf(step - 1).Phase.SequenceLength;

        public override int ContextOf(long step) => PhaseOf(step - 1).Phase.ContextParallel;

        public override ImmutableArray<int> ContextRanks() =>
            [.. Phases.Select(p => p.ContextParallel).Where(ranks => ranks > 1).Distinct().Order()];

        public override ImmutableArray<StageSegment> Segments(ParallelLayout layout, int ranks) => [.. Phases.Select(p => new StageSegment(
            p.Steps, (double)p.Steps * p.StepTokens, p.StepTokens, p.SequenceLength,
            (double)p.SequenceLength / p.ContextParallel
                * layout.RowsAtOnce(p.BatchSize / Math.Max(1, ranks / (layout.Pipeline * layout.Tensor * p.ContextParallel))),
            p.ContextParallel))];

        public override SampledOutputs Sampled() => SampledOutputs.None;

        public override long TokensAt(long step)
        {
            long tokens = 0;
            foreach (var phase in Phases)
            {
                long here = Math.Clamp(step, 0, phase.Steps);
                (tokens, step) = (tokens + (here * phase.StepTokens), step - here);
            }

            return tokens;
        }

        public override long TokensAfter(long step, long before) => before + PhaseOf(step - 1).Phase.StepTokens;

        public override double LearningRateAt(long step, long tokens)
        {
            var (phase, within) = PhaseOf(step);
            return phase.LearningRate.At(within, within * phase.StepTokens, phase.Steps);
        }

        public override string SecondOrigin() => "";

        public override ModelShape ShapeAfter(ModelShape before) => before;

        public override ContextPhase? ExtensionAfter(PipelineSpec pipeline, StageSpec stage) =>
            Phases is [.., var last] ? last : pipeline.ExtensionBefore(stage);

        public override StageRecipe WithoutShares() => this;

        private (ContextPhase Phase, long Within) PhaseOf(long before)
        {
            var (phase, within) = StageLength.PhaseAt([.. Phases.Select(p => p.Steps)], Math.Max(0, before));
            return (Phases[phase], within);
        }
    }
}
