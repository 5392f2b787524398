using System.Text.Json;
using DeepSeekOps.Recipes.Weights;

namespace DeepSeekOps.Recipes.Tokenizers;

/// <summary>The vocabulary, the merges and the added tokens of a tokenizer.json, as Hugging Face's library takes them in.</summary>
internal static class TokenizerModel
{
    private static readonly string[] Known =
    [
        "type", "vocab", "merges", "dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix", "fuse_unk", "byte_fallback",
        "ignore_merges",
    ];

    public static Dictionary<string, int> Check(JsonElement root)
    {
        var model = JsonText.Object(root, "model");
        var type = JsonText.Some(model, "type") is null ? "BPE" : JsonText.Word(model, "type");
        JsonText.Require(type == "BPE", $"model.type is '{JsonText.Short(type)}', BPE is read");
        foreach (var field in model.EnumerateObject().Where(f => !Known.Contains(f.Name, StringComparer.Ordinal)))
        {
            throw new FormatException($"\"{JsonText.Short(field.Name)}\" is not a field of a BPE model");
        }

        var vocabulary = Vocabulary(JsonText.Object(model, "vocab"));
        Merges(model, vocabulary);
        Only(model, "dropout", v => v is { ValueKind: JsonValueKind.Number } n && n.GetDouble() == 0,
            "a tokenizer that drops merges at random gives other ids each time");
        Only(model, "continuing_subword_prefix", IsEmpty, "byte-level BPE has none");
        Only(model, "end_of_word_suffix", IsEmpty, "byte-level BPE has none");
        foreach (var flag in (string[])["fuse_unk", "byte_fallback", "ignore_merges"])
        {
            JsonText.Flag(model, flag, absent: false);
        }

        if (JsonText.Some(model, "unk_token") is not null)
        {
            JsonText.Require(vocabulary.ContainsKey(JsonText.Word(model, "unk_token")), "model.unk_token is not in model.vocab");
        }

        return vocabulary;
    }

    /// <summary>
    /// The library gives an added token the id of its text in the vocabulary, or the next free one, whatever the file says: that has to
    /// agree.
    /// </summary>
    public static List<AddedToken> AddedTokens(JsonElement root, Dictionary<string, int> vocabulary)
    {
        var added = new List<AddedToken>();
        if (JsonText.Some(root, "added_tokens") is not { } list)
        {
            return added;
        }

        JsonText.Require(list.ValueKind == JsonValueKind.Array, "\"added_tokens\" is not a list");
        var taken = new HashSet<string>(StringComparer.Ordinal);
        var most = -1;
        foreach (var item in list.EnumerateArray())
        {
            JsonText.Require(item.ValueKind == JsonValueKind.Object, "an item of \"added_tokens\" is not an object");
            var content = JsonText.Word(item, "content");
            var id = item.TryGetProperty("id", out var number) && number.ValueKind == JsonValueKind.Number
                && number.TryGetInt32(out var whole) ? whole : -1;
            var special = JsonText.Flag(item, "special", absent: false);
            foreach (var flag in (string[])["single_word", "lstrip", "rstrip", "normalized"])
            {
                JsonText.Flag(item, flag, absent: false);
            }

            JsonText.Require(content.Length > 0 && id >= 0, $"an added token has no id or no text ('{JsonText.Short(content)}')");
            JsonText.Require(taken.Add(content), $"'{JsonText.Short(content)}' is an added token twice");
            var given = vocabulary.TryGetValue(content, out var own) ? own : Math.Max(vocabulary.Count, most + 1);
            JsonText.Require(
                given == id,
                $"the added token '{JsonText.Short(content)}' has id {id}, where Hugging Face's library would give it {given}");
            most = Math.Max(most, id);
            added.Add(new AddedToken(id, content, special));
        }

        return added;
    }

    private static Dictionary<string, int> Vocabulary(JsonElement words)
    {
        var vocabulary = new Dictionary<string, int>(StringComparer.Ordinal);
        var ids = new HashSet<int>();
        foreach (var word in words.EnumerateObject())
        {
            JsonText.Require(word.Value.ValueKind == JsonValueKind.Number && word.Value.TryGetInt32(out var id) && id >= 0,
                $"the id of '{JsonText.Short(word.Name)}' in model.vocab is not a whole number from 0");
            id = word.Value.GetInt32();
            JsonText.Require(
                id < ShapeLimits.VocabSize, $"the id {id} of '{JsonText.Short(word.Name)}' is beyond the largest "
                    + $"vocabulary, {ShapeLimits.VocabSize}");
            JsonText.Require(
                vocabulary.TryAdd(word.Name, id)
                    && ids.Add(id), $"'{JsonText.Short(word.Name)}' or its id {id} is in model.vocab twice");
        }

        JsonText.Require(vocabulary.Count > 0, "model.vocab is empty");
        return vocabulary;
    }

    private static void Merges(JsonElement model, Dictionary<string, int> vocabulary)
    {
        JsonText.Require(JsonText.Some(model, "merges") is { ValueKind: JsonValueKind.Array }, "\"merges\" is not a list");
        bool? pairs = null;
        foreach (var merge in model.GetProperty("merges").EnumerateArray())
        {
            var pair = merge.ValueKind == JsonValueKind.Array;
            JsonText.Require((pairs ??= pair) == pair, "\"merges\" mixes the older form (\"a b\") and the newer ([\"a\", \"b\"])");
            var parts = Parts(merge);
            JsonText.Require(parts.Length == 2, $"{JsonText.Short(merge.GetRawText())} in \"merges\" is not a pair");
            foreach (var part in (string[])[parts[0], parts[1], parts[0] + parts[1]])
            {
                JsonText.Require(vocabulary.ContainsKey(part), $"'{JsonText.Short(part)}' of \"merges\" is not in model.vocab");
            }
        }
    }

    /// <returns>The two parts of a merge of either form; none of something else.</returns>
    public static string[] Parts(JsonElement merge) => merge.ValueKind switch
    {
        JsonValueKind.String => merge.GetString()!.Split(' '),
        JsonValueKind.Array when merge.EnumerateArray().All(p => p.ValueKind == JsonValueKind.String) =>
            [.. merge.EnumerateArray().Select(p => p.GetString()!)],
        _ => [],
    };

    private static bool IsEmpty(JsonElement value) => value.ValueKind == JsonValueKind.String && value.GetString()!.Length == 0;

    private static void Only(JsonElement model, string field, Func<JsonElement, bool> usual, string otherwise) =>
        JsonText.Require(JsonText.Some(model, field) is not { } value || usual(value), $"model.{field} is set: {otherwise}");
}
