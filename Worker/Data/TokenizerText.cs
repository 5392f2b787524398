using System.Text.Json;
using System.Text.Json.Nodes;

namespace DeepSeekOps.Worker.Data;

/// <summary>
/// A checked tokenizer.json as the library is to have it: its ids are those of the text alone. What transformers switches off when it
/// encodes a text by itself (marks around it, cutting, padding) is left out, what older files leave out is said.
/// </summary>
internal static class TokenizerText
{
    public static byte[] ForLibrary(ReadOnlyMemory<byte> text)
    {
        using var document = JsonDocument.Parse(JsonText.WithoutMark(text));
        var root = document.RootElement;
        using var buffer = new MemoryStream(text.Length);
        using (var writer = new Utf8JsonWriter(buffer))
        {
            writer.WriteStartObject();
            writer.WriteString("version", "1.0");
            foreach (var left in (string[])["truncation", "padding", "post_processor"])
            {
                writer.WriteNull(left);
            }

            AddedTokenText.Write(root, writer);
            Copy(root, "normalizer", writer);
            Steps(root, "pre_tokenizer", writer);
            Steps(root, "decoder", writer);
            Copy(root, "model", writer);
            writer.WriteEndObject();
        }

        return buffer.ToArray();
    }

    /// <summary>The steps, with what the library asks for and what makes no id: older files leave it out.</summary>
    private static void Steps(JsonElement root, string field, Utf8JsonWriter writer)
    {
        // Without a decoder the library would put spaces between tokens.
        var steps = JsonText.Some(root, field) is { } some ? JsonNode.Parse(some.GetRawText())! : new JsonObject { ["type"] = "ByteLevel" };
        Complete(steps.AsObject(), field == "decoder");
        writer.WritePropertyName(field);
        steps.WriteTo(writer);
    }

    private static void Complete(JsonObject step, bool decodes)
    {
        foreach (var inner in (step["pretokenizers"] ?? step["decoders"])?.AsArray() ?? [])
        {
            Complete(inner!.AsObject(), decodes);
        }

        if (step["type"]!.GetValue<string>() == "ByteLevel")
        {
            step["trim_offsets"] ??= true;
            step["add_prefix_space"] ??= decodes ? false : null;
        }
    }

    private static void Copy(JsonElement root, string field, Utf8JsonWriter writer)
    {
        writer.WritePropertyName(field);
        if (JsonText.Some(root, field) is { } value)
        {
            value.WriteTo(writer);
        }
        else
        {
            writer.WriteNullValue();
        }
    }
}
