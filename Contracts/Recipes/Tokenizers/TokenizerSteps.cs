using System.Text.Json;

namespace DeepSeekOps.Recipes.Tokenizers;

/// <summary>What a tokenizer.json does with text before its model, and with tokens after it.</summary>
internal static class TokenizerSteps
{
    private const int NestedMost = 8;

    private static readonly string[] Normalizers =
        ["Sequence", "NFC", "NFD", "NFKC", "NFKD", "Lowercase", "Strip", "StripAccents", "Replace", "Prepend", "Nmt", "ByteLevel"];

    private static readonly string[] PreTokenizers =
        ["Sequence", "Split", "Digits", "Punctuation", "Whitespace", "WhitespaceSplit", "UnicodeScripts", "CharDelimiterSplit",
            "ByteLevel"];

    public static void Check(JsonElement root)
    {
        if (JsonText.Some(root, "version") is not null)
        {
            JsonText.Require(JsonText.Word(root, "version") == "1.0", "\"version\" is not 1.0");
        }

        var bytes = Kinds(root, "normalizer", "normalizers", Normalizers).Contains("ByteLevel", StringComparer.Ordinal)
            | Kinds(root, "pre_tokenizer", "pretokenizers", PreTokenizers).Contains("ByteLevel", StringComparer.Ordinal);
        JsonText.Require(bytes, "its pre_tokenizer has no ByteLevel step");
        // One step, or none: text may then be written as its tokens come, since the text of two tokens is that of each, one after the
        // other.
        JsonText.Require(Kinds(root, "decoder", "decoders", ["Sequence", "ByteLevel"]).Count(k => k == "ByteLevel") <= 1,
            "its decoder has ByteLevel twice");
    }

    private static List<string> Kinds(JsonElement root, string field, string list, string[] known)
    {
        var kinds = new List<string>();
        if (JsonText.Some(root, field) is { } step)
        {
            Collect(step, field, list, known, kinds, 0);
        }

        return kinds;
    }

    private static void Collect(JsonElement step, string field, string list, string[] known, List<string> kinds, int depth)
    {
        JsonText.Require(step.ValueKind == JsonValueKind.Object && depth < NestedMost, $"\"{field}\" is not an object, or nested too deep");
        var type = JsonText.Word(step, "type");
        JsonText.Require(
            known.Contains(type, StringComparer.Ordinal), $"its {field} has '{JsonText.Short(type)}', which byte-level BPE has not");
        kinds.Add(type);
        switch (type)
        {
            case "Sequence":
                JsonText.Require(
                    JsonText.Some(step, list) is { ValueKind: JsonValueKind.Array }, $"a Sequence of its {field} has no list \"{list}\"");
                foreach (var inner in step.GetProperty(list).EnumerateArray())
                {
                    Collect(inner, field, list, known, kinds, depth + 1);
                }

                break;
            case "ByteLevel" when field == "pre_tokenizer":
                Flag(step, field, type, "add_prefix_space");
                JsonText.Flag(step, "use_regex", absent: true);
                JsonText.Flag(step, "trim_offsets", absent: true);
                break;
            case "Digits":
                Flag(step, field, type, "individual_digits");
                break;
            case "Strip":
                Flag(step, field, type, "strip_left");
                Flag(step, field, type, "strip_right");
                break;
            case "Prepend":
                JsonText.Word(step, "prepend");
                break;
            case "CharDelimiterSplit":
                JsonText.Require(JsonText.Word(step, "delimiter").EnumerateRunes().Count() == 1,
                    "a CharDelimiterSplit has not one character as its \"delimiter\"");
                break;
            case "Punctuation":
                Behaviour(step, absent: "Isolated");
                break;
            case "Split" or "Replace":
                Pattern(step, field, type);
                break;
        }
    }

    private static void Pattern(JsonElement step, string field, string type)
    {
        var pattern = JsonText.Object(step, "pattern");
        var regex = JsonText.Some(pattern, "Regex") is not null;
        JsonText.Require(pattern.EnumerateObject().Count() == 1, $"a {type} of its {field} has not one pattern");
        JsonText.Word(pattern, regex ? "Regex" : "String");
        if (type == "Replace")
        {
            JsonText.Word(step, "content");
            return;
        }

        Behaviour(step, absent: "");
        Flag(step, field, type, "invert");
    }

    private static void Behaviour(JsonElement step, string absent)
    {
        var behaviour = JsonText.Some(step, "behavior") is null ? absent : JsonText.Word(step, "behavior");
        JsonText.Require(behaviour is "Removed" or "Isolated" or "MergedWithPrevious" or "MergedWithNext" or "Contiguous",
            $"the \"behavior\" of a step is '{JsonText.Short(behaviour)}'");
    }

    private static void Flag(JsonElement step, string field, string type, string flag)
    {
        JsonText.Require(JsonText.Some(step, flag) is not null, $"a {type} of its {field} has no \"{flag}\"");
        JsonText.Flag(step, flag, absent: false);
    }
}
