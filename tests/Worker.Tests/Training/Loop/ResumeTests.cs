using System.Text.Json.Nodes;
using DeepSeekOps.Contracts.Worker.V1;
using DeepSeekOps.Worker.Checkpoints;
using DeepSeekOps.Worker.Model;
using DeepSeekOps.Worker.Safetensors;
using DeepSeekOps.Worker.Tests.Agent;
using DeepSeekOps.Worker.Training.Learning;
using DeepSeekOps.Worker.Training.Stages;
using TorchSharp;
using Xunit;

namespace DeepSeekOps.Worker.Tests.Training.Loop;

[Collection(RandomNumbers.OneStream)]
public sealed class ResumeTests : IDisposable
{
    private readonly MiniPlans _mini = new();

    public void Dispose() => _mini.Dispose();

    [Theory]
    [InlineData("pretrain")]
    [InlineData("extend")]
    [InlineData("sft")]
    [InlineData("rl")]
    [InlineData("distill")]
    public void A_resumed_stage_has_the_same_next_twenty_losses_to_the_last_bit(string stage)
    {
        var plan = PlanWithBeginning(stage);
        using var whole = MiniPlans.Train(_mini.Launch(plan, stage, run: "whole"));
        using var first = MiniPlans.Train(_mini.Launch(plan, stage), (link, report) =>
        {
            if (report.Sample is { Step: 4 })
            {
                link.OrderStop("a test ends the first attempt", save: true);
            }
        });
        using var second = MiniPlans.Train(_mini.Launch(plan, stage, attempt: 2, from: first.Checkpoints[^1]));
        Assert.Equal(4, first.Samples.Count);
        Assert.Equal(20, second.Samples.Count);
        Assert.Equal(whole.Samples.Skip(4).Select(s => (s.Step, s.Loss, s.GradNorm, s.Tokens)),
            second.Samples.Select(s => (s.Step, s.Loss, s.GradNorm, s.Tokens)));
        Assert.Equal(Measured(whole), Measured(second));
        Assert.True(whole.Checkpoints[^1].Final && second.Checkpoints[^1].Final);
    }

    [Theory]
    [InlineData(12)]
    [InlineData(13)]
    public void A_phase_of_longer_documents_goes_on_where_it_stood(int step)
    {
        var plan = PlanWithBeginning("extend");
        using var whole = MiniPlans.Train(_mini.Launch(plan, "extend", run: "whole"));
        using var first = MiniPlans.Train(_mini.Launch(plan, "extend"), StopAt(step));
        using var second = MiniPlans.Train(_mini.Launch(plan, "extend", attempt: 2, from: first.Checkpoints[^1]));
        Assert.Equal(whole.Samples.Skip(step).Select(s => (s.Step, s.Loss)), second.Samples.Select(s => (s.Step, s.Loss)));
        Assert.Equal(whole.Checkpoints[^1].DataCursor, second.Checkpoints[^1].DataCursor);
    }

    [Theory]
    [InlineData("pretrain")]
    [InlineData("extend")]
    [InlineData("sft")]
    [InlineData("rl")]
    [InlineData("distill")]
    public void Batches_that_are_left_out_move_the_data_up_and_change_no_count(string stage)
    {
        var plan = PlanWithBeginning(stage);
        using var whole = MiniPlans.Train(_mini.Launch(plan, stage, run: "whole"));
        using var first = MiniPlans.Train(_mini.Launch(plan, stage), StopAt(4));
        using var skipping = MiniPlans.Train(LeavingOut(_mini.Launch(plan, stage, attempt: 2, from: first.Checkpoints[^1]), 5, 6, 7, 8));
        Assert.Equal(whole.Checkpoints.Single(c => c.Step == 12).DataCursor, skipping.Checkpoints.Single(c => c.Step == 8).DataCursor);
        Assert.Equal((24, 24), (skipping.Samples[^1].Step, skipping.Samples.Count + 4));
        Assert.NotEqual(whole.Samples[4].Loss, skipping.Samples[0].Loss);
        Assert.Equal([5L, 6, 7, 8], ManifestOf(skipping.Checkpoints[^1]).LeftOut);
        Assert.Empty(ManifestOf(whole.Checkpoints[^1]).LeftOut);
    }

