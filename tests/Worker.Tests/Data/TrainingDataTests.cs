using System.Text.RegularExpressions;
using DeepSeekOps.Contracts.Worker.V1;
using DeepSeekOps.Worker.Data;
using Xunit;

namespace DeepSeekOps.Worker.Tests.Data;

public sealed partial class TrainingDataTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("dsops-data-");

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact]
    public void A_held_out_wording_of_a_sum_is_never_trained_on_and_the_sum_is()
    {
        var data = new BuiltinData(seed: 1, heldOut: 200);
        var heldOut = Enumerable.Range(0, 200).Select(data.HeldOutProblem).ToList();
        var wordings = heldOut.Select(p => Wording(p.Question)).ToHashSet();
        var trained = Enumerable.Range(0, 20_000).Select(i => data.TrainingProblem(i)).ToList();
        Assert.DoesNotContain(trained, p => wordings.Contains(Wording(p.Question)));
        var read = Enumerable.Range(0, 5_000).SelectMany(i => data.Document(i).Split('\n'))
            .Where(line => line.Contains('?', StringComparison.Ordinal));
        Assert.DoesNotContain(read, line => wordings.Contains(Wording(line[..(line.IndexOf('?', StringComparison.Ordinal) + 1)])));
        Assert.Subset(trained.Select(p => p.Solution).ToHashSet(), heldOut.Select(p => p.Solution).ToHashSet());
        Assert.True(wordings.Count > 40);
    }

    [Fact]
    public void Conversations_of_several_turns_are_fine_tuned_on_and_never_become_problems()
    {
        string Line(params string[] roles)
        {
            var messages = roles.Select((r, i) => $$"""{"role":"{{r}}","content":"{{i}}"}""");
            return $$"""{"messages":[{{string.Join(',', messages)}}]}""";
        }

        string[] lines =
            [Line("user", "assistant"), Line("user", "assistant", "user", "assistant"), Line("system", "user", "assistant"),
                Line("assistant", "user")];
        var data = FileData.Open([Write("chat.jsonl", string.Join('\n', lines))], seed: 1, heldOut: 0);
        Assert.Equal((4L, 1L, 3L), (data.DocumentCount, data.ProblemCount, data.ConversationCount));
        string Words(long index) => string.Join(' ', data.TrainingConversation(index).Turns.Select(t => $"{t.By}{t.Text}"));
        Assert.Equal(["User0 Assistant1", "User0 Assistant1 User2 Assistant3", "System0 User1 Assistant2", "User0 Assistant1"],
            Enumerable.Range(0, 4).Select(i => Words(i)));
    }

    [Fact]
    public void Only_what_the_assistant_says_is_learned_and_the_system_prompt_stands_above_all()
    {
        var tokenizer = new ByteTokenizer();
        var special = tokenizer.Special;
        string Message(string role, char content) => $$"""{"role":"{{role}}","content":"{{content}}"}""";
        string[] messages = [Message("user", 'a'), Message("assistant", 'b'), Message("system", 's'), Message("user", 'c'),
            Message("assistant", 'd')];
        var talk = Conversation.FromJson($$"""{"messages":[{{string.Join(',', messages)}}]}""");
        var made = ChatTemplate.Render(talk, tokenizer);
        Assert.Equal(
            [special.Bos, 's', special.User, 'a', special.Assistant, 'b', special.Eos, special.User, 'c', special.Assistant, 'd',
                special.Eos], made.Ids);
        Assert.Equal([5, 6, 10, 11], Enumerable.Range(0, made.Ids.Length).Where(i => made.Learned[i]));
    }

    [Fact]
    public void Each_seed_grows_a_corpus_of_its_own_and_always_the_same_one()
    {
        Assert.Equal(new BuiltinData(5, 0).Document(123_456_789), new BuiltinData(5, 0).Document(123_456_789));
        Assert.NotEqual(
            Enumerable.Range(0, 5).Select(i => new BuiltinData(5, 0).Document(i)),
            Enumerable.Range(0, 5).Select(i => new BuiltinData(6, 0).Document(i)));
    }

    [Fact]
    public void A_careful_solution_is_right_and_a_hasty_one_seldom()
    {
        var data = new BuiltinData(seed: 2, heldOut: 50);
        var problems = Enumerable.Range(0, 1000).Select(i => data.TrainingProblem(i)).ToList();
        Assert.All(problems, p => Assert.True(Verifier.IsWellFormed(p.Solution)));
        var hasty = problems.Where(p => p.Solution.StartsWith('\\')).ToList();
        bool IsRight(Problem problem) => Verifier.IsRight(VerifierRule.Arithmetic, problem.Solution, problem.Answer);
        Assert.All(problems.Except(hasty), p => Assert.True(IsRight(p)));
        Assert.InRange(hasty.Count, 350, 450);
        Assert.InRange(hasty.Count(IsRight) / (double)hasty.Count, 0.1, 0.4);
        Assert.All(Enumerable.Range(0, 50).Select(data.HeldOutProblem), p => Assert.True(IsRight(p)));
    }

    [Theory]
    [InlineData("3+4=\\boxed{7}", true)]
    [InlineData("\\boxed{ 7.0 }", true)]
    [InlineData("\\boxed{7} no, \\boxed{8}", false)]
    [InlineData("7", false)]
    [InlineData("\\boxed{7", false)]
    [InlineData("\\boxed{}", false)]
    public void The_arithmetic_verifier_reads_the_number_in_the_last_box(string output, bool right) =>
        Assert.Equal(right, Verifier.IsRight(VerifierRule.Arithmetic, output, "7"));

    [Fact]
    public void The_needle_stands_in_its_haystack_at_the_depth_that_was_asked_for()
    {
        foreach (var depth in new[] { 0.0, 0.5, 1.0 })
        {
            var random = new SeededRandom(1, "needle", 0);
            var needle = ShortTexts.Needle(ref random, 1000, depth);
            var at = needle.Prompt.IndexOf($"The code is {needle.Secret}", StringComparison.Ordinal);
            Assert.InRange(needle.Prompt.Length, 850, 1000);
            Assert.InRange(at / 1000.0, depth - 0.12, depth + 0.12);
        }
    }

    [Theory]
    [InlineData(128, 85)]
    [InlineData(512, 512)]
    public void Texts_with_a_needle_make_use_of_the_context_and_fit_into_it(int context, int most)
    {
        var data = (BuiltinData)new BuiltinData(seed: 1, heldOut: 0).ForContext(context);
        var needles = Enumerable.Range(0, 2000).Select(i => data.Document(i))
            .Where(d => d.Split(" So the code is ").Length == 2).Select(d => d.Length).ToList();
        Assert.InRange(needles.Count, 330, 480);
        Assert.InRange(needles.Max(), most * 0.8, most);
        Assert.All(
            Enumerable.Range(0, 200).Select(i => data.Document(i)).Where(d => d.Contains("So the code is", StringComparison.Ordinal)), d =>
            Assert.Equal(d[d.IndexOf("The code is ", StringComparison.Ordinal) + 12], d[^2]));
    }

    [Fact]
    public void An_epoch_of_files_gives_each_document_once_in_an_order_of_its_own()
    {
        var lines = Enumerable.Range(0, 40).Select(i => $$"""{"question":"q{{i}}","answer":"a{{i}}"}""").ToArray();
        var data = FileData.Open([Write("data.jsonl", string.Join('\n', lines))], seed: 1, heldOut: 5);
        var first = Enumerable.Range(0, 40).Select(i => data.Document(i)).ToList();
        var second = Enumerable.Range(40, 40).Select(i => data.Document(i)).ToList();
        Assert.Equal(40, first.Distinct().Count());
        Assert.Equal(first.Order(), second.Order());
        Assert.NotEqual(first, second);
        var heldOut = Enumerable.Range(0, 5).Select(i => data.HeldOutProblem(i).Question);
        Assert.Empty(heldOut.Intersect(Enumerable.Range(0, 70).Select(i => data.TrainingProblem(i).Question)));
    }

    [Fact]
    public void A_long_text_is_cut_at_blank_lines_and_loses_nothing()
    {
        var text = string.Join("\n\n", Enumerable.Range(0, 2000).Select(i => $"Paragraph {i}."));
        var data = FileData.Open([Write("book.txt", text)], seed: 1, heldOut: 0);
        var pieces = Enumerable.Range(0, (int)data.DocumentCount!).Select(i => data.Document(i)).ToList();
        Assert.InRange(pieces.Count, 3, 5);
        Assert.Equal(2000, pieces.Sum(p => p.Split("Paragraph").Length - 1));
    }

    [Theory]
    [InlineData("missing.txt", null, "is not there")]
    [InlineData("data.csv", "a,b", "ends in .txt or .jsonl")]
    [InlineData("data.jsonl", "{\"text\":\"a\"}\nnonsense", "line 2")]
    [InlineData("data.jsonl", "{\"words\":\"a\"}", "none of the keys")]
    [InlineData("empty.txt", "", "no document")]
    public void Bad_data_is_refused_with_one_clear_message(string name, string? content, string message)
    {
        var path = content is null ? Path.Combine(_folder.FullName, name) : Write(name, content);
        var config = new DataConfig { Source = path };
        var refused = Assert.ThrowsAny<IOException>(() => Open(config));
        Assert.Contains(message, refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_hugging_face_tokenizer_reads_and_writes_text()
    {
        var path = Write("tokenizer.json", """
            {"added_tokens":[{"id":8,"content":"<|endoftext|>","special":true}],
             "pre_tokenizer":{"type":"ByteLevel","add_prefix_space":false},
             "model":{"type":"BPE","vocab":{"a":0,"b":1,"ab":2,"Ġ":3,"Ġab":4,"c":5,"abc":6,"Ã":7},"merges":["a b","Ġ ab","ab c"]}}
            """);
        var tokenizer = TokenizerFiles.Open(path);
        Assert.Equal([6, 4], tokenizer.Encode("abc ab"));
        Assert.Equal("abc ab", tokenizer.Decode([tokenizer.Special.Bos, 6, 4, tokenizer.Special.Eos]));
        Assert.Equal(8, tokenizer.Special.Eos);
        Assert.True(tokenizer.VocabSize > tokenizer.Special.FimEnd);
    }

    private static ITrainingData Open(DataConfig config)
    {
        try
        {
            return TrainingData.Open(config, seed: 1);
        }
        catch (BadInputException e)
        {
            throw new IOException(e.Message, e);
        }
    }

    private string Write(string name, string content)
    {
        var path = Path.Combine(_folder.FullName, name);
        File.WriteAllText(path, content);
        return path;
    }

    // What is asked and how, whoever has whatever.
    private static string Wording(string question) => question.EndsWith("=?", StringComparison.Ordinal)
        ? question
        : new[] { "gets", "loses", "sold", ": how many" }.First(w => question.Contains(w, StringComparison.Ordinal))
            + string.Join(' ', Numbers().Matches(question).Select(m => m.Value));

    [GeneratedRegex("[0-9]+")]
    private static partial Regex Numbers();
}
