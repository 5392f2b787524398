using System.Collections.Immutable;
using System.Diagnostics.CodeAnalysis;
using System.Text.Json.Nodes;

namespace DeepSeekOps.ControlPlane.Pipelines;

/// <summary>The same words for another type: an int that is written as a count.</summary>
internal sealed class ProjectedNotation<TWritten, T>(Notation<TWritten> written, Func<TWritten, T> into,
    Func<T, TWritten> from) : Notation<T>
{
    public override string InWords => written.InWords;

    public override bool TryRead(TextNode node, string path, Reading reading, [MaybeNullWhen(false)] out T value)
    {
        bool read = written.TryRead(node, path, reading, out var raw);
        value = read ? into(raw!) : default;
        return read;
    }

    public override TextNode Write(T value, Inheritance inherited) => written.Write(from(value), inherited);

    public override JsonObject Schema() => written.Schema();
}

/// <summary>Values in order.</summary>
internal sealed class ListNotation<T>(Notation<T> item, int min, int max, string what) : Notation<ImmutableArray<T>>
{
    public override string InWords => $"a list of {what}";

    public override bool TryRead(TextNode node, string path, Reading reading, out ImmutableArray<T> value)
    {
        value = [];
        reading.Place(path, node);
        if (node is not TextNode.Sequence list)
        {
            reading.Refuse(node, path, $"Expected {InWords} here.", "Begin each item with '- ' on a line of its own.");
            return false;
        }
        if (list.Items.Length < min || list.Items.Length > max)
        {
            reading.Refuse(node, path, $"The list has {list.Items.Length} items.", $"Write {min} to {max} {what}.");
            return false;
        }
        var items = ImmutableArray.CreateBuilder<T>(list.Items.Length);
        bool all = true;
        for (int i = 0; i < list.Items.Length; i++)
        {
            all &= item.TryRead(list.Items[i], $"{path}[{i}]", reading, out var one);
            items.Add(one!);
        }
        value = items.MoveToImmutable();
        return all;
    }

    public override TextNode Write(ImmutableArray<T> value, Inheritance inherited) =>
        new TextNode.Sequence([.. value.Select(v => item.Write(v, inherited))]);

    public override JsonObject Schema() =>
        new() { ["type"] = "array", ["items"] = item.Schema(), ["minItems"] = min, ["maxItems"] = max };
}

/// <summary>A short form of one word beside the full one: "batchSize: 8" for "batchSize: {from: 8, to: 8}".</summary>
internal sealed class ShortOrFull<T>(Notation<T> brief, Func<T, bool> isBrief, Notation<T> full,
    Func<TextNode, bool> looksBrief) : Notation<T>
{
    public override string InWords => $"{brief.InWords}, or {full.InWords}";

    public override bool TryRead(TextNode node, string path, Reading reading, [MaybeNullWhen(false)] out T value) =>
        (looksBrief(node) ? brief : full).TryRead(node, path, reading, out value);

    public override TextNode Write(T value, Inheritance inherited) => (isBrief(value) ? brief : full).Write(value, inherited);

    public override JsonObject Schema() => new() { ["anyOf"] = new JsonArray(brief.Schema(), full.Schema()) };
}
