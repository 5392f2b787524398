using DeepSeekOps.Contracts.Worker.V1;
using DeepSeekOps.Worker.Data;
using Xunit;

namespace DeepSeekOps.Worker.Tests.Data;

public sealed class TrainingDataTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("dsops-data-");

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact]
    public void Held_out_problems_are_never_trained_on_in_any_wording()
    {
        var data = new BuiltinData(seed: 1, heldOut: 200);
        var sums = Enumerable.Range(0, 200).Select(i => Sum(data.HeldOutProblem(i))).ToHashSet();
        Assert.DoesNotContain(Enumerable.Range(0, 20_000), i => sums.Contains(Sum(data.TrainingProblem(i))));
        var corpus = string.Join('\n', Enumerable.Range(0, 5_000).Select(i => data.Document(i)));
        Assert.DoesNotContain(sums, sum => corpus.Contains($"\n{sum}=", StringComparison.Ordinal));
        Assert.True(sums.Count > 40);
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
    public void Every_builtin_solution_is_right_and_well_formed()
    {
        var data = new BuiltinData(seed: 2, heldOut: 50);
        foreach (var problem in Enumerable.Range(0, 500).Select(i => data.TrainingProblem(i)))
        {
            Assert.True(Verifier.IsRight(VerifierRule.Arithmetic, problem.Solution, problem.Answer));
            Assert.True(Verifier.IsWellFormed(problem.Solution));
        }
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
            var at = needle.Prompt.IndexOf(needle.Secret, StringComparison.Ordinal);
            Assert.InRange(needle.Prompt.Length, 850, 1000);
            Assert.InRange(at / 1000.0, depth - 0.12, depth + 0.12);
        }
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
    [InlineData("data.csv", "a,b", ".txt and .jsonl are read")]
    [InlineData("data.jsonl", "{\"text\":\"a\"}\nnonsense", "line 2")]
    [InlineData("data.jsonl", "{\"words\":\"a\"}", "needs \"text\"")]
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
            {"added_tokens":[{"id":8,"content":"<|endoftext|>"}],
             "pre_tokenizer":{"type":"ByteLevel","add_prefix_space":false},
             "model":{"type":"BPE","vocab":{"a":0,"b":1,"ab":2,"Ġ":3,"Ġab":4,"c":5,"abc":6,"Ã":7},"merges":["a b","Ġ ab","ab c"]}}
            """);
        var tokenizer = Tokenizers.Open(path);
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
        catch (InvalidDataException e)
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

    private static string Sum(Problem problem) => problem.Solution[..problem.Solution.IndexOf('=', StringComparison.Ordinal)];
}
