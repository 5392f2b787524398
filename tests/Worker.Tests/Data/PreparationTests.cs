using System.Text;
using CsCheck;
using DeepSeekOps.Worker.Cli;
using DeepSeekOps.Worker.Data;
using DeepSeekOps.Worker.Data.Preparing;
using Parquet;
using Parquet.Schema;
using Xunit;

namespace DeepSeekOps.Worker.Tests.Data;

/// <summary>How sets are made, gone on with, and told apart from what they are not. Some 3 s.</summary>
public sealed class PreparationTests : IDisposable
{
    private readonly PreparedSets _sets = new();

    public void Dispose() => _sets.Dispose();

    /// <summary>Each part opens its file and a buffer, so tiny parts are of small files.</summary>
    [Theory]
    [InlineData(50, 60, 200, 9000)]
    [InlineData(5, 2, 1, 40)]
    public void Parts_of_any_size_have_each_document_once_and_in_order(int lineCount, int paragraphs, int least, int most)
    {
        var (lines, texts) = (_sets.Lines("a.jsonl", lineCount), _sets.Texts("b.txt", paragraphs));
        string[] Whole(string path) => [.. PartTexts.Read(Planned(path), 0, 1L << 40).Select(t => t.Text)];
        var (allLines, allTexts) = (Whole(lines), string.Concat(Whole(texts)));
        Gen.Int[least, most].Sample(bytes =>
        {
            IEnumerable<PartText> Parts(string path) => Enumerable.Range(0, (int)((Planned(path).Bytes + bytes - 1) / bytes))
                .SelectMany(part => PartTexts.Read(Planned(path), part, bytes));
            Assert.Equal(allLines, Parts(lines).Select(t => t.Text));
            // A text may be cut at other blank lines, which are no part of it.
            Assert.Equal(Bare(allTexts), Bare(string.Concat(Parts(texts).Select(t => t.Text))));
        }, iter: 20);
        static string Bare(string text) => text.Replace("\r", "", StringComparison.Ordinal).Replace("\n", "", StringComparison.Ordinal);
    }

    [Fact]
    public void A_set_is_the_same_to_the_byte_however_many_made_it_and_however_often_they_were_killed()
    {
        string[] sources = [_sets.Lines("a.jsonl", 40), _sets.Texts("b.txt", 30), _sets.Lines("c.jsonl", 20), _sets.Lines("d.jsonl", 10)];
        var whole = PreparedSets.FilesOf(_sets.Prepare("one", sources));
        Assert.Equal(4, whole.Count(f => f.StartsWith("shard-", StringComparison.Ordinal)));

        // Killed: a shard is missing, another is cut, a third was begun, and no manifest is there.
        var killed = _sets.Prepare("killed", sources);
        File.Delete(Path.Combine(killed, "manifest.json"));
        File.Delete(Path.Combine(killed, "shard-000001.ids"));
        using (var cut = new FileStream(Path.Combine(killed, "shard-000002.ids"), FileMode.Open))
        {
            cut.SetLength(cut.Length - 1);
        }
        File.WriteAllText(Path.Combine(killed, "shard-000003.ids.unfinished-1-of-1"), "half");
        Assert.Contains("not prepared to its end", Assert.Throws<BadInputException>(() => PreparedSet.Open(killed)).What,
            StringComparison.Ordinal);
        var again = PreparedSets.Run(_sets.Order("killed", sources) with { Workers = 1 });
        Assert.Equal(whole, PreparedSets.FilesOf(killed));
        Assert.InRange(again.MadeBytes, 1, again.Manifest!.TextBytes - 1);

        var first = PreparedSets.Run(_sets.Order("shared", sources) with { Share = (1, 2) });
        Assert.Equal((null, 2), (first.Digest, first.Missing));
        Assert.Equal(again.Digest, PreparedSets.Run(_sets.Order("shared", sources) with { Share = (2, 2) }).Digest);
        Assert.Equal(whole, PreparedSets.FilesOf(_sets.At("shared")));
    }