    [Theory]
    [InlineData("pretrain")]
    [InlineData("extend")]
    [InlineData("sft")]
    [InlineData("rl")]
    [InlineData("distill")]
    public void Kills_before_and_after_a_batch_that_is_left_out_change_no_loss_and_no_weight(string stage)
    {
        var plan = PlanWithBeginning(stage);
        using var whole = MiniPlans.Train(LeavingOut(_mini.Launch(plan, stage, run: "whole"), 7, 13));
        using var first = MiniPlans.Train(LeavingOut(_mini.Launch(plan, stage), 7, 13), StopAt(6));
        using var second =
            MiniPlans.Train(LeavingOut(_mini.Launch(plan, stage, attempt: 2, from: first.Checkpoints[^1]), 7, 13), StopAt(10));
        // What the checkpoint has passed over stands in it: also a control plane that has forgotten the list changes nothing of the past.
        using var third = MiniPlans.Train(LeavingOut(_mini.Launch(plan, stage, attempt: 3, from: second.Checkpoints[^1]), 13));
        Assert.Equal(whole.Samples.Select(s => (s.Step, s.Loss, s.GradNorm, s.Tokens)),
            first.Samples.Concat(second.Samples).Concat(third.Samples).Select(s => (s.Step, s.Loss, s.GradNorm, s.Tokens)));
        Assert.Equal(WeightsOf(whole.Checkpoints[^1]), WeightsOf(third.Checkpoints[^1]));
        Assert.Equal([7L, 13], ManifestOf(third.Checkpoints[^1]).LeftOut);
    }

    [Fact]
    public void A_full_disk_is_told_with_its_remedy_and_training_goes_on()
    {
        var folder = Path.Combine(_mini.Root, "test", "pretrain");
        var written = Path.Combine(folder, ".step-00000008.attempt-1.tmp");
        using var link = MiniPlans.Train(_mini.Launch(_mini.Plan("pretrain"), "pretrain"), (_, report) =>
        {
            if (report.Sample is { Step: 5 })
            {
                Directory.CreateDirectory(written);
                File.CreateSymbolicLink(Path.Combine(written, "optimizer.safetensors"), "/dev/full");
            }
        });
        var note = Assert.Single(link.Reports, r => r.Note is not null).Note.Text;
        Assert.Contains("The checkpoint of step 8 could not be written: No space left on device", note, StringComparison.Ordinal);
        Assert.Contains($"Free space under {folder}", note, StringComparison.Ordinal);
        Assert.False(Directory.Exists(written));
        Assert.Equal([4L, 12, 16, 20, 24], link.Checkpoints.Select(c => c.Step));
        Assert.Equal(24, link.Samples.Count);
    }

    [Theory]
    [InlineData("pretrain")]
    [InlineData("extend")]
    public void A_training_checkpoint_opens_as_a_published_one(string stage)
    {
        using var trained = MiniPlans.Train(_mini.Launch(PlanWithBeginning(stage), stage), StopAt(4));
        var folder = Path.Combine(_mini.Root, trained.Checkpoints[^1].Path);
        using var model = ModelFolder.Load(folder, torch.CPU);
        using var weights = SafetensorsFile.Open(Path.Combine(folder, ModelWeights.FileName));
        Assert.All(model.PublishedTensors(), t =>
        {
            using var saved = weights.Read(t.Name);
            Assert.True(saved.equal(t.Value).all().item<bool>(), t.Name);
        });
        Assert.Equal(stage == "extend", model.Shape.Yarn is not null);
        Assert.Contains(Manifest.Verify(folder, trained.Checkpoints[^1].Digest).Files, f => f.Name == ConfigJson.FileName);
    }

    [Fact]
    public void The_moving_average_is_a_model_of_its_own_that_is_measured_and_leaves_the_weights_alone()
    {
        var plan = PlanWithBeginning("pretrain");
        using var trained = MiniPlans.Train(_mini.Launch(plan, "pretrain"));
        var folder = Path.Combine(_mini.Root, trained.Checkpoints[^1].Path);
        using var weights = ModelFolder.Load(folder, torch.CPU);
        using var average = ModelFolder.Load(folder, torch.CPU, file: ModelWeights.AverageFileName);
        using var link = new RecordingRankLink();
        var evaluation = MiniPlans.Context(plan, link).Evaluation;
        double Measured(string name) => Assert.Single(trained.Evaluations, e => e.Name == name).Value;
        Assert.Equal(Measured("heldout_loss_after"), evaluation.Texts(weights, plan.Pretraining.SequenceLength, 0).Loss.Value, 1e-12);
        Assert.Equal(Measured("heldout_loss_ema"), evaluation.Texts(average, plan.Pretraining.SequenceLength, 0).Loss.Value, 1e-12);
        Assert.NotEqual(Measured("heldout_loss_after"), Measured("heldout_loss_ema"));
    }

