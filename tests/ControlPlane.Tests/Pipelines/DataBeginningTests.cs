using DeepSeekOps.ControlPlane.Pipelines;
using Xunit;

namespace DeepSeekOps.ControlPlane.Tests.Pipelines;

public sealed class DataBeginningTests : IDisposable
{
    private readonly DirectoryInfo folder = Directory.CreateTempSubdirectory("dsops-data-");

    public void Dispose() => folder.Delete(recursive: true);

    [Theory]
    [InlineData("source: x.txt", "", "data.source", "is empty")]
    [InlineData("source: x.jsonl", "\n{\"text\": ", "data.source", "line 2: it is not a JSON object")]
    [InlineData("source: x.jsonl", "{\"texxt\": \"x\"}\n", "data.source", "line 1: it has none of the keys")]
    [InlineData("tokenizer: x.json", "{\"model\": {}}", "data.tokenizer", "is not a byte-level BPE tokenizer.json")]
    [InlineData("tokenizer: x.json", "{", "data.tokenizer", "it is not JSON")]
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
    [InlineData("source: x.jsonl", "{\"text\": \"a\"}\n", "sft", "data.source", "needs conversations")]
    [InlineData("source: x.txt", "a\n", "sft", "data.source", "needs conversations")]
    [InlineData("source: x.jsonl", "{\"messages\": [{\"role\": \"user\", \"content\": \"a\"}]}", "sft", "data.source",
        "needs conversations")]
    public void A_stage_that_learns_answers_is_told_that_its_data_has_none(string data, string content, string kind, string field,
        string said)
    {
        File.WriteAllText(Path.Combine(folder.FullName, data.Split(' ')[1]), content);
        string stage = $"\n  - {{name: more, kind: {kind}, instances: 8, sequenceLength: 64, batchSize: 2, learningRate: 1e-3}}";
        Told(data, field, said, stage);
    }

    [Theory]
    [InlineData("source: x.txt", "data.source", "is a named pipe, not a file")]
    [InlineData("source: x.jsonl", "data.source", "is a named pipe, not a file")]
    [InlineData("tokenizer: x.json", "data.tokenizer", "is a named pipe, not a file")]
    public void A_named_pipe_is_told_and_never_opened(string data, string field, string said)
    {
        string path = Path.Combine(folder.FullName, data.Split(' ')[1]);
        using (var made = System.Diagnostics.Process.Start("mkfifo", path))
        {
            made.WaitForExit();
        }

        Told(data, field, said);
    }

    [Fact]
    public void A_disk_that_fails_is_told_with_the_file_and_in_a_whole_sentence()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "A file that gives an input/output error is wanted.");
        string path = Path.Combine(folder.FullName, "x.txt");
        File.CreateSymbolicLink(path, "/proc/self/mem");
        Told("source: x.txt", "data.source", $"'{path}' cannot be read: Input/output error.");
    }

    [Fact]
    public void A_folder_with_a_comma_in_its_name_is_no_list_of_two()
    {
        Directory.CreateDirectory(Path.Combine(folder.FullName, "a, b"));
        File.WriteAllText(Path.Combine(folder.FullName, "a, b", "x.txt"), "text");
        var parse =
            PipelineText.Parse($"{PipelineTextTests.OneStage}\ndata: {{source: x.txt}}", Path.Combine(folder.FullName, "a, b"),
                File.Exists);
        Assert.Empty(parse.Errors.Select(e => e.ToString()));
        Assert.Equal([Path.Combine(folder.FullName, "a, b", "x.txt")], DeepSeekOps.Recipes.Data.DataSource.Split(parse.Spec!.Data.Source));
        var again = PipelineText.Parse(PipelineText.ToYaml(parse.Spec), null, File.Exists);
        Assert.Equal(parse.Spec.Data.Source, again.Spec!.Data.Source);
    }

    [Fact]
    public void A_device_or_a_folder_in_the_place_of_a_file_is_told()
    {
        File.CreateSymbolicLink(Path.Combine(folder.FullName, "zero.json"), "/dev/zero");
        Told("tokenizer: zero.json", "data.tokenizer", "is a device, not a file");
        Directory.CreateDirectory(Path.Combine(folder.FullName, "f.txt"));
        string text = $"{PipelineTextTests.OneStage}\ndata: {{source: f.txt}}";
        var problem = Assert.Single(PipelineText.Parse(text, folder.FullName, _ => true).Errors);
        Assert.Contains("is a folder without manifest.json", problem.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(81, true)]
    [InlineData(82, false)]
    public void An_output_has_to_fit_into_the_context_with_its_question(int maxNewTokens, bool fits)
    {
        string text = $"{PipelineTextTests.OneStage}\n  - {{name: rl, kind: rl, steps: 10, questions: 8, groupSize: 4, maxNewTokens: "
            + $"{maxNewTokens}, learningRate: 1e-4}}";
        var problems = PipelineText.Parse(text).Errors.Where(p => p.Field.EndsWith("maxNewTokens", StringComparison.Ordinal));
        Assert.Equal(fits, !problems.Any());
    }

    private void Told(string data, string field, string said, string stages = "")
    {
        string text = $"{PipelineTextTests.OneStage}{stages}\ndata: {{{data}}}";
        var problem = Assert.Single(PipelineText.Parse(text, folder.FullName, File.Exists).Errors, p => p.Field == field);
        Assert.Contains(said, problem.Message, StringComparison.Ordinal);
        Assert.NotEqual("", problem.Fix);
    }
}
