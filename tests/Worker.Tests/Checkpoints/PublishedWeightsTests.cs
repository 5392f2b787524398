using System.Security.Cryptography;
using System.Text.Json.Nodes;
using DeepSeekOps.Contracts.Worker.V1;
using DeepSeekOps.Worker.Checkpoints;
using DeepSeekOps.Worker.Model;
using DeepSeekOps.Worker.Safetensors;
using DeepSeekOps.Worker.Tests.Training;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace DeepSeekOps.Worker.Tests.Checkpoints;

[Collection(RandomNumbers.OneStream)]
public sealed class PublishedWeightsTests : IDisposable
{
    private readonly MiniPlans _mini = new();

    public void Dispose() => _mini.Dispose();

    [Fact]
    public void A_stage_that_begins_from_another_runs_checkpoint_trains_as_the_stage_after_it_does()
    {
        using var before = MiniPlans.Train(_mini.Launch(_mini.Plan("pretrain"), "pretrain"));
        var final = before.Checkpoints[^1];
        using var after = MiniPlans.Train(_mini.Launch(PlanFrom(new CheckpointRef { Path = final.Path, Digest = final.Digest }), "sft"));
        var folder = Path.Combine(_mini.Root, final.Path);
        using var elsewhere = MiniPlans.Train(_mini.Launch(PlanFrom(Published(folder, final.Digest)), "sft", run: "elsewhere"));
        Assert.Equal(after.Samples.Select(s => (s.Loss, s.GradNorm)), elsewhere.Samples.Select(s => (s.Loss, s.GradNorm)));
        var manifest = Manifest.Verify(Path.Combine(_mini.Root, elsewhere.Checkpoints[^1].Path), elsewhere.Checkpoints[^1].Digest);
        Assert.Equal(new Lineage("test", "pretrain", final.Step, final.Digest, folder), manifest.BeganFrom);
    }

    [Theory]
    [InlineData("pretrain")]
    [InlineData("extend")]
    [InlineData("sft")]
    [InlineData("rl")]
    public void Every_kind_of_stage_can_begin_from_two_shards_in_bfloat16(string stage)
    {
        var folder = Saved(ScalarType.BFloat16, withMtp: true);
        using var published = ModelFolder.Load(folder, CPU);
        using var first = MiniPlans.Train(_mini.Launch(PlanFrom(Published(folder), stage, rate: 0), stage), StopAt(4));
        using var trained = ModelFolder.Load(Path.Combine(_mini.Root, first.Checkpoints[^1].Path), CPU);
        // At a rate of 0 the weights stay what they were, to the last bit.
        Same(published, trained);
        Assert.DoesNotContain(first.Reports, r => r.Note?.Text.Contains("MTP", StringComparison.Ordinal) == true);
    }

    [Fact]
    public void A_teacher_may_be_a_published_one()
    {
        var tuned = _mini.Tuned("a");
        var plan = PlanFrom(Published(Path.Combine(_mini.Root, tuned.Path), tuned.Digest), "distill");
        plan.Data = new DataConfig { Source = _mini.Questions("a"), Tokenizer = "byte", Heldout = 2 };
        using var link = MiniPlans.Train(_mini.Launch(plan, "distill"));
        Assert.Contains(link.Evaluations, e => e.Name == "samples_kept" && e.Value > 0.5);
    }

    [Fact]
    public void Block_scaled_fp8_is_read()
    {
        var folder = Saved(ScalarType.Float32, withMtp: true);
        var name = "model.layers.0.mlp.gate_proj.weight";
        using (NewDisposeScope())
        {
            var file = Path.Combine(folder, "model-00001-of-00002.safetensors");
            List<(string, Tensor)> tensors;
            using (var read = SafetensorsFile.Open(file))
            {
                tensors = [.. read.Names.Where(n => n != name).Select(n => (n, read.Read(n)))];
                tensors.Add((name, (read.Read(name) * 64).to(TensorTypes.Float8E4M3)));
            }
            tensors.Add((name + "_scale_inv", full([1, 1], 1 / 64f)));
            SafetensorsWriter.Write(file, tensors);
            Index(folder);
        }
        using var published = ModelFolder.Load(folder, CPU);
        using var first = MiniPlans.Train(_mini.Launch(PlanFrom(Published(folder), rate: 0), "sft"), StopAt(2));
        using var trained = ModelFolder.Load(Path.Combine(_mini.Root, first.Checkpoints[^1].Path), CPU);
        Same(published, trained);
    }

