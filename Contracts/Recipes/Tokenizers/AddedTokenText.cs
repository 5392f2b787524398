using System.Text.Json;

namespace DeepSeekOps.Recipes.Tokenizers;

/// <summary>Writes the added tokens of a checked tokenizer.json with all that older files leave out.</summary>
public static class AddedTokenText
{
    private static readonly string[] Flags = ["lstrip", "rstrip", "single_word"];

    /// <summary>As the member "added_tokens". Their order counts: of two that begin alike the first one is looked for first.</summary>
    public static void Write(JsonElement root, Utf8JsonWriter writer)
    {
        writer.WriteStartArray("added_tokens");
        if (JsonText.Some(root, "added_tokens") is { } added)
        {
            foreach (var token in added.EnumerateArray())
            {
                var special = JsonText.Flag(token, "special", absent: false);
                writer.WriteStartObject();
                writer.WriteNumber("id", token.GetProperty("id").GetInt32());
                writer.WriteString("content", JsonText.Word(token, "content"));
                foreach (var flag in Flags)
                {
                    writer.WriteBoolean(flag, JsonText.Flag(token, flag, absent: false));
                }

                // The library's own rule for a token that does not say: marks are looked for in the text as it is, words in what
                // normalising made of it.
                writer.WriteBoolean("normalized", JsonText.Flag(token, "normalized", absent: !special));
                writer.WriteBoolean("special", special);
                writer.WriteEndObject();
            }
        }

        writer.WriteEndArray();
    }
}
