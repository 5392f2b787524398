using System.Diagnostics.CodeAnalysis;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;

namespace DeepSeekOps.ControlPlane.Pipelines;

/// <summary>A value of one word.</summary>
internal abstract class ScalarNotation<T> : Notation<T>
{
    /// <summary>The value, or what is wrong with the word and what to write.</summary>
    protected abstract bool TryParse(string text, [MaybeNullWhen(false)] out T value, out string message, out string fix);

    public abstract string Format(T value);

    public override bool TryRead(TextNode node, string path, Reading reading, [MaybeNullWhen(false)] out T value)
    {
        value = default;
        reading.Place(path, node);
        if (node is not TextNode.Scalar scalar)
        {
            reading.Refuse(node, path, $"This is {(node is TextNode.Sequence ? "a list" : "a mapping")}.", $"Write {InWords}.");
            return false;
        }
        if (scalar.Missing)
        {
            reading.Refuse(node, path, "The value is missing.", $"Write {InWords}.");
            return false;
        }
        if (TryParse(scalar.Text, out value, out string message, out string fix))
        {
            return true;
        }
        reading.Refuse(node, path, message, fix);
        return false;
    }

    public override TextNode Write(T value, Inheritance inherited) => new TextNode.Scalar(Format(value), Quoted: false);
}

internal sealed class FlagNotation : ScalarNotation<bool>
{
    public override string InWords => "true or false";

    protected override bool TryParse(string text, out bool value, out string message, out string fix)
    {
        value = text is "true" or "True" or "TRUE";
        (message, fix) = ($"'{text}' is neither true nor false.", "Write true or false.");
        return value || text is "false" or "False" or "FALSE";
    }

    public override string Format(bool value) => value ? "true" : "false";

    public override JsonObject Schema() => new() { ["type"] = "boolean" };
}

/// <summary>Free text of a given form.</summary>
/// <param name="form">What the whole text is; a pattern without anchors.</param>
internal sealed class TextNotation(string inWords, string form) : ScalarNotation<string>
{
    // \z, since in .NET $ also matches before a last line feed; to editors, whose patterns are JavaScript's, $ is the end.
    private readonly Regex whole = new($@"^{form}\z", RegexOptions.CultureInvariant, TimeSpan.FromSeconds(1));

    public override string InWords => inWords;

    protected override bool TryParse(string text, [MaybeNullWhen(false)] out string value, out string message, out string fix)
    {
        (value, message, fix) = (text, $"'{text}' is not allowed here.", $"Write {InWords}.");
        return whole.IsMatch(text);
    }

    public override string Format(string value) => value;

    public override JsonObject Schema() => new() { ["type"] = new JsonArray("string", "number"), ["pattern"] = $"^{form}$" };
}

/// <summary>One of a few words.</summary>
internal sealed class ChoiceNotation<T>(params (string Word, T Value)[] choices) : ScalarNotation<T>
    where T : notnull
{
    public override string InWords => $"one of: {string.Join(", ", choices.Select(c => c.Word))}";

    protected override bool TryParse(string text, [MaybeNullWhen(false)] out T value, out string message, out string fix)
    {
        int index = Array.FindIndex(choices, c => c.Word == text);
        value = index >= 0 ? choices[index].Value : default;
        (message, fix) = ($"'{text}' is unknown here.", Words.Suggest(text, choices.Select(c => c.Word)));
        return index >= 0;
    }

    public override string Format(T value) => Array.Find(choices, c => c.Value.Equals(value)).Word;

    public override JsonObject Schema() => new() { ["enum"] = new JsonArray([.. choices.Select(c => JsonValue.Create(c.Word))]) };
}