    [Theory]
    [InlineData("_scale", 1)]
    [InlineData("_scale", 64)]
    public void A_scale_by_another_name_is_applied(string suffix, int rows)
    {
        var folder = Saved(ScalarType.Float32, withMtp: true);
        var name = "model.layers.0.mlp.gate_proj.weight";
        using var whole = ModelFolder.Load(folder, CPU);
        using (NewDisposeScope())
        {
            var file = Path.Combine(folder, "model-00001-of-00002.safetensors");
            List<(string, Tensor)> tensors;
            using (var read = SafetensorsFile.Open(file))
            {
                tensors = [.. read.Names.Where(n => n != name).Select(n => (n, read.Read(n)))];
                var weight = read.Read(name);
                tensors.Add((name, (weight * 64).to(TensorTypes.Float8E4M3)));
                tensors.Add((name + suffix, full(rows == 1 ? [1] : [weight.shape[0], 1], 1 / 64f)));
            }
            SafetensorsWriter.Write(file, tensors);
            Index(folder);
        }
        using var published = ModelFolder.Load(folder, CPU);
        using var scope = NewDisposeScope();
        var (one, other) = (whole.PublishedTensors().Single(t => t.Name == name).Value,
            published.PublishedTensors().Single(t => t.Name == name).Value);
        // Three bits of fraction: within a sixteenth, and not 64 times too large.
        Assert.True(allclose(one, other, rtol: 1 / 15.0, atol: 1e-4));
    }

    [Fact]
    public void A_folder_of_links_as_the_hubs_cache_has_it_is_read()
    {
        var folder = Saved(ScalarType.Float32, withMtp: true);
        var snapshot = Directory.CreateDirectory(Path.Combine(_mini.Root, "hub", "snapshots", "rev")).FullName;
        var blobs = Directory.CreateDirectory(Path.Combine(_mini.Root, "hub", "blobs")).FullName;
        foreach (var file in Directory.GetFiles(folder))
        {
            var blob = Convert.ToHexStringLower(SHA256.HashData(File.ReadAllBytes(file)));
            File.Copy(file, Path.Combine(blobs, blob));
            File.CreateSymbolicLink(Path.Combine(snapshot, Path.GetFileName(file)), Path.Combine("..", "..", "blobs", blob));
        }
        Assert.Equal(PublishedWeights.DigestOf(folder), PublishedWeights.DigestOf(snapshot));
        using var one = ModelFolder.Load(folder, CPU);
        using var other = ModelFolder.Load(snapshot, CPU);
        Same(one, other);
    }

    [Fact]
    public void A_checkpoint_of_ours_may_have_a_file_elsewhere_and_linked_to()
    {
        using var before = MiniPlans.Train(_mini.Launch(_mini.Plan("pretrain"), "pretrain"));
        var final = before.Checkpoints[^1];
        var file = Path.Combine(_mini.Root, final.Path, "optimizer.safetensors");
        var elsewhere = Path.Combine(_mini.Root, "elsewhere.safetensors");
        File.Move(file, elsewhere);
        File.CreateSymbolicLink(file, elsewhere);
        Assert.True(Manifest.Verify(Path.Combine(_mini.Root, final.Path), final.Digest).Final);
    }

    [Fact]
    public void Modules_that_the_folder_lacks_are_initialised_and_this_is_said()
    {
        var folder = Saved(ScalarType.Float32, withMtp: false);
        using var link = MiniPlans.Train(_mini.Launch(PlanFrom(Published(folder)), "sft"), StopAt(2));
        var note = Assert.Single(link.Reports, r => r.Note is not null).Note.Text;
        Assert.Equal($"{folder} has no weights of the MTP module (model.layers.2): initialised at random.", note);
    }