    [Fact]
    public void Another_set_is_not_gone_on_with_and_other_weights_keep_its_tokens()
    {
        var (a, b) = (_sets.Lines("a.jsonl", 10), _sets.Lines("b.jsonl", 10));
        var folder = _sets.Prepare("set", a, b);
        string Told(PrepareOrder order) => Assert.Throws<BadInputException>(() => PreparedSets.Run(order)).Message;
        Assert.Contains("was begun from", Told(_sets.Order("set", a)), StringComparison.Ordinal);
        Assert.Contains("no source here", Told(_sets.Order("set", a, b) with { Weights = new Dictionary<string, double> { ["c"] = 2 } }),
            StringComparison.Ordinal);
        var weighed = _sets.Order("set", a, b) with { Weights = new Dictionary<string, double> { [b] = 2 } };
        Assert.Contains("Remove manifest.json", Told(weighed), StringComparison.Ordinal);
        File.Delete(Path.Combine(folder, "manifest.json"));
        var outcome = PreparedSets.Run(weighed);
        Assert.Equal((0, 30), (outcome.MadeBytes, outcome.Manifest!.Samples));

        File.AppendAllText(b, "{\"text\":\"more\"}\n");
        Assert.Contains("b.jsonl' is new, or was changed", Told(weighed), StringComparison.Ordinal);
        Assert.Contains("has other things in it", Told(_sets.Order(".", a)), StringComparison.Ordinal);
        Assert.Contains("is a file, not a folder", Told(_sets.Order("a.jsonl", a)), StringComparison.Ordinal);
        Assert.Contains("no file or folder", Told(_sets.Order("new", _sets.At("nothing.jsonl"))), StringComparison.Ordinal);
        Assert.Contains("not read from stores yet", Told(_sets.Order("new", "s3://bucket/a.jsonl")), StringComparison.Ordinal);
        using var busy = new FileStream(Path.Combine(folder, ".lock-1-of-1"), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
        Assert.Contains("is at work", Told(weighed), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("{\"text\":\"a\"", "line 3: it is not a JSON object")]
    [InlineData("{\"text\":null}", "line 3: \"text\" is null")]
    [InlineData("{\"text\":\"\xff\"}", "line 3, is not UTF-8")]
    public void A_line_that_is_broken_is_told_by_file_and_number_in_any_part(string line, string words)
    {
        var good = $"{{\"text\":\"{new string('a', 40)}\"}}\n";
        var path = _sets.At("broken.jsonl");
        File.WriteAllBytes(path, Encoding.Latin1.GetBytes($"{good}{good}{line}\n{good}"));
        foreach (var bytes in new[] { 1L << 30, 60, 7 })
        {
            var refused = Assert.Throws<BadInputException>(() => Enumerable.Range(0, (int)(Planned(path).Bytes / bytes) + 1)
                .SelectMany(part => PartTexts.Read(Planned(path), part, bytes)).Count());
            Assert.StartsWith($"'{path}', {words}", refused.What, StringComparison.Ordinal);
            Assert.NotEmpty(refused.Fix);
        }
    }

    [Fact]
    public async Task Parquet_gives_the_documents_that_lines_give_and_says_what_is_wrong_by_row()
    {
        string[] texts = ["one", "zwei é😀", "", "four"];
        var lines = _sets.Write("same.jsonl", string.Concat(texts.Select(t => $"{{\"text\":\"{t}\"}}\n")));
        await WriteParquet("a.parquet", "text", texts[..2], texts[2..]);
        await WriteParquet("null.parquet", "text", texts, ["fine", null]);
        await WriteParquet("other.parquet", "content", texts);
        File.WriteAllBytes(_sets.At("cut.parquet"), File.ReadAllBytes(_sets.At("a.parquet"))[..^20]);
        using var own = PreparedSet.Open(_sets.Prepare("parquet", _sets.At("a.parquet")));
        using var same = PreparedSet.Open(_sets.Prepare("lines", lines));
        Assert.Equal(Enumerable.Range(0, 4).Select(d => same.Tokens(d)), Enumerable.Range(0, 4).Select(d => own.Tokens(d)));
        Assert.Equal(2, own.Manifest.Shards);
        foreach (var (name, words) in new[]
        {
            ("null", "null.parquet', row 6: \"text\" is null"), ("other", "has no text: its columns are content"),
            ("cut", "cannot be read as Parquet"),
        })
        {
            Assert.Contains(words, Assert.Throws<BadInputException>(() => _sets.Prepare(name, _sets.At($"{name}.parquet"))).What,
                StringComparison.Ordinal);
        }
        var config = new Contracts.Worker.V1.DataConfig { Source = _sets.At("a.parquet") };
        Assert.Contains("dsops data prepare",
            Assert.Throws<BadInputException>(() => TrainingData.Open(config, 1)).What, StringComparison.Ordinal);
    }

    [Fact]
    public void The_verb_tells_what_it_made_and_what_it_was_not_given()
    {
        var (output, errors) = (new StringWriter(), new StringWriter());
        var (source, folder) = (_sets.Lines("a.jsonl", 12), _sets.At("set"));
        Assert.Equal(0, DataVerbs.Run(["prepare", source, "--out", folder, "--weight", $"{source}=2"], output, errors));
        Assert.Contains($"source: {folder}, tokenizer: byte", output.ToString(), StringComparison.Ordinal);
        Assert.Equal(0, DataVerbs.Run(["check", folder], output, errors));
        Assert.Contains("whole: 12 documents", output.ToString(), StringComparison.Ordinal);
        Assert.Equal(2, DataVerbs.Run(["prepare", source], output, errors));
        Assert.Contains("--out DIR is missing", errors.ToString(), StringComparison.Ordinal);
        Assert.Equal(2, DataVerbs.Run(["prepare", source, "--out", folder, "--share", "3/2"], output, errors));
        Assert.Contains("--share 3/2 is not valid", errors.ToString(), StringComparison.Ordinal);
    }

    private static PlannedFile Planned(string path) => new(path, new FileInfo(path).Length, 0, 1);

    private async Task WriteParquet(string name, string column, params string?[][] groups)
    {
        var schema = new ParquetSchema(new DataField<string>(column));
        await using var file = File.Create(_sets.At(name));
        await using var writer = await ParquetWriter.CreateAsync(schema, file, cancellationToken: TestContext.Current.CancellationToken);
        foreach (var texts in groups)
        {
            using var group = writer.CreateRowGroup();
            await group.WriteAsync(schema.DataFields[0], (IReadOnlyCollection<string>)texts!);
            group.CompleteValidate();
        }
    }
}
