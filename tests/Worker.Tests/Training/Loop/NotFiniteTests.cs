using System.Text.Json.Nodes;
using CsCheck;
using DeepSeekOps.Contracts.Worker.V1;
using DeepSeekOps.Worker.Agent;
using DeepSeekOps.Worker.Checkpoints;
using DeepSeekOps.Worker.Data;
using DeepSeekOps.Worker.Model;
using DeepSeekOps.Worker.Sampling;
using DeepSeekOps.Worker.Tests.Agent;
using DeepSeekOps.Worker.Training.Learning;
using DeepSeekOps.Worker.Training.Loop;
using DeepSeekOps.Worker.Training.Stages;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace DeepSeekOps.Worker.Tests.Training.Loop;

/// <summary>A number that is not finite ends its step, and nothing of the step is kept.</summary>
[Collection(RandomNumbers.OneStream)]
public sealed class NotFiniteTests : IDisposable
{
    private readonly MiniPlans _mini = new();

    public void Dispose() => _mini.Dispose();

    [Theory]
    [InlineData("pretrain", 7)]
    [InlineData("extend", 7)]
    [InlineData("sft", 7)]
    [InlineData("rl", 6)] // it makes two updates a step
    [InlineData("distill", 7)]
    public void The_launch_ends_at_the_step_whose_numbers_broke_and_names_its_batch(string stage, long step)
    {
        // The update of step 6 makes all weights some 1e30: the next gradients overflow.
        var plan = Exploding(stage, after: 6, rate: 1e30);
        var (link, broken) = Broken(_mini.Launch(plan, stage));
        using var told = link;
        Assert.Equal((step, step), (broken.Broke.Step, broken.Broke.Batch));
        Assert.False(double.IsFinite(broken.Broke.Value));
        Assert.NotEqual("", broken.Broke.Data);
        Assert.Equal((step - 1, step), (link.Samples[^1].Step, broken.Sample!.Step));
        Assert.Equal([4L], link.Checkpoints.Select(c => c.Step));
        Assert.Matches($@"^the (loss|gradient norm) became (NaN|infinite) at step {step}", broken.Message);
    }

    [Fact]
    public void Weights_that_are_not_finite_are_not_saved_though_loss_and_norm_of_the_step_were()
    {
        var plan = Exploding("pretrain", after: 4, rate: 1e39);
        var (link, broken) = Broken(_mini.Launch(plan, "pretrain"));
        using var told = link;
        Assert.True(double.IsFinite(link.Samples[^1].Loss) && double.IsFinite(link.Samples[^1].GradNorm));
        Assert.StartsWith("weight model.", broken.Broke.What, StringComparison.Ordinal);
        Assert.Equal((4, 4), (broken.Broke.Step, broken.Broke.Batch));
        Assert.Empty(link.Checkpoints);
    }

    [Fact]
    public void The_micro_batch_that_broke_is_named()
    {
        using var scope = NewDisposeScope();
        var step = new StepResult("4Ki", tensor(float.NaN), tensor(float.NaN), 1e-3, 64,
            new Dictionary<string, double> { ["mtp_loss"] = double.NaN })
        {
            MicroBatches = [tensor(1f), tensor(float.NaN), tensor(float.NaN)],
        };
        var broke = BrokenStep.Of(step, double.NaN, double.NaN)!;
        broke.Step = 41;
        Assert.Equal("the loss became NaN at step 41 (micro-batch 2)", new NotFiniteException(broke).Message);
    }

