using System.Diagnostics.CodeAnalysis;
using System.Text.Json;

namespace DeepSeekOps.Recipes;

/// <summary>
/// What the readers of JSON here have in common. What is wrong is thrown as a FormatException in words, and told with its file by who reads
/// it.
/// </summary>
internal static class JsonText
{
    public const string NotJson = "it is not JSON, is cut off, or has a key twice";

    /// <summary>A key that stands twice is read differently by different readers.</summary>
    public static readonly JsonDocumentOptions Strict = new() { AllowDuplicateProperties = false };

    private static ReadOnlySpan<byte> Mark => [0xEF, 0xBB, 0xBF];

    /// <summary>The text without the byte order mark that Windows tools put in front.</summary>
    public static ReadOnlyMemory<byte> WithoutMark(ReadOnlyMemory<byte> text) => text.Span.StartsWith(Mark) ? text[Mark.Length..] : text;

    public static void Require([DoesNotReturnIf(false)] bool holds, string otherwise)
    {
        if (!holds)
        {
            throw new FormatException(otherwise);
        }
    }

    /// <summary>The member; null where it is absent or null.</summary>
    public static JsonElement? Some(JsonElement from, string field) =>
        from.TryGetProperty(field, out var value) && value.ValueKind != JsonValueKind.Null ? value : null;

    public static JsonElement Object(JsonElement from, string field) =>
        Some(from, field) is { ValueKind: JsonValueKind.Object } found ? found
        : throw new FormatException($"\"{field}\" is not an object");

    public static string Word(JsonElement from, string field) =>
        Some(from, field) is { ValueKind: JsonValueKind.String } found ? found.GetString()!
        : throw new FormatException($"\"{field}\" is not a text");

    public static bool Flag(JsonElement from, string field, bool absent) => Some(from, field) switch
    {
        null => absent,
        { ValueKind: JsonValueKind.True } => true,
        { ValueKind: JsonValueKind.False } => false,
        { } other => throw new FormatException($"{field} is {Short(other.GetRawText())}; true or false is wanted"),
    };

    public static string Short(string text) => text.Length <= 80 ? text : text[..80] + "…";
}
