using System.Text.Json;
using System.Text.Unicode;
using DeepSeekOps.Recipes.Files;

namespace DeepSeekOps.Recipes.Tokenizers;

/// <summary>An added token: found in text before any pattern is looked at.</summary>
public sealed record AddedToken(int Id, string Content, bool Special);

/// <summary>
/// A Hugging Face tokenizer.json, checked: a byte-level BPE, as DeepSeek's own are. What Hugging Face's library does with it is told by
/// that library alone; here stands what it needs in order to load it, and what would make its ids others than the file's.
/// </summary>
public sealed class TokenizerJson
{
    /// <summary>DeepSeek-V3's has 7.8 MB, the largest published ones 33 MB.</summary>
    public const int BytesMax = 64 << 20;

    /// <summary>The name that a tokenizer's file has beside weights.</summary>
    public const string FileName = "tokenizer.json";

    private TokenizerJson(IReadOnlyList<AddedToken> added, SpecialTokens special, int vocabSize, string content) =>
        (Added, Special, VocabSize, ContentSha256) = (added, special, vocabSize, content);

    public IReadOnlyList<AddedToken> Added { get; }

    /// <summary>DeepSeek's marks by their names; those that the file lacks get ids after its vocabulary.</summary>
    public SpecialTokens Special { get; }

    /// <summary>Smallest vocabulary a model needs for every id, marks that the file lacks included.</summary>
    public int VocabSize { get; }

    /// <summary>In hex, of what the file says: one that was only formatted anew has the same.</summary>
    public string ContentSha256 { get; }

    /// <exception cref="BadInputException">What is wrong, by field.</exception>
    public static TokenizerJson Read(string path) => Read(NamedFile.ReadAll(path, BytesMax), path);

    /// <exception cref="BadInputException">What is wrong, by field.</exception>
    public static TokenizerJson Read(byte[] bytes, string path)
    {
        try
        {
            JsonText.Require(Utf8.IsValid(bytes), "it is not UTF-8");
            using var document = JsonDocument.Parse(JsonText.WithoutMark(bytes), JsonText.Strict);
            var root = document.RootElement;
            JsonText.Require(root.ValueKind == JsonValueKind.Object, "it is not a JSON object");
            TokenizerSteps.Check(root);
            var vocabulary = TokenizerModel.Check(root);
            var added = TokenizerModel.AddedTokens(root, vocabulary);
            var ids = added.ToDictionary(t => t.Content, t => t.Id, StringComparer.Ordinal);
            var next = Math.Max(vocabulary.Values.Max(), added.Select(t => t.Id).DefaultIfEmpty(-1).Max()) + 1;
            var special = Marks(ids, vocabulary, ref next);
            return new TokenizerJson(added, special, next, TokenizerContent.Sha256Of(root));
        }
        catch (JsonException)
        {
            throw NotOne(path, JsonText.NotJson);
        }
        catch (FormatException e)
        {
            throw NotOne(path, e.Message);
        }
        catch (InvalidOperationException)
        {
            // A string with half of a surrogate pair: the reader finds out only when it is read.
            throw NotOne(path, "a text in it is not Unicode");
        }
    }

    /// <summary>Whether two files give the same ids for any text; what is no tokenizer.json is like no other one.</summary>
    public static bool SameContent(byte[] one, byte[] other)
    {
        try
        {
            return one.AsSpan().SequenceEqual(other) || Read(one, FileName).ContentSha256 == Read(other, FileName).ContentSha256;
        }
        catch (BadInputException)
        {
            return false;
        }
    }

    private static SpecialTokens Marks(Dictionary<string, int> added, Dictionary<string, int> vocabulary, ref int next)
    {
        var after = next;
        int Id(params ReadOnlySpan<string> names)
        {
            foreach (var name in names)
            {
                if (added.TryGetValue(name, out var id) || vocabulary.TryGetValue(name, out id))
                {
                    return id;
                }
            }

            return after++;
        }

        var marks = new SpecialTokens(
            Bos: Id("<｜begin▁of▁sentence｜>", "<|begin_of_text|>", "<s>", "<|endoftext|>"),
            Eos: Id("<｜end▁of▁sentence｜>", "<|end_of_text|>", "</s>", "<|endoftext|>"),
            Pad: Id("<｜▁pad▁｜>", "<pad>"),
            User: Id("<｜User｜>", "<|user|>"),
            Assistant: Id("<｜Assistant｜>", "<|assistant|>"),
            FimBegin: Id("<｜fim▁begin｜>", "<|fim_prefix|>"),
            FimHole: Id("<｜fim▁hole｜>", "<|fim_suffix|>"),
            FimEnd: Id("<｜fim▁end｜>", "<|fim_middle|>"));
        next = after;
        return marks;
    }

    private static BadInputException NotOne(string path, string why) => new(
        $"'{path}' is not a byte-level BPE tokenizer.json: {why}.",
        "Name the tokenizer.json of a DeepSeek model or another one with \"model\": {\"vocab\", \"merges\"} and ByteLevel, "
            + "or write 'byte'.");
}
