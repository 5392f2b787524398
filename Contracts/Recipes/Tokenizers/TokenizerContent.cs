using System.Security.Cryptography;
using System.Text.Json;

namespace DeepSeekOps.Recipes.Tokenizers;

/// <summary>
/// What a checked tokenizer.json says, however it is written: white space, order of keys, escapes, merges as words or as pairs, what is
/// left out because it is the usual, and fields that make no id (post_processor, truncation, padding) do not count. Files of one content
/// give the same ids for any text, and the same text for any ids.
/// </summary>
internal static class TokenizerContent
{
    private static readonly string[] ModelFlags = ["byte_fallback", "fuse_unk", "ignore_merges"];

    /// <returns>SHA-256, in hex.</returns>
    public static string Sha256Of(JsonElement root)
    {
        using var text = new MemoryStream();
        using (var writer = new Utf8JsonWriter(text))
        {
            writer.WriteStartObject();
            AddedTokenText.Write(root, writer);
            Step(root, "normalizer", writer);
            Step(root, "pre_tokenizer", writer);
            Step(root, "decoder", writer);
            Model(root.GetProperty("model"), writer);
            writer.WriteEndObject();
        }

        return Convert.ToHexStringLower(SHA256.HashData(text.GetBuffer().AsSpan(0, (int)text.Length)));
    }

    private static void Model(JsonElement model, Utf8JsonWriter writer)
    {
        writer.WriteStartObject("model");
        foreach (var flag in ModelFlags)
        {
            writer.WriteBoolean(flag, JsonText.Flag(model, flag, absent: false));
        }

        if (JsonText.Some(model, "unk_token") is { } unknown)
        {
            writer.WriteString("unk_token", unknown.GetString());
        }

        writer.WritePropertyName("vocab");
        Write(model.GetProperty("vocab"), writer);
        writer.WriteStartArray("merges");
        foreach (var merge in model.GetProperty("merges").EnumerateArray())
        {
            foreach (var part in TokenizerModel.Parts(merge))
            {
                writer.WriteStringValue(part);
            }
        }

        writer.WriteEndArray();
        writer.WriteEndObject();
    }

    private static void Step(JsonElement root, string field, Utf8JsonWriter writer)
    {
        writer.WritePropertyName(field);
        if (JsonText.Some(root, field) is { } step)
        {
            Write(step, writer, field);
        }
        else if (field == "decoder")
        {
            // A file without a decoder is read as one with this.
            writer.WriteStartObject();
            writer.WriteString("type", "ByteLevel");
            writer.WriteEndObject();
        }
        else
        {
            writer.WriteNullValue();
        }
    }

    /// <param name="field">Of the tokenizer, whose steps have members that may be left out; null: any JSON.</param>
    private static void Write(JsonElement value, Utf8JsonWriter writer, string? field = null)
    {
        switch (value.ValueKind)
        {
            case JsonValueKind.Object:
                var bytes = field is not null && JsonText.Some(value, "type") is { ValueKind: JsonValueKind.String } type
                    && type.GetString() == "ByteLevel";
                writer.WriteStartObject();
                foreach (var member in value.EnumerateObject().OrderBy(m => m.Name, StringComparer.Ordinal)
                    .Where(m => m.Value.ValueKind != JsonValueKind.Null && !(bytes && SaysNothing(m, field))))
                {
                    writer.WritePropertyName(member.Name);
                    Write(member.Value, writer, field);
                }

                writer.WriteEndObject();
                break;
            case JsonValueKind.Array:
                writer.WriteStartArray();
                foreach (var item in value.EnumerateArray())
                {
                    Write(item, writer, field);
                }

                writer.WriteEndArray();
                break;
            case JsonValueKind.String:
                writer.WriteStringValue(value.GetString());
                break;
            case JsonValueKind.Number when value.TryGetInt64(out var whole):
                writer.WriteNumberValue(whole);
                break;
            case JsonValueKind.Number:
                writer.WriteNumberValue(value.GetDouble());
                break;
            default:
                value.WriteTo(writer);
                break;
        }
    }

    /// <summary>Of a ByteLevel step: offsets make no id, only a pre_tokenizer looks at its flags, and splitting is usual.</summary>
    private static bool SaysNothing(JsonProperty member, string? field) => member.Name switch
    {
        "trim_offsets" => true,
        "use_regex" => field != "pre_tokenizer" || member.Value.ValueKind == JsonValueKind.True,
        "add_prefix_space" => field != "pre_tokenizer",
        _ => false,
    };
}
