using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Xunit;

namespace DeepSeekOps.Worker.Tests.Data;

/// <summary>Files that say the same are the same tokenizer, and one that makes a single id or text another way is not. Some ms.</summary>
public sealed class TokenizerContentTests
{
    private const string Published = """
        {"version": "1.0", "truncation": null, "padding": null,
         "added_tokens": [
           {"id": 6, "content": "<é>", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true},
           {"id": 7, "content": "<b>", "single_word": false, "lstrip": false, "rstrip": false, "normalized": true, "special": false}],
         "normalizer": {"type": "Sequence", "normalizers": [{"type": "NFC"}]},
         "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
           {"type": "Split", "pattern": {"Regex": "\\p{N}{1,3}"}, "behavior": "Isolated", "invert": false},
           {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false}]},
         "post_processor": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": false, "use_regex": true},
         "decoder": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true},
         "model": {"type": "BPE", "dropout": null, "unk_token": null, "fuse_unk": false, "byte_fallback": false,
           "vocab": {"a": 0, "b": 1, "c": 2, "ab": 3, "ac": 4, "é": 5}, "merges": ["a b", "a c"]}}
        """;

    public static TheoryData<string> Formatted => ["indented", "keys", "mark", "escapes", "pairs", "usual", "marks", "offsets", "decoder"];

    [Theory]
    [MemberData(nameof(Formatted))]
    public void A_file_that_was_only_formatted_anew_is_the_same_tokenizer(string how)
    {
        byte[] other = how switch
        {
            "indented" => Written(t => { }, new JsonSerializerOptions { WriteIndented = true }),
            "keys" => Encoding.UTF8.GetBytes(Backwards(JsonNode.Parse(Published)!).ToJsonString()),
            "mark" => [0xEF, 0xBB, 0xBF, .. Encoding.UTF8.GetBytes(Published)],
            "escapes" => Encoding.UTF8.GetBytes(Published.Replace("é", "\\u00e9", StringComparison.Ordinal)),
            "pairs" => Written(t => t["model"]!["merges"] = new JsonArray(new JsonArray("a", "b"), new JsonArray("a", "c"))),
            "usual" => Written(t =>
            {
                t["model"]!.AsObject().Remove("fuse_unk");
                t["model"]!["ignore_merges"] = false;
                t["added_tokens"]![1]!.AsObject().Remove("lstrip");
            }),
            "marks" => Written(t => (t["post_processor"], t["padding"]) = (null, new JsonObject { ["length"] = 9 })),
            "offsets" => Written(t => t["pre_tokenizer"]!["pretokenizers"]![1]!["trim_offsets"] = false),
            _ => Written(t => t["decoder"] = null),
        };
        Assert.NotEqual(Encoding.UTF8.GetBytes(Published), other);
        Assert.Equal(Sum(Encoding.UTF8.GetBytes(Published)), Sum(other));
        Assert.True(TokenizerJson.SameContent(Encoding.UTF8.GetBytes(Published), other));
    }

    public static TheoryData<string> Changed => ["ids", "order", "text", "mark", "flag", "pattern", "behaviour", "space", "regex", "model",
        "normalizer", "decoder"];

    [Theory]
    [MemberData(nameof(Changed))]
    public void A_file_that_makes_one_id_or_text_another_way_is_another_tokenizer(string what)
    {
        byte[] other = Written(t =>
        {
            var (model, added, steps) = (t["model"]!, t["added_tokens"]!, t["pre_tokenizer"]!["pretokenizers"]!);
            switch (what)
            {
                case "ids": (model["vocab"]!["a"], model["vocab"]!["b"]) = (1, 0); break;
                case "order": model["merges"] = new JsonArray("a c", "a b"); break;
                case "text": added[0]!["content"] = "<è>"; break;
                case "mark": added[1]!["special"] = true; break;
                case "flag": added[1]!["rstrip"] = true; break;
                case "pattern": steps[0]!["pattern"]!["Regex"] = "\\p{N}{1,2}"; break;
                case "behaviour": steps[0]!["behavior"] = "Removed"; break;
                case "space": steps[1]!["add_prefix_space"] = true; break;
                case "regex": steps[1]!.AsObject().Remove("use_regex"); break;
                case "model": model["ignore_merges"] = true; break;
                case "normalizer": t["normalizer"] = null; break;
                default: t["decoder"] = new JsonObject { ["type"] = "Sequence", ["decoders"] = new JsonArray() }; break;
            }
        });
        Assert.NotEqual(Sum(Encoding.UTF8.GetBytes(Published)), Sum(other));
        Assert.False(TokenizerJson.SameContent(Encoding.UTF8.GetBytes(Published), other));
    }

    [Fact]
    public void What_is_no_tokenizer_is_like_no_other_one() =>
        Assert.False(TokenizerJson.SameContent(Encoding.UTF8.GetBytes(Published), Encoding.UTF8.GetBytes("{}")));

    private static string Sum(byte[] file) => TokenizerJson.Read(file, "tokenizer.json").ContentSha256;

    private static byte[] Written(Action<JsonNode> change, JsonSerializerOptions? options = null)
    {
        var tokenizer = JsonNode.Parse(Published)!;
        change(tokenizer);
        return Encoding.UTF8.GetBytes(tokenizer.ToJsonString(options));
    }

    /// <summary>Every object with its members in the other order; lists mean something and stay.</summary>
    private static JsonNode Backwards(JsonNode? node) => node switch
    {
        JsonObject members => new JsonObject(
            members.Reverse().Select(m => KeyValuePair.Create<string, JsonNode?>(m.Key, m.Value is null ? null : Backwards(m.Value)))),
        JsonArray items => new JsonArray([.. items.Select(i => i is null ? null : Backwards(i))]),
        _ => node!.DeepClone(),
    };
}
