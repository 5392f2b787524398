using CsCheck;
using DeepSeekOps.Contracts.Worker.V1;
using DeepSeekOps.Worker.Data;
using DeepSeekOps.Worker.Tests.Agent;
using DeepSeekOps.Worker.Tests.Parallel;
using DeepSeekOps.Worker.Training.Learning;
using DeepSeekOps.Worker.Training.Stages;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace DeepSeekOps.Worker.Tests.Training.Stages;

/// <summary>What has nothing to learn adds nothing: 0, not 0/0.</summary>
[Collection(RandomNumbers.OneStream)]
public sealed class NothingToLearnTests : IDisposable
{
    private readonly MiniPlans _mini = new();

    public void Dispose() => _mini.Dispose();

    [Fact]
    public void An_example_that_is_longer_than_its_row_adds_nothing_and_is_told_once()
    {
        var plan = _mini.Plan("sft");
        (plan.Sft.Instances, plan.Sft.Epochs, plan.Sft.SequenceLength, plan.Sft.BatchSize, plan.Sft.Lambda) = (8, 2, 24, 1, 0.3);
        plan.Sft.Data = Path.Combine(_mini.Root, "long.jsonl");
        File.WriteAllLines(plan.Sft.Data, Enumerable.Range(0, 8).Select(i =>
            $$"""{"question":"{{(i == 7 ? new string('x', 100) : "leaf")}}","answer":"yes"}"""));
        using var link = MiniPlans.Train(_mini.Launch(plan, "sft"));

        Assert.True(link.Checkpoints[^1].Final);
        Assert.Equal(16, link.Samples.Count);
        Assert.All(link.Samples,
            s => Assert.True(double.IsFinite(s.Loss) && double.IsFinite(s.GradNorm), $"step {s.Step}: {s.Loss}, {s.GradNorm}"));
        Assert.Equal(2, link.Samples.Count(s => s.GradNorm == 0 && s.Extra["answer_tokens"] == 0));
        Assert.All(link.Samples.Zip(link.Samples.Skip(1)).Where(pair => pair.Second.Extra["answer_tokens"] == 0),
            pair => Assert.Equal(pair.First.Loss, pair.Second.Loss));
        string[] notes = [.. link.Reports.Where(r => r.Note is not null).Select(r => r.Note.Text)];
        Assert.Single(notes, n => n.StartsWith("An example of 107 tokens is longer than its row of 24", StringComparison.Ordinal));
        Assert.Single(notes,
            n => n.StartsWith("2 of 16 examples of this launch were longer than their row of 24 tokens", StringComparison.Ordinal));
    }

    [Fact]
    public void In_a_gang_the_first_rank_alone_tells_what_all_of_them_counted()
    {
        RecordingRankLink[] links = [new(), new()];
        using var ranks = new ThreadRanks(2);
        ranks.Run((rank, mesh) =>
        {
            var context = MiniPlans.Context(_mini.Plan("sft"), links[rank], mesh, rank, ranks: 2);
            var examples = new LongExamples(context, sequenceLength: 24);
            var own = PackedInstances.Pack([], 24, pad: 0);
            examples.Take(rank == 0 ? own with { Instances = 3, Cut = [30] } : own with { Instances = 2, Cut = [40, 50], Unlearned = 1 });
            examples.Sum();
            context.Tell("all of them see this");
            return rank;
        });
        Assert.Equal(
            [
                "An example of 30 tokens is longer than its row of 24: it is cut there. Further ones are counted at the stage's end. Set "
                    + "sequenceLength higher, or shorten them.",
                "3 of 5 examples of this launch were longer than their row of 24 tokens (the longest has 50) and were cut; 1 had no answer "
                    + "left to learn, and added nothing.",
                "all of them see this",
            ],
            links[0].Reports.Where(r => r.Note is not null).Select(r => r.Note.Text));
        Assert.DoesNotContain(links[1].Reports, r => r.Note is not null);
        Array.ForEach(links, link => link.Dispose());
    }