    [Fact]
    public void A_checkpoint_of_pretraining_says_how_many_tokens_each_expert_had()
    {
        using var trained = MiniPlans.Train(_mini.Launch(_mini.Plan("pretrain"), "pretrain"), StopAt(4));
        var folder = Path.Combine(_mini.Root, trained.Checkpoints[^1].Path);
        Assert.Contains(Manifest.Verify(folder, trained.Checkpoints[^1].Digest).Files, f => f.Name == ExpertLoadsJson.FileName);
        var told = JsonNode.Parse(File.ReadAllText(Path.Combine(folder, ExpertLoadsJson.FileName)))!;
        var shape = ConfigJson.Read(Path.Combine(folder, ConfigJson.FileName));
        double[] sums = [.. told["loads"]!.AsArray().Select(layer => layer!.AsArray().Sum(load => (double)load!))];
        Assert.Equal(shape.Layers - shape.DenseLayers + shape.MtpDepth, sums.Length);
        // Every token goes to as many experts, in the multi-token block one token fewer per row.
        Assert.All(sums, sum => Assert.Equal(0, sum % shape.ActiveExperts));
        Assert.All(sums, sum => Assert.InRange(sum, 1, sums[0]));
        Assert.Equal(shape.ActiveExperts, (int)told["expertsPerToken"]!);
    }

    [Fact]
    public void A_truncated_checkpoint_is_refused_and_an_older_one_used()
    {
        var plan = _mini.Plan("pretrain");
        using var first = MiniPlans.Train(_mini.Launch(plan, "pretrain"), StopAt(12));
        var (older, newest) = (first.Checkpoints[^2], first.Checkpoints[^1]);
        using (var file = File.OpenWrite(Path.Combine(_mini.Root, newest.Path, "model.safetensors")))
        {
            file.SetLength(file.Length - 1);
        }
        using var second = MiniPlans.Train(_mini.Launch(plan, "pretrain", attempt: 2, from: newest));
        var refused = Assert.Single(second.Reports, r => r.Refused is not null).Refused;
        Assert.Equal(newest.Path, refused.Path);
        Assert.Contains("bytes", refused.Reason, StringComparison.Ordinal);
        Assert.Equal(older.Step + 1, second.Samples[0].Step);
    }

    [Fact]
    public void A_changed_byte_is_found_by_its_digest()
    {
        using var first = MiniPlans.Train(_mini.Launch(_mini.Plan("pretrain"), "pretrain"), StopAt(4));
        var checkpoint = first.Checkpoints[^1];
        var path = Path.Combine(_mini.Root, checkpoint.Path, "optimizer.safetensors");
        var bytes = File.ReadAllBytes(path);
        bytes[^1] ^= 1;
        File.WriteAllBytes(path, bytes);
        Assert.Throws<RefusedCheckpointException>(() => Manifest.Verify(Path.Combine(_mini.Root, checkpoint.Path), checkpoint.Digest));
    }

    [Fact]
    public void Only_the_newest_checkpoints_are_kept_beside_pinned_and_final_ones()
    {
        var plan = _mini.Plan("pretrain", every: 2);
        using var link = MiniPlans.Train(_mini.Launch(plan, "pretrain"), (_, report) =>
        {
            if (report.Checkpoint is { Step: 4 } pinned)
            {
                File.WriteAllText(Path.Combine(_mini.Root, pinned.Path, CheckpointFolder.PinName), "");
            }
        });
        var folder = new CheckpointFolder(_mini.Root, new LaunchBounds("test", "pretrain", 2, 0, [""]), link);
        Assert.Equal([4L, 20, 22, 24], folder.Steps().Order());
    }

