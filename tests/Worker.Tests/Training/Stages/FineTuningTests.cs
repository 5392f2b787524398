using DeepSeekOps.Contracts.Worker.V1;
using DeepSeekOps.Worker.Safetensors;
using DeepSeekOps.Worker.Tests.Agent;
using Xunit;
using static TorchSharp.torch;

namespace DeepSeekOps.Worker.Tests.Training.Stages;

[Collection(RandomNumbers.OneStream)]
public sealed class FineTuningTests : IDisposable
{
    private readonly MiniPlans _mini = new();

    public void Dispose() => _mini.Dispose();

    [Fact]
    public void A_conversation_of_several_turns_is_learned_turn_by_turn()
    {
        var plan = _mini.Plan("sft");
        plan.Sft.Data = Path.Combine(_mini.Root, "chat.jsonl");
        string Line(params string[] roles)
        {
            var messages = roles.Select(r => $$"""{"role":"{{r}}","content":"x"}""");
            return $$"""{"messages":[{{string.Join(',', messages)}}]}""";
        }

        File.WriteAllLines(plan.Sft.Data, [Line("user", "assistant"), Line("system", "user", "assistant", "user", "assistant")]);
        (plan.Sft.Instances, plan.Sft.BatchSize, plan.Sft.Epochs) = (2, 2, 1);
        using var link = MiniPlans.Train(_mini.Launch(plan, "sft"));
        Assert.Equal(6, Assert.Single(link.Samples).Extra["answer_tokens"]); // x and its end, three times
    }

    [Fact]
    public void Data_in_which_nobody_is_answered_is_refused_in_words()
    {
        var plan = _mini.Plan("sft");
        plan.Sft.Data = Path.Combine(_mini.Root, "texts.jsonl");
        File.WriteAllLines(plan.Sft.Data,
            ["""{"text":"x"}""", """{"messages":[{"role":"assistant","content":"x"},{"role":"user","content":"x"}]}"""]);
        var refused = Assert.Throws<InvalidDataException>(() => MiniPlans.Train(_mini.Launch(plan, "sft")));
        Assert.StartsWith("The data has no conversations to fine-tune on", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void The_mtp_module_learns_on_and_its_guesses_are_kept()
    {
        using var link = Tune(lambda: 0.3);
        Assert.All(link.Samples, s => Assert.True(s.Extra["mtp_loss"] >= 0));
        Assert.Equal(1, Assert.Single(link.Evaluations, e => e.Name == "mtp_guesses_kept").Value);
    }

    [Fact]
    public void Without_lambda_the_mtp_module_stays_as_it_was()
    {
        using var link = Tune(lambda: 0, steps: 4, every: 2);
        using var early = Open(link.Checkpoints[0]);
        using var late = Open(link.Checkpoints[^1]);
        Assert.All(link.Samples, s => Assert.False(s.Extra.ContainsKey("mtp_loss")));
        Assert.True(Same(early, late, "model.layers.2.eh_proj.weight"));
        Assert.False(Same(early, late, "model.layers.1.self_attn.o_proj.weight"));
    }

    private RecordingRankLink Tune(double lambda, int steps = 60, int every = 20)
    {
        var plan = _mini.Plan("sft", every);
        plan.Data = new DataConfig { Source = _mini.Questions("a"), Tokenizer = "byte", Heldout = 2 };
        (plan.Sft.Instances, plan.Sft.Epochs, plan.Sft.BatchSize, plan.Sft.Lambda) = (8, steps, 8, lambda);
        plan.Sft.LearningRate.Pieces[0].To = 1e-2;
        return MiniPlans.Train(_mini.Launch(plan, "sft"));
    }

    private SafetensorsFolder Open(CheckpointReport checkpoint) =>
        new(WeightList.Read(Path.Combine(_mini.Root, checkpoint.Path)), new Dictionary<string, WeightScale>());

    private static bool Same(SafetensorsFolder one, SafetensorsFolder other, string name)
    {
        using var scope = NewDisposeScope();
        return one.Read(name).equal(other.Read(name)).all().item<bool>();
    }
}
