using DeepSeekOps.Decisions.Exits;
using DeepSeekOps.Decisions.Health;
using DeepSeekOps.Worker.Agent;
using DeepSeekOps.Worker.Data;
using Xunit;

namespace DeepSeekOps.Worker.Tests.Data;

/// <summary>What the rank says of data it cannot train on: file, line and fix.</summary>
public sealed class BadInputTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("dsops-bad-input-");

    public void Dispose() => _folder.Delete(recursive: true);

    [Theory]
    [InlineData("a.txt", "", "empty")]
    [InlineData("a.jsonl", "{\"text\": \"x\"}\n{\"text\": ", "line 2: it is not a JSON object")]
    [InlineData("a.jsonl", "{\"texxt\": \"x\"}", "line 1: it has none of the keys that are read")]
    public void Bad_data_names_its_file_and_line(string name, string text, string said)
    {
        var path = Write(name, System.Text.Encoding.UTF8.GetBytes(text));
        var wrong = Assert.Throws<BadInputException>(() => FileData.Open([path], 1, 0));
        Assert.Contains(path, wrong.Message, StringComparison.Ordinal);
        Assert.Contains(said, wrong.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Text_that_is_not_utf8_is_refused_with_its_line()
    {
        var path = Write("a.txt", [.. "good\nb"u8, 0xE9, .. "d\n"u8]);
        var wrong = Assert.Throws<BadInputException>(() => FileData.Open([path], 1, 0));
        Assert.Contains("line 2, is not UTF-8", wrong.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("{}")]
    [InlineData("{\"model\": {\"vocab\": {}}}")]
    [InlineData("[1]")]
    public void A_tokenizer_file_that_is_none_is_refused_with_its_name_and_the_fix(string text)
    {
        var path = Write("tokenizer.json", System.Text.Encoding.UTF8.GetBytes(text));
        var wrong = Assert.Throws<BadInputException>(() => TokenizerFiles.Open(path));
        Assert.Contains(path, wrong.Message, StringComparison.Ordinal);
        Assert.Contains("'byte'", wrong.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Worker_and_control_plane_mean_the_same_by_exit_codes()
    {
        Assert.Equal((RankEntry.BadInput, RankEntry.NoCheckpoint, RankEntry.NotFinite, RankEntry.AgentGone),
            (ExitCodes.BadInput, ExitCodes.NoCheckpoint, ExitCodes.NotFinite, ExitCodes.AgentGone));
        // An agent alone launches again what the dictionary would, as far as a code tells.
        int[] hopeless = [.. Enumerable.Range(1, 255).Where(code =>
            ExitScan.Judge([], code) is { Sure: true, Meaning.Retry: Retry.Never or Retry.OlderCheckpoint })];
        Assert.Equal(hopeless, AlonePlan.NotMendedByLaunching.Order());
    }

    [Fact]
    public void No_built_in_question_is_longer_than_the_check_of_a_pipeline_takes_it_to_be()
    {
        var draw = new SeededRandom(0, "questions", 0);
        var longest = 0;
        for (var i = 0; i < 5000; i++)
        {
            var question = ArithmeticProblems.Draw(ref draw, heldOut: i % 2 == 0).Question;
            longest = Math.Max(longest, ChatTemplate.Prompt(question, new ByteTokenizer()).Length);
        }
        Assert.Equal(DeepSeekOps.Decisions.Recipes.BuiltinData.LongestPrompt, longest);
    }

    private string Write(string name, byte[] bytes)
    {
        var path = Path.Combine(_folder.FullName, name);
        File.WriteAllBytes(path, bytes);
        return path;
    }
}