    [Theory]
    [InlineData(float.NaN)]
    [InlineData(float.PositiveInfinity)]
    public void An_update_whose_gradient_norm_is_not_finite_changes_nothing(float spoilt)
    {
        var optimizer = new Contracts.Worker.V1.Optimizer { Beta1 = 0.9, Beta2 = 0.95, Epsilon = 1e-8, WeightDecay = 0.1, GradClip = 1 };
        using var scope = NewDisposeScope();
        using var learner = new Learner(ModelShapes.FromProto(MiniPlans.Model()), optimizer, seed: 1, emaDecay: 0, CPU);
        void Step(float factor)
        {
            var ids = arange(32, dtype: int64).reshape(2, 16);
            learner.Backward(factor * Losses.CrossEntropy(learner.Model.Forward(ids).Logits, ids));
            learner.Update(1e-2);
        }
        float[] All() =>
            [.. learner.Model.PublishedTensors().Concat(learner.Optimizer.State)
                .SelectMany(t => t.Value.to(ScalarType.Float32).data<float>().ToArray())];
        Step(1);
        var before = All();
        Step(spoilt);
        Assert.Equal(before, All());
        Step(1);
        Assert.NotEqual(before, All());
        Assert.All(All(), v => Assert.True(float.IsFinite(v)));
    }

    [Theory]
    [InlineData("model.safetensors", float.NaN)]
    [InlineData("optimizer.safetensors", float.PositiveInfinity)]
    [InlineData("ema.safetensors", float.NaN)]
    public void A_checkpoint_with_a_number_that_is_not_finite_is_refused_and_the_one_before_it_taken(string name, float spoilt)
    {
        var plan = _mini.Plan("pretrain");
        using var first = MiniPlans.Train(_mini.Launch(plan, "pretrain"), StopAtEight);
        var newest = first.Checkpoints[^1];
        newest.Digest = Spoil(Path.Combine(_mini.Root, newest.Path), name, spoilt);
        using var second = MiniPlans.Train(_mini.Launch(plan, "pretrain", attempt: 2, from: newest));
        var refused = Assert.Single(second.Reports, r => r.Refused is not null).Refused;
        Assert.Contains(name, refused.Reason, StringComparison.Ordinal);
        Assert.Contains(float.IsNaN(spoilt) ? "has NaN in it" : "has an infinity in it", refused.Reason, StringComparison.Ordinal);
        Assert.Equal(5, second.Samples[0].Step);
    }

    [Theory]
    [InlineData(false, "the loss of its step is NaN")]
    [InlineData(true, "it has trained batch 6, which is left out")]
    public void A_checkpoint_whose_step_broke_or_that_trained_what_is_left_out_is_refused_whatever_its_bytes(bool leavesOut, string reason)
    {
        var plan = _mini.Plan("pretrain");
        using var first = MiniPlans.Train(_mini.Launch(plan, "pretrain"), StopAtEight);
        var newest = first.Checkpoints[^1];
        if (!leavesOut)
        {
            newest.Digest = Rewrite(Path.Combine(_mini.Root, newest.Path), m => m["position"]!["loss"] = "NaN");
        }
        var launch = _mini.Launch(plan, "pretrain", attempt: 2, from: newest);
        launch.Assignment.LeftOutBatches.Add(leavesOut ? [6L] : []);
        using var second = MiniPlans.Train(launch);
        Assert.StartsWith(reason, Assert.Single(second.Reports, r => r.Refused is not null).Refused.Reason, StringComparison.Ordinal);
        Assert.Equal(5, second.Samples[0].Step);
    }

