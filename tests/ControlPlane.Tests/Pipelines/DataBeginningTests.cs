using DeepSeekOps.ControlPlane.Pipelines;
using Xunit;

namespace DeepSeekOps.ControlPlane.Tests.Pipelines;

public sealed class DataBeginningTests : IDisposable
{
    private readonly DirectoryInfo folder = Directory.CreateTempSubdirectory("dsops-data-");

    public void Dispose() => folder.Delete(recursive: true);

    [Theory]
    [InlineData("source: x.txt", "", "data.source", "is empty")]
    [InlineData("source: x.jsonl", "\n{\"text\": ", "data.source", "line 2, is no JSON")]
    [InlineData("source: x.jsonl", "{\"texxt\": \"x\"}\n", "data.source", "line 1, has none of the keys")]
    [InlineData("tokenizer: x.json", "{\"model\": {}}", "data.tokenizer", "not a byte-level BPE tokenizer")]
    [InlineData("tokenizer: x.json", "{", "data.tokenizer", "is no JSON")]
    public void A_slip_at_the_beginning_of_a_file_is_told_at_submission(string data, string content, string field, string said)
    {
        File.WriteAllText(Path.Combine(folder.FullName, data.Split(' ')[1]), content);
        Told(data, field, said);
    }

    [Fact]
    public void Text_in_another_encoding_is_told_with_its_line()
    {
        File.WriteAllBytes(Path.Combine(folder.FullName, "x.txt"), [.. "good\nb"u8, 0xE9, .. "d\n"u8]);
        Told("source: x.txt", "data.source", "line 2, is not UTF-8");
    }

    [Theory]
    [InlineData(81, true)]
    [InlineData(82, false)]
    public void An_output_has_to_fit_into_the_context_with_its_question(int maxNewTokens, bool fits)
    {
        string text = $"{PipelineTextTests.OneStage}\n  - {{name: rl, kind: rl, steps: 10, questions: 8, groupSize: 4, maxNewTokens: {maxNewTokens}, learningRate: 1e-4}}";
        var problems = PipelineText.Parse(text).Errors.Where(p => p.Field.EndsWith("maxNewTokens", StringComparison.Ordinal));
        Assert.Equal(fits, !problems.Any());
    }

    private void Told(string data, string field, string said)
    {
        string text = $"{PipelineTextTests.OneStage}\ndata: {{{data}}}";
        var problem = Assert.Single(PipelineText.Parse(text, folder.FullName, File.Exists).Errors, p => p.Field == field);
        Assert.Contains(said, problem.Message, StringComparison.Ordinal);
        Assert.NotEqual("", problem.Fix);
    }
}