    [Fact]
    public void After_a_kill_the_stage_goes_on_from_its_own_checkpoint()
    {
        var folder = Saved(ScalarType.BFloat16, withMtp: true);
        var plan = PlanFrom(Published(folder));
        using var whole = MiniPlans.Train(_mini.Launch(plan, "sft", run: "whole"));
        using var first = MiniPlans.Train(_mini.Launch(plan, "sft"), StopAt(4));
        Directory.Delete(folder, recursive: true);
        using var second = MiniPlans.Train(_mini.Launch(plan, "sft", attempt: 2, from: first.Checkpoints[^1]));
        Assert.Equal(whole.Samples.Skip(4).Select(s => s.Loss), second.Samples.Select(s => s.Loss));
        var manifest = Manifest.Verify(Path.Combine(_mini.Root, second.Checkpoints[^1].Path), second.Checkpoints[^1].Digest);
        Assert.Equal(folder, manifest.BeganFrom!.Folder);
    }

    [Theory]
    [InlineData("shard", "The shard model-00002-of-00002.safetensors that")]
    [InlineData("cut", "model-00001-of-00002.safetensors is not a whole safetensors file")]
    [InlineData("tensor", "has no tensor model.norm.weight. Copy the checkpoint again")]
    [InlineData("shape", "tensor model.norm.weight is [17], the model needs [16]")]
    [InlineData("config", "routed_scaling_factor is 2, the pipeline's model has 2.5")]
    [InlineData("gone", "it has no config.json here. Put the folder where the workers see it")]
    public void What_cannot_be_used_is_told_with_file_tensor_and_remedy(string spoilt, string said)
    {
        var folder = Saved(ScalarType.Float32, withMtp: true);
        Spoil(folder, spoilt);
        var refusal = Assert.ThrowsAny<Exception>(() => MiniPlans.Train(_mini.Launch(PlanFrom(Published(folder)), "sft")));
        // No launch mends what is wrong with a file; a folder may be mounted on another node.
        Assert.IsType(spoilt == "gone" ? typeof(RefusedCheckpointException) : typeof(BadInputException), refusal);
        Assert.StartsWith($"The stage cannot begin from {folder}: ", refusal.Message, StringComparison.Ordinal);
        Assert.Contains(said, refusal.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void The_digest_is_that_of_config_and_index_or_of_the_single_files_header()
    {
        var folder = Saved(ScalarType.Float32, withMtp: true);
        byte[] Of(string file) => File.ReadAllBytes(Path.Combine(folder, file));
        Assert.Equal(Sha256([.. Of("config.json"), .. Of("model.safetensors.index.json")]), PublishedWeights.DigestOf(folder));
        File.Delete(Path.Combine(folder, "model.safetensors.index.json"));
        File.Move(Path.Combine(folder, "model-00001-of-00002.safetensors"), Path.Combine(folder, "model.safetensors"));
        var single = Of("model.safetensors");
        Assert.Equal(Sha256([.. Of("config.json"), .. single.AsSpan(8, BitConverter.ToInt32(single))]), PublishedWeights.DigestOf(folder));
        File.WriteAllText(Path.Combine(folder, "manifest.json"), "{}");
        Assert.Equal(Sha256("{}"u8.ToArray()), PublishedWeights.DigestOf(folder));
    }

    [Fact]
    public void A_folder_that_changed_since_the_run_was_submitted_is_refused()
    {
        var folder = Saved(ScalarType.Float32, withMtp: true);
        var digest = PublishedWeights.DigestOf(folder);
        Spoil(folder, "config");
        var refusal = Assert.Throws<BadInputException>(() => MiniPlans.Train(_mini.Launch(PlanFrom(Published(folder, digest)), "sft")));
        Assert.Contains($"and was {digest} when the run was submitted", refusal.Message, StringComparison.Ordinal);
    }

    private static string Sha256(byte[] bytes) => Convert.ToHexStringLower(SHA256.HashData(bytes));

    private static void Spoil(string folder, string how)
    {
        var last = Path.Combine(folder, "model-00002-of-00002.safetensors");
        switch (how)
        {
            case "shard":
                File.Delete(last);
                break;
            case "cut":
                var cut = Path.Combine(folder, "model-00001-of-00002.safetensors");
                File.WriteAllBytes(cut, File.ReadAllBytes(cut)[..^1]);
                break;
            case "config":
                var path = Path.Combine(folder, ConfigJson.FileName);
                File.WriteAllText(path,
                    File.ReadAllText(path)
                        .Replace("\"routed_scaling_factor\": 2.5", "\"routed_scaling_factor\": 2", StringComparison.Ordinal));
                break;
            case "gone":
                Directory.Delete(folder, recursive: true);
                break;
            default:
                using (NewDisposeScope())
                {
                    List<(string Name, Tensor Value)> tensors;
                    using (var read = SafetensorsFile.Open(last))
                    {
                        tensors = [.. read.Names.Where(n => n != WeightShapes.FinalNorm).Select(n => (n, read.Read(n)))];
                    }
                    SafetensorsWriter.Write(last, how == "shape" ? [.. tensors, (WeightShapes.FinalNorm, ones(17))] : tensors);
                    Index(folder);
                }
                break;
        }
    }

    private TrainingPlan PlanFrom(CheckpointRef from, string stage = "sft", double? rate = null)
    {
        var plan = _mini.Plan(stage);
        plan.BeginFrom = from;
        plan.Optimizer.WeightDecay = rate is null ? plan.Optimizer.WeightDecay : 0;
        if (rate is { } all)
        {
            LearningRate?[] rates = [plan.Pretraining?.LearningRate, plan.Sft?.LearningRate, plan.Rl?.LearningRate,
                .. plan.ContextExtension?.Phases.Select(p => p.LearningRate) ?? []];
            foreach (var piece in rates.SelectMany(r => r?.Pieces ?? []))
            {
                piece.To = all;
            }
        }
        if (rate is not null && plan.Pretraining is { } pretraining)
        {
            pretraining.Gamma = new Milestone();
        }
        return plan;
    }

    private static CheckpointRef Published(string folder, string digest = "") => new() { Path = folder, Digest = digest, Published = true };

    /// <summary>As transformers saves it: two shards and an index that lists every tensor.</summary>
    private string Saved(ScalarType type, bool withMtp)
    {
        var folder = Directory.CreateDirectory(Path.Combine(_mini.Root, "published")).FullName;
        var shape = ModelShapes.FromProto(MiniPlans.Model());
        using var scope = NewDisposeScope();
        using var model = new DeepSeekModel(shape, CPU);
        model.Initialise(seed: 99);
        File.WriteAllBytes(Path.Combine(folder, ConfigJson.FileName), ConfigJson.ToBytes(shape));
        (string Name, Tensor Value)[] tensors = [.. model.PublishedTensors()
            .Where(t => withMtp || !t.Name.StartsWith(WeightShapes.Layer(shape.Layers), StringComparison.Ordinal))
            .Select(t => (t.Name, t.Name.EndsWith("bias", StringComparison.Ordinal) ? t.Value : t.Value.to_type(type)))];
        var half = tensors.Length / 2;
        SafetensorsWriter.Write(Path.Combine(folder, "model-00001-of-00002.safetensors"), tensors[..half]);
        SafetensorsWriter.Write(Path.Combine(folder, "model-00002-of-00002.safetensors"), tensors[half..]);
        Index(folder);
        return folder;
    }

    private static void Index(string folder)
    {
        var map = new JsonObject();
        foreach (var shard in Directory.GetFiles(folder, "*.safetensors").Order())
        {
            using var file = SafetensorsFile.Open(shard);
            foreach (var name in file.Names)
            {
                map[name] = Path.GetFileName(shard);
            }
        }
        File.WriteAllText(Path.Combine(folder, "model.safetensors.index.json"), new JsonObject { ["weight_map"] = map }.ToJsonString());
    }

    private static void Same(DeepSeekModel one, DeepSeekModel other)
    {
        using var scope = NewDisposeScope();
        Assert.All(one.PublishedTensors().Zip(other.PublishedTensors()), pair =>
        {
            Assert.Equal(pair.First.Name, pair.Second.Name);
            Assert.True(pair.First.Value.equal(pair.Second.Value).all().item<bool>(), pair.First.Name);
        });
    }

    private static Action<Agent.RecordingRankLink, RankReport> StopAt(long step) => (link, report) =>
    {
        if (report.Sample?.Step == step)
        {
            link.OrderStop("a test ends the first attempt", save: true);
        }
    };
}