    [Fact]
    public void A_file_that_its_manifest_vouches_for_and_that_holds_no_tensors_is_refused()
    {
        var plan = _mini.Plan("pretrain");
        using var first = MiniPlans.Train(_mini.Launch(plan, "pretrain"), StopAtEight);
        var newest = first.Checkpoints[^1];
        var folder = Path.Combine(_mini.Root, newest.Path);
        File.WriteAllText(Path.Combine(folder, "model.safetensors"), "no tensors at all");
        newest.Digest = Rewrite(folder, m =>
        {
            var file = m["files"]!.AsArray().Single(f => (string)f!["name"]! == "model.safetensors")!;
            (file["bytes"], file["sha256"]) = (17, Manifest.Sha256Of(Path.Combine(folder, "model.safetensors")));
        });
        using var second = MiniPlans.Train(_mini.Launch(plan, "pretrain", attempt: 2, from: newest));
        Assert.Contains("is not a whole safetensors file", Assert.Single(second.Reports, r => r.Refused is not null).Refused.Reason,
            StringComparison.Ordinal);
        Assert.Equal(5, second.Samples[0].Step);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void A_stage_does_not_begin_from_weights_that_are_not_finite(bool published)
    {
        using var before = MiniPlans.Train(_mini.Launch(_mini.Plan("pretrain"), "pretrain"));
        var folder = Path.Combine(_mini.Root, before.Checkpoints[^1].Path);
        var digest = Spoil(folder, "model.safetensors", float.NaN);
        var plan = _mini.Plan("rl");
        plan.BeginFrom = published ? new CheckpointRef { Path = folder, Published = true }
            : new CheckpointRef { Path = before.Checkpoints[^1].Path, Digest = digest, Run = "test", Stage = "pretrain" };
        var refused = Assert.Throws<InvalidDataException>(() => MiniPlans.Train(_mini.Launch(plan, "rl")));
        Assert.StartsWith($"The stage cannot begin from {folder}: its tensor ", refused.Message, StringComparison.Ordinal);
        Assert.Contains(" has NaN in it", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void The_cause_is_named_before_what_is_made_of_it()
    {
        using var scope = NewDisposeScope();
        StepResult Of(string name) =>
            new("grpo", tensor(1f), tensor(1f), 1e-3, 64,
                new Dictionary<string, double> { ["format_rate"] = 1, [name] = double.PositiveInfinity });
        Assert.Equal("distance to the reference model (kl)", BrokenStep.Of(Of("kl"), double.NaN, double.NaN)!.What);
        Assert.Equal("loss", BrokenStep.Of(Of("mtp_loss"), double.NaN, double.NaN)!.What);
        Assert.Equal("multi-token loss", BrokenStep.Of(Of("mtp_loss"), 1, double.NaN)!.What);
        Assert.Equal("distance to the teacher (teacher_kl)", BrokenStep.Of(Of("teacher_kl"), 1, 1)!.What);
        Assert.Null(BrokenStep.Of(new StepResult("x", tensor(1f), tensor(1f), 1, 1, new Dictionary<string, double>()), 1, 1));
    }

    [Fact]
    public void A_sampler_whose_logits_are_not_finite_says_so_and_draws_nothing()
    {
        using var model = new DeepSeekModel(ModelShapes.FromProto(MiniPlans.Model()), CPU);
        model.Initialise(1);
        model.PublishedTensors().First(t => t.Name == "lm_head.weight").Value.fill_(float.NaN);
        var special = new ByteTokenizer().Special;
        foreach (var temperature in (double[])[0, 1])
        {
            var broken =
                Assert.Throws<NotFiniteException>(
                    () => { Sampler.Generate(model, [[1, 2, 3]], 4, temperature, special, () => { }); });
            Assert.Equal("logit of a sampled answer", broken.Broke.What);
        }
    }

    [Fact]
    public void Weights_that_give_no_finite_loss_before_any_step_are_bad_input()
    {
        var plan = _mini.Plan("pretrain");
        // Nought over a norm of nought.
        (plan.Model.InitStd, plan.Model.RmsNormEps) = (0, 1e-300);
        var refused = Assert.Throws<InvalidDataException>(() => MiniPlans.Train(_mini.Launch(plan, "pretrain")));
        Assert.Contains("before any step", refused.Message, StringComparison.Ordinal);
        Assert.Contains("model.initStd", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Files_and_lines_of_the_broken_batch_are_told()
    {
        var plan = Exploding("sft", after: 1, rate: 1e30);
        plan.Sft.Data = Path.Combine(_mini.Root, "pairs.jsonl");
        (plan.Sft.Instances, plan.Sft.BatchSize) = (8, 2);
        File.WriteAllLines(plan.Sft.Data, Enumerable.Range(0, 8).Select(i => $$"""{"question":"{{i}}","answer":"yes"}"""));
        var (link, broken) = Broken(_mini.Launch(plan, "sft"));
        using var told = link;
        Assert.Matches(@"^pairs\.jsonl, line \d; pairs\.jsonl, line \d\z", broken.Broke.Data);
    }

    [Fact]
    public void Finite_numbers_are_told_from_others_whatever_their_sum() => Gen.Select(Gen.Float, Gen.Int[0, 99]).Sample((value, at) =>
    {
        using var scope = NewDisposeScope();
        var numbers = full([100], 3e38f);
        numbers[at] = value;
        var found = FiniteNumbers.FirstSpoilt([("sound", ones([3], dtype: ScalarType.BFloat16)), ("it", numbers)]);
        Assert.Equal(float.IsFinite(value) ? null : "it", found?.Name);
    }, iter: 200);

    [Fact]
    public void Which_batch_a_step_takes_is_the_same_from_wherever_a_launch_begins() =>
        Gen.Select(Gen.Long[1, 40].HashSet[0, 12], Gen.Long[0, 40]).Sample((leftOut, from) =>
        {
            static List<long> Taken(BatchOrder order, long first, long last)
            {
                var taken = new List<long>();
                for (var step = first; step <= last; step++)
                {
                    order.Pass();
                    taken.Add(order.Taken);
                }
                return taken;
            }
            var whole = new BatchOrder(leftOut, [], 0);
            var all = Taken(whole, 1, 60);
            Assert.Equal(Enumerable.Range(1, 200).Select(b => (long)b).Where(b => !leftOut.Contains(b)).Take(60), all);
            var half = new BatchOrder(leftOut, [], 0);
            Taken(half, 1, from);
            Assert.Equal(all.Skip((int)from), Taken(new BatchOrder(leftOut, half.LeftOut, from), from + 1, 60));
        }, iter: 300);

    private TrainingPlan Exploding(string stage, long after, double rate)
    {
        var plan = _mini.Plan(stage);
        if (stage == "distill")
        {
            plan.BeginFrom = _mini.Tuned("a");
            plan.Data = new DataConfig { Source = _mini.Questions("a"), Tokenizer = "byte", Heldout = 2 };
        }
        var pieces = new[]
        {
            new LearningRatePiece { Shape = "constant", To = 1e-3, UntilStep = after },
            new LearningRatePiece { Shape = "constant", To = rate },
        };
        foreach (var schedule in (LearningRate?[])[plan.Pretraining?.LearningRate, plan.Sft?.LearningRate, plan.Rl?.LearningRate,
            plan.Distillation?.LearningRate,
            .. plan.ContextExtension?.Phases.Select(p => p.LearningRate) ?? []])
        {
            schedule?.Pieces.Clear();
            schedule?.Pieces.Add(pieces);
        }
        return plan;
    }

    private static (RecordingRankLink Link, NotFiniteException Broken) Broken(RankLaunch launch)
    {
        var link = new RecordingRankLink();
        return (link, Assert.Throws<NotFiniteException>(() => new RankProgram().Run(launch, link, CancellationToken.None)));
    }

    /// <summary>Makes the last number of a file of a checkpoint what it should not be, and its manifest vouch for it.</summary>
    private static string Spoil(string folder, string name, float number)
    {
        var file = Path.Combine(folder, name);
        var bytes = File.ReadAllBytes(file);
        BitConverter.TryWriteBytes(bytes.AsSpan(bytes.Length - 4), number);
        File.WriteAllBytes(file, bytes);
        return Rewrite(folder, m => m["files"]!.AsArray().Single(f => (string)f!["name"]! == name)!["sha256"] = Manifest.Sha256Of(file));
    }

    /// <returns>The manifest's new digest.</returns>
    private static string Rewrite(string folder, Action<JsonNode> change)
    {
        var path = Path.Combine(folder, Manifest.FileName);
        var manifest = JsonNode.Parse(File.ReadAllText(path))!;
        change(manifest);
        File.WriteAllText(path, manifest.ToJsonString());
        return Manifest.Sha256Of(path);
    }

    private static void StopAtEight(RecordingRankLink link, RankReport report)
    {
        if (report.Sample is { Step: 8 })
        {
            link.OrderStop("a test ends the first attempt", save: true);
        }
    }
}