    [Fact]
    public void A_stage_begins_from_the_checkpoint_before_and_says_so_in_its_manifest()
    {
        using var before = MiniPlans.Train(_mini.Launch(_mini.Plan("pretrain"), "pretrain"));
        var final = before.Checkpoints[^1];
        var plan = _mini.Plan("sft");
        plan.BeginFrom = new CheckpointRef
        {
            Path = final.Path,
            Digest = final.Digest,
            Step = final.Step,
            Run = "test",
            Stage = "pretrain",
        };
        using var after = MiniPlans.Train(_mini.Launch(plan, "sft"));
        var manifest = Manifest.Verify(Path.Combine(_mini.Root, after.Checkpoints[^1].Path), after.Checkpoints[^1].Digest);
        Assert.Equal(new Lineage("test", "pretrain", final.Step, final.Digest), manifest.BeganFrom);
    }

    [Fact]
    public void Memory_is_flat_over_two_hundred_steps()
    {
        var live = new List<long>();
        var plan = _mini.Plan("pretrain", every: 1000);
        plan.Pretraining.Tokens = 200 * 4 * 16;
        using var link = MiniPlans.Train(_mini.Launch(plan, "pretrain"), (_, report) =>
        {
            if (report.Sample is not null)
            {
                live.Add(DisposeScopeManager.Statistics.ThreadTotalLiveCount);
            }
        });
        Assert.Equal(200, live.Count);
        Assert.InRange(live[^1], 1, live[3]);
    }

    [Fact]
    public void What_a_step_allocates_in_managed_code_does_not_grow_with_the_model() =>
        Assert.InRange(AllocatedByAStep(width: 128) / (double)AllocatedByAStep(width: 16), 0.9, 1.1);

    private static long AllocatedByAStep(int width)
    {
        var shape = ModelShapes.FromProto(MiniPlans.Model()) with
        {
            HiddenSize = width,
            IntermediateSize = 2 * width,
            MoeIntermediateSize = width,
        };
        var optimizer = new Optimizer { Beta1 = 0.9, Beta2 = 0.95, Epsilon = 1e-8, WeightDecay = 0.1, GradClip = 1 };
        using var learner = new Learner(shape, optimizer, seed: 1, emaDecay: 0.9, torch.CPU);
        var tokens = torch.arange(64).view(4, 16);
        long before = 0;
        const int warm = 5, counted = 10;
        for (var step = 0; step < warm + counted; step++)
        {
            before = step == warm ? GC.GetAllocatedBytesForCurrentThread() : before;
            using var scope = torch.NewDisposeScope();
            var output = learner.Model.Forward(tokens);
            learner.Backward(Losses.CrossEntropy(output.Logits, tokens));
            learner.Update(1e-3);
            learner.Balance(output.ExpertLoads, 0.001);
        }
        return (GC.GetAllocatedBytesForCurrentThread() - before) / counted;
    }

    private static RankLaunch LeavingOut(RankLaunch launch, params long[] batches)
    {
        launch.Assignment.LeftOutBatches.Add(batches);
        return launch;
    }

    private Manifest ManifestOf(CheckpointReport checkpoint) =>
        Manifest.Verify(Path.Combine(_mini.Root, checkpoint.Path), checkpoint.Digest);

    private string WeightsOf(CheckpointReport checkpoint) =>
        ManifestOf(checkpoint).Files.Single(f => f.Name == ModelWeights.FileName).Sha256;

    private static IEnumerable<(string, double, int)> Measured(Agent.RecordingRankLink link) =>
        link.Evaluations.Where(e => e.Step > 4).Select(e => (e.Name, e.Value, e.Samples));

    private TrainingPlan PlanWithBeginning(string stage)
    {
        var plan = _mini.Plan(stage);
        if (stage == "distill")
        {
            // Of a teacher with random weights the verifier would keep nothing.
            plan.BeginFrom = _mini.Tuned("a");
            plan.Data = new DataConfig { Source = _mini.Questions("a"), Tokenizer = "byte", Heldout = 2 };
        }
        return plan;
    }

    private static Action<Agent.RecordingRankLink, RankReport> StopAt(long step) => (link, report) =>
    {
        if (report.Sample?.Step == step)
        {
            link.OrderStop("a test ends the first attempt", save: true);
        }
    };
}