    [Fact]
    public void A_batch_without_any_answer_leaves_weights_and_moments_as_they_are()
    {
        var plan = _mini.Plan("sft", every: 1);
        (plan.Sft.Instances, plan.Sft.Epochs, plan.Sft.SequenceLength, plan.Sft.BatchSize) = (2, 1, 24, 1);
        plan.Sft.Data = Path.Combine(_mini.Root, "long.jsonl");
        File.WriteAllLines(plan.Sft.Data, Enumerable.Repeat($$"""{"question":"{{new string('x', 100)}}","answer":"yes"}""", 2));
        using var link = MiniPlans.Train(_mini.Launch(plan, "sft"));
        byte[][] Files(string name) => [.. link.Checkpoints.Select(c => File.ReadAllBytes(Path.Combine(_mini.Root, c.Path, name)))];
        Assert.All((string[])["model.safetensors", "optimizer.safetensors"],
            name => Assert.Single(Files(name).Select(Convert.ToHexString).Distinct()));
    }

    [Fact]
    public void The_mean_over_learned_places_is_that_of_libtorch_and_0_where_there_is_none() =>
        Gen.Select(Gen.Int[1, 4], Gen.Int[1, 6], Gen.Int[0, 100], Gen.Int[0, 1000]).Sample((rows, length, percent, seed) =>
        {
            using var scope = NewDisposeScope();
            random.manual_seed(seed);
            var logits = randn([rows, length, 11]).requires_grad_();
            var labels = randint(0, 11, [rows, length], dtype: int64)
                .masked_fill(rand([rows, length]) * 100 < percent, ChatTemplate.Ignored);
            var loss = Losses.CrossEntropy(logits, labels);
            loss.backward();
            Assert.True(logits.grad!.isfinite().all().item<bool>());
            bool any = (labels != ChatTemplate.Ignored).any().item<bool>();
            var expected = any
                ? nn.functional.cross_entropy(logits.reshape(-1, 11), labels.reshape(-1), ignore_index: ChatTemplate.Ignored).item<float>()
                : 0;
            Assert.Equal(expected, loss.item<float>(), 1e-6);
            Assert.True(any || logits.grad.abs().max().item<float>() == 0);
        }, iter: 200);

    [Fact]
    public void What_is_not_said_spoils_no_policy_loss_even_where_its_ratio_overflows()
    {
        using var scope = NewDisposeScope();
        var policy = tensor(new float[] { -1, 200, -2, -300 }).reshape(2, 2).requires_grad_();
        var old = tensor(new float[] { -1, -200, -2, 300 }).reshape(2, 2);
        var reference = tensor(new float[] { -1, -300, -2, 900 }).reshape(2, 2);
        var said = tensor(new float[] { 1, 0, 1, 0 }).reshape(2, 2);
        var (loss, kl) = Losses.Grpo(policy, old, reference, tensor(new float[] { 1, -1 }), said, clip: 0.2, beta: 0.1);
        loss.backward();
        Assert.True(double.IsFinite(loss.ToDouble()) && double.IsFinite(kl.ToDouble()));
        Assert.True(policy.grad!.isfinite().all().item<bool>());
    }

    [Fact]
    public void Outputs_without_a_token_and_groups_that_are_all_equal_give_a_loss_of_0()
    {
        using var scope = NewDisposeScope();
        var none = zeros([2, 3]);
        var (loss, kl) =
            Losses.Grpo(none, none, none, tensor(Losses.GroupAdvantage([1, 1], 2), dtype: ScalarType.Float32), none, clip: 0.2, beta: 0.1);
        Assert.Equal((0.0, 0.0), (Math.Abs(loss.ToDouble()), kl.ToDouble()));
    }

    [Fact]
    public void A_corpus_that_is_shorter_than_a_row_fills_it_by_coming_round_again()
    {
        var path = Path.Combine(_mini.Root, "short.txt");
        File.WriteAllText(path, "a");
        var documents = new PackedDocuments(FileData.Open([path], 1, 0), TokenizerFiles.Open("byte"), seed: 1, fimRate: 0);
        Assert.Equal(2 * 65, documents.Next(2, 64).Length);
    }
}
