using System.Text;
using System.Text.Json.Nodes;
using CsCheck;
using DeepSeekOps.Worker.Data;
using Xunit;

namespace DeepSeekOps.Worker.Tests.Data;

public sealed class HuggingFaceTokenizerTests : IDisposable
{
    private static readonly int[] Often = [0x0D, 0x0A, 0x20, 0x7F, 0x200D, 0xFE0F, 0x3000, 0x0661];

    /// <summary>Any character that there is: emoji, ideographs, lone marks, private use, not yet assigned, controls.</summary>
    private static readonly Gen<string> AnyText = Gen.OneOf(
        Gen.Int[0, 0x10FFFF], Gen.Int[0, 0x7F], Gen.Int[0x1F300, 0x1FAFF], Gen.Int[0x20000, 0x3134F], Gen.Int[0x300, 0x36F],
        Gen.Int[0xE000, 0xF8FF],
        Gen.Int[0, Often.Length - 1].Select(i => Often[i])).Where(Rune.IsValid).Array[0, 60]
        .Select(runes => string.Concat(runes.Select(r => new Rune(r).ToString())));

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("dsops-tokenizer-");

    public static TheoryData<string> Families => [.. TokenizerFixtures.Families.Keys];

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact]
    public void The_published_tokenizer_of_DeepSeek_V3_gives_the_published_ids()
    {
        var (file, cases) = TokenizerFixtures.Golden();
        var tokenizer = Opened(file);
        Assert.All(cases, c => Assert.Equal(c.Ids, tokenizer.Encode(c.Text)));
        Assert.Equal((0, 1, 128803, 128804, 128815),
            (tokenizer.Special.Bos, tokenizer.Special.Eos, tokenizer.Special.User, tokenizer.Special.Assistant, tokenizer.VocabSize));
        // Marks that a text names are those marks; the text of all else comes back.
        Assert.All(
            cases.Where(c => !c.Text.Contains("<｜", StringComparison.Ordinal) && !c.Text.Contains("<|EOT", StringComparison.Ordinal)),
            c => Assert.Equal(c.Text, tokenizer.Decode(c.Ids)));
        Assert.Equal("hiyes", tokenizer.Decode(cases.Single(c => c.Text.StartsWith("<｜User", StringComparison.Ordinal)).Ids));
    }

    [Theory]
    [MemberData(nameof(Families))]
    public void Text_that_no_pattern_matches_is_neither_lost_nor_doubled(string family)
    {
        var tokenizer = Opened(TokenizerFixtures.Small(family));
        Assert.Equal([97, 240, 159, 152, 128, 98], tokenizer.Encode("a😀b"));
        // With 256 bytes and no merge, ids are the text's bytes, whatever the patterns make of it.
        AnyText.Sample(text =>
        {
            var ids = tokenizer.Encode(text);
            return ids.Select(id => (byte)id).SequenceEqual(Encoding.UTF8.GetBytes(text)) && tokenizer.Decode([.. ids]) == text;
        }, iter: 500, threads: 1);
    }

    [Theory]
    [MemberData(nameof(Families))]
    public void Text_that_is_written_as_its_tokens_come_is_the_text(string family)
    {
        var tokenizer = Opened(TokenizerFixtures.Small(family));
        AnyText.Sample(text =>
        {
            var settled = new SettledText(tokenizer);
            var written = new StringBuilder();
            foreach (var id in tokenizer.Encode(text))
            {
                written.Append(settled.Add([id]));
            }

            return written.Append(settled.Rest()).ToString() == text;
        }, iter: 200, threads: 1);
    }

    [Fact]
    public void Half_of_a_surrogate_pair_is_the_replacement_character()
    {
        var tokenizer = Opened(TokenizerFixtures.Small("v3"));
        Assert.Equal("a\uFFFDb", tokenizer.Decode([.. tokenizer.Encode("a\ud83db")]));
        Assert.Empty(tokenizer.Encode(""));
    }

    [Fact]
    public void Marks_around_a_text_cutting_and_padding_are_not_the_texts_ids()
    {
        var plain = TokenizerFixtures.Small("v3");
        var dressed = plain.DeepClone();
        dressed["post_processor"] = JsonNode.Parse("""
            {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<｜begin▁of▁sentence｜>", "type_id": 0}},
                {"Sequence": {"id": "A", "type_id": 0}}],
             "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
             "special_tokens": {"<｜begin▁of▁sentence｜>": {"id": "<｜begin▁of▁sentence｜>", "ids": [256],
                 "tokens": ["<｜begin▁of▁sentence｜>"]}}}
            """);
        dressed["truncation"] = JsonNode.Parse("""{"direction": "Right", "max_length": 4, "strategy": "LongestFirst", "stride": 0}""");
        dressed["padding"] = JsonNode.Parse("""
            {"strategy": {"Fixed": 64}, "direction": "Right", "pad_to_multiple_of": null, "pad_id": 0, "pad_type_id": 0, "pad_token": "x"}
            """);
        Assert.Equal(Opened(plain).Encode("A longer text."), Opened(dressed).Encode("A longer text."));
    }

    [Fact]
    public void Words_that_were_added_are_shown_and_marks_are_not()
    {
        var file = TokenizerFixtures.Small("v3");
        var think = file["added_tokens"]![0]!.DeepClone();
        (think["id"], think["content"], think["special"]) = (260, "<think>", false);
        file["added_tokens"]!.AsArray().Add(think);
        var tokenizer = Opened(file);
        int[] ids = [tokenizer.Special.Bos, .. tokenizer.Encode("<think>a"), tokenizer.Special.FimHole, tokenizer.Special.Eos];
        Assert.Equal(260, ids[1]);
        Assert.Equal("<think>a", tokenizer.Decode(ids));
    }

    [Fact]
    public void Several_threads_encode_at_once()
    {
        var tokenizer = Opened(TokenizerFixtures.Small("v2"));
        var texts = Enumerable.Range(0, 200).Select(i => $"Text {i} 😀 中文 {i * i}").ToArray();
        var wanted = texts.Select(t => tokenizer.Encode(t)).ToArray();
        System.Threading.Tasks.Parallel.For(0, 800, i => Assert.Equal(wanted[i % 200], tokenizer.Encode(texts[i % 200])));
    }

    [Theory]
    [InlineData("model.type", "\"Unigram\"", "model.type is 'Unigram'")]
    [InlineData("model.dropout", "0.1", "model.dropout is set")]
    [InlineData("model.merges", "[\"a zz\"]", "'zz' of \"merges\" is not in model.vocab")]
    [InlineData("model.merges", "[\"a\"]", "in \"merges\" is not a pair")]
    [InlineData("model.vocab", "{\"a\": -1}", "is not a whole number from 0")]
    [InlineData("pre_tokenizer", "{\"type\": \"Whitespace\"}", "has no ByteLevel step")]
    [InlineData("pre_tokenizer", "{\"type\": \"Metaspace\", \"replacement\": \"_\"}", "its pre_tokenizer has 'Metaspace'")]
    [InlineData("decoder", "{\"type\": \"WordPiece\"}", "its decoder has 'WordPiece'")]
    [InlineData("added_tokens", "[{\"id\": 300, \"content\": \"<x>\"}]", "has id 300, where Hugging Face's library would give it 256")]
    [InlineData("version", "\"2.0\"", "\"version\" is not 1.0")]
    public void What_would_give_other_ids_is_refused_by_its_field(string field, string value, string said)
    {
        var file = TokenizerFixtures.Small("v3");
        var parts = field.Split('.');
        (parts.Length == 2 ? file[parts[0]]! : file)[parts[^1]] = JsonNode.Parse(value);
        var refused = Assert.Throws<BadInputException>(() => Opened(file));
        Assert.Contains(said, refused.What, StringComparison.Ordinal);
        Assert.NotEqual("", refused.Fix);
    }

    [Fact]
    public void What_submission_takes_the_library_loads_and_what_is_damaged_is_refused_in_words()
    {
        var whole = Encoding.UTF8.GetBytes(TokenizerFixtures.Small("v2").ToJsonString());
        var path = Path.Combine(_folder.FullName, "tokenizer.json");
        var taken = 0;
        Gen.Select(Gen.Int[0, whole.Length - 1], Gen.Byte).Array[1, 3].Sample(hits =>
        {
            var damaged = (byte[])whole.Clone();
            foreach (var (place, value) in hits)
            {
                damaged[place] = value;
            }

            File.WriteAllBytes(path, damaged);
            try
            {
                TokenizerJson.Read(path);
            }
            catch (BadInputException)
            {
                return;
            }

            taken++;
            try
            {
                _ = new HuggingFaceTokenizer(path);
            }
            catch (BadInputException e) when (e.Message.Contains("Onig", StringComparison.Ordinal))
            {
                // Whether Oniguruma understands a pattern is known to the library alone.
            }
        }, iter: 300, threads: 1);
        Assert.True(taken > 0);
    }

    private HuggingFaceTokenizer Opened(JsonNode file) => new(TokenizerFixtures.Write(file, _folder.FullName));
}
