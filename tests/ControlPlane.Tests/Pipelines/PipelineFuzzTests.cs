using System.Collections.Immutable;
using System.Text.Json;
using CsCheck;
using DeepSeekOps.ControlPlane.Pipelines;
using DeepSeekOps.Decisions.Recipes;
using DeepSeekOps.Recipes.Schedules;
using Xunit;

namespace DeepSeekOps.ControlPlane.Tests.Pipelines;

public sealed class PipelineFuzzTests
{
    private static readonly string[] Snippets =
        [":", "-", "{", "}", "[", "]", "\n", "  ", "\t", "\"", "'", "#", "&a", "*a", "<<: ", "!!int", "|", ">", "0", "-1", "1e999",
            "999999T", "null",
            "stages:", "kind: rl", "𝛾", "\0", "\uFEFF", "? ", "%", "@", "`", "9223372036854775807", "0.0000001", ",", "Ki", "from: sft",
            "studentFrom: distill", "groups: 0", "150%", "%", "1e9%"];

    private static readonly Gen<(int At, int Cut, int Snippet)[]> Edits =
        Gen.Select(Gen.Int[0, 100_000], Gen.Int[0, 12], Gen.Int[0, Snippets.Length]).Array[1, 6];

    [Fact]
    public void However_a_pipeline_is_mangled_the_answer_is_a_record_or_a_problem() =>
        Edits.Sample(edits =>
        {
            string text = edits.Aggregate(Examples.Mini, Edit);
            var parsed = PipelineText.Parse(text, "/data", _ => true);
            Assert.True(parsed.Spec is not null || parsed.Errors.Any(), text);
            Assert.All(parsed.Problems, p => Assert.True(p.Line > 0 && p.Message.Length > 0));
            if (parsed.Spec is { } spec)
            {
                Assert.Empty(PipelineText.Parse(PipelineText.ToYaml(spec)).Errors);
                Assert.All(spec.Stages, s => TrainingPlans.ToProto(spec, s.Name));
            }
        }, iter: 1000);

    [Fact]
    public void A_record_written_as_yaml_is_read_as_the_same_record() =>
        Pipelines.Sample(spec =>
        {
            string yaml = PipelineText.ToYaml(spec);
            var parsed = PipelineText.Parse(yaml);
            Assert.True(parsed.Spec is not null, string.Join('\n', parsed.Problems) + "\n" + yaml);
            Assert.Equal(JsonSerializer.Serialize(spec), JsonSerializer.Serialize(parsed.Spec));
        }, iter: 700);

    private static string Edit(string text, (int At, int Cut, int Snippet) edit)
    {
        int at = edit.At % (text.Length + 1);
        int cut = Math.Min(edit.Cut, text.Length - at);
        return text[..at] + (edit.Snippet < Snippets.Length ? Snippets[edit.Snippet] : "") + text[(at + cut)..];
    }

    private static readonly Gen<double> Rates = Gen.Double[1e-9, 1];

    private static readonly Gen<string> Names = Gen.Char["abcdefghijklmnopqrstuvwxyz0123456789"].Array[1, 12].Select(c => new string(c));

    private static readonly Gen<string> Paths = Gen.String[1, 20].Select(s => new string([.. s.Where(c => c >= ' ' && c != ',')]) + ".txt");

    /// <summary>With a second more it is a day at most, which is the longest that a wait may be.</summary>
    private static readonly Gen<TimeSpan> Durations = Gen.Int[1000, 86_399_000].Select(ms => TimeSpan.FromMilliseconds(ms));

    private static readonly Gen<StageRecipe> Pretrainings =
        Gen.Select(Gen.Int[1, 5000], Gen.Int[2, 5000], Gen.Int[1, 500], Gen.Int[0, 500], Rates, Rates, Gen.Long[0, 100]).Select(
            (sequences, length, from, more, rate, ema, at) =>
            {
                long tokens = (long)sequences * length;
                long steps = StageLength.Of(tokens, length, new BatchRamp { From = from, To = from + more, OverTokens = tokens / 2 }).Steps;
                return new StageRecipe.Pretraining
                {
                    Tokens = tokens, SequenceLength = length,
                    BatchSize = new BatchRamp { From = from, To = from + more, OverTokens = tokens / 2 },
                    LearningRate = steps < 3 ? LearningRate.Constant(rate) : new(
                        [new(CurveShape.Linear, rate, null, 1), new(CurveShape.Cosine, rate / 10, null, 2),
                            new(CurveShape.Constant, rate / 7, tokens, null)]),
                    Gamma = new Milestone(rate, 0, tokens * at / 100) { AtPercent = at % 2 == 0 ? null : at / 4m },
                    Lambda = Milestone.Always(ema), EmaDecay = Math.Min(ema, 0.999), Alpha = rate / 3,
                }.WithoutShares();
            });

    private static readonly Gen<PipelineSpec> Pipelines =
        Gen.Select(Pretrainings, Names, Rates, Durations, Gen.Int[0, 3], Gen.Bool, Gen.Int[1, 200_000], Paths).Select(
            (recipe, name, rate, duration, priority, bit, count, path) => new PipelineSpec
            {
                Name = name, Team = name, Priority = (Priority)(priority * 100), Seed = count, Model = bit ? ModelShape.Mini
                    : ModelShape.Mini with { HiddenSize = 256, Layers = 3, RopeTheta = 1 + (1e6 * rate) },
                Data = new DataSpec { FimRate = rate, Heldout = count, Source = path },
                Optimizer = new AdamW { Beta1 = rate * 0.99, Epsilon = rate, Bf16Moments = bit },
                Recovery = new() { Window = duration, BackOffMax = duration + TimeSpan.FromSeconds(1), MaxRestarts = count },
                Checkpoints = new CheckpointPolicy { EverySteps = count, Keep = 2 + priority },
                Stages =
                [
                    new StageSpec { Name = "p", Recipe = recipe, Resources = bit ? new ResourceSpec { Threads = priority } : null },
                    new StageSpec
                    {
                        Name = "r", BeginFrom = bit ? "p" : "",
                        Gates = bit ? [new Gate.Approval(), new Gate.Metric("p", "loss", rate, null)]
                            : [new Gate.Metric("p", "a b", null, -rate)],
                        Recipe = new StageRecipe.ReinforcementLearning { Steps = count, Questions = 2, GroupSize = 2 + priority,
                            MaxNewTokens = 16,
                            LearningRate = LearningRate.Constant(rate), KlBeta = rate, Verifier = "exact" },
                        Checkpoints = bit ? new CheckpointPolicy { EverySteps = 1, Keep = 5 } : null,
                    },
                    new StageSpec
                    {
                        Name = "d", Recipe = new StageRecipe.Distillation { Student = ModelShape.MiniStudent with { VocabSize = 272 },
                            Samples = count, BatchSize = 1, SequenceLength = 77, LearningRate = LearningRate.Constant(rate),
                            LogitWeight = rate,
                            Verifier = "boxed" },
                    },
                ],
            });
}
