using System.Text.Json;
using System.Text.Json.Nodes;

namespace DeepSeekOps.Worker.Tests.Data;

/// <summary>
/// tokenizer.json files: the published DeepSeek-V3's, cut to the words of some texts, and small ones with the other families' patterns.
/// </summary>
internal static class TokenizerFixtures
{
    /// <summary>How the families split text before byte-level BPE.</summary>
    public static IReadOnlyDictionary<string, string[]> Families { get; } = new Dictionary<string, string[]>
    {
        ["coder"] = ["[\r\n]", @"\s?\p{L}+", @"\s?\p{P}+", "[一-龥ࠀ-一가-퟿]+", "digits"],
        ["v2"] =
        [
            "[\r\n]", @"\s?[A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-Ֆ]+",
            @"\s?[!-/:-~！-／：-～‘-‟　-。]+", @"\s+$", "[一-龥ࠀ-一가-퟿]+", "digits",
        ],
        ["v3"] =
        [
            @"\p{N}{1,3}", "[一-龥぀-ゟ゠-ヿ]+",
            @"[!""#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^" + "\r\n"
                + @"\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[" + "\r\n" + @"]*|\s*[" + "\r\n" + @"]+|\s+(?!\S)|\s+",
        ],
        ["case"] = [@"\p{N}{1,3}", @"\p{L}+| ?[\p{P}\p{S}]+|\s+"],
    };

    public static readonly string[] Marks = ["<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>", "<｜User｜>", "<｜Assistant｜>"];

    /// <summary>256 bytes and four marks: ids 0 to 255 are the bytes.</summary>
    public static JsonObject Small(string family)
    {
        var steps = new JsonArray();
        foreach (var pattern in Families[family])
        {
            steps.Add(pattern == "digits" ? new JsonObject { ["type"] = "Digits", ["individual_digits"] = true } : new JsonObject
            {
                ["type"] = "Split", ["pattern"] = new JsonObject { ["Regex"] = pattern }, ["behavior"] = "Isolated", ["invert"] = false,
            });
        }

        steps.Add(new JsonObject { ["type"] = "ByteLevel", ["add_prefix_space"] = false, ["trim_offsets"] = true, ["use_regex"] = false });
        var vocabulary = new JsonObject();
        var spare = 256;
        for (var b = 0; b < 256; b++)
        {
            var plain = b is (>= 33 and <= 126) or (>= 161 and <= 172) or >= 174;
            vocabulary[((char)(plain ? b : spare++)).ToString()] = b;
        }

        return Whole(
            new JsonObject { ["type"] = "Sequence", ["pretokenizers"] = steps }, vocabulary, [],
            new JsonArray([.. Marks.Select((mark, i) => (JsonNode)Added(256 + i, mark, special: true, normalized: false))]));
    }

    /// <summary>The published file, but for words that its texts do not have: every id is the published one.</summary>
    public static (JsonObject Tokenizer, (string Text, int[] Ids)[] Cases) Golden()
    {
        var golden = JsonNode.Parse(File.ReadAllText(Path.Combine(AppContext.BaseDirectory, "Data", "Golden", "deepseek-v3.json")))!;
        var vocabulary = golden["vocab"]!.DeepClone().AsObject();
        var taken = vocabulary.Select(w => w.Value!.GetValue<int>()).ToHashSet();
        foreach (var id in Enumerable.Range(0, golden["vocabSize"]!.GetValue<int>()).Where(id => !taken.Contains(id)))
        {
            vocabulary[$"no word of these texts {id}"] = id;
        }

        var added = golden["added"]!.AsArray()
            .Select(a => (Id: a![0]!.GetValue<int>(), Text: a[1]!.GetValue<string>(), a[2]!.GetValue<bool>(), a[3]!.GetValue<bool>()))
            .Concat(Enumerable.Range(0, 800).Select(i => (Id: 128_000 + i, Text: $"<｜place▁holder▁no▁{i}｜>", false, true)))
            .OrderBy(a => a.Id).Select(a => (JsonNode)Added(a.Id, a.Text, a.Item3, a.Item4));
        var tokenizer = Whole(golden["pre_tokenizer"]!.DeepClone(), vocabulary, golden["merges"]!.DeepClone().AsArray(),
            new JsonArray([.. added]));
        return (tokenizer, [.. golden["cases"]!.AsArray().Select(c => (c!["text"]!.GetValue<string>(), c["ids"].Deserialize<int[]>()!))]);
    }

    public static string Write(JsonNode tokenizer, string folder)
    {
        var path = Path.Combine(folder, "tokenizer.json");
        File.WriteAllText(path, tokenizer.ToJsonString());
        return path;
    }

    private static JsonObject Whole(JsonNode steps, JsonObject vocabulary, JsonArray merges, JsonArray added) => new()
    {
        ["version"] = "1.0", ["truncation"] = null, ["padding"] = null, ["added_tokens"] = added,
        ["normalizer"] = new JsonObject { ["type"] = "Sequence", ["normalizers"] = new JsonArray() },
        ["pre_tokenizer"] = steps,
        ["post_processor"] = new JsonObject
        {
            ["type"] = "ByteLevel",
            ["add_prefix_space"] = true,
            ["trim_offsets"] = false,
            ["use_regex"] = true,
        },
        ["decoder"] = new JsonObject { ["type"] = "ByteLevel", ["add_prefix_space"] = true, ["trim_offsets"] = true, ["use_regex"] = true },
        ["model"] = new JsonObject
        {
            ["type"] = "BPE", ["dropout"] = null, ["unk_token"] = null, ["continuing_subword_prefix"] = null, ["end_of_word_suffix"] = null,
            ["fuse_unk"] = false, ["byte_fallback"] = false, ["vocab"] = vocabulary, ["merges"] = merges,
        },
    };

    private static JsonObject Added(int id, string content, bool special, bool normalized) => new()
    {
        ["id"] = id, ["content"] = content, ["single_word"] = false, ["lstrip"] = false, ["rstrip"] = false, ["normalized"] = normalized,
        ["special"] = special,
    };
}
