using Xunit;

namespace DeepSeekOps.Worker.Tests.Training;

[Collection(RandomNumbers.OneStream)]
public sealed class FineTuningTests : IDisposable
{
    private readonly MiniPlans _mini = new();

    public void Dispose() => _mini.Dispose();

    [Fact]
    public void A_conversation_of_several_turns_is_refused_in_words_instead_of_passed_over()
    {
        var plan = _mini.Plan("sft");
        plan.Sft.Data = Path.Combine(_mini.Root, "chat.jsonl");
        string Line(params string[] roles) => $$"""{"messages":[{{string.Join(',', roles.Select(r => $$"""{"role":"{{r}}","content":"x"}"""))}}]}""";
        File.WriteAllLines(plan.Sft.Data, [Line("user", "assistant"), Line("user", "assistant", "user", "assistant")]);
        var refused = Assert.Throws<InvalidDataException>(() => MiniPlans.Train(_mini.Launch(plan, "sft")));
        Assert.StartsWith("1 conversations of the data are not one question and its answer", refused.Message, StringComparison.Ordinal);
        Assert.Contains("split longer conversations", refused.Message, StringComparison.Ordinal);
    }
}
