using System.Diagnostics.CodeAnalysis;
using System.Text.Json.Nodes;

namespace DeepSeekOps.ControlPlane.Pipelines;

/// <summary>A named part of a mapping.</summary>
/// <param name="Doc">One sentence; it is the hover text in editors and the line in docs/pipeline.md.</param>
internal abstract record Field<TOwner>(string Name, bool Required, string Doc)
{
    /// <summary>Written even where it is the usual value: people look for it.</summary>
    public bool Always { get; init; }

    /// <summary>
    /// What it was called in an earlier version: files that say so are still read, and written anew they say it as it is now.
    /// </summary>
    public string? Former { get; init; }

    /// <summary>A value that cannot be used leaves the owner as it is; the problem is told to <paramref name="reading"/>.</summary>
    public abstract void Read(TextNode node, string path, Reading reading, ref TOwner owner);

    /// <summary>Null where it is as in <paramref name="baseline"/> and need not be said.</summary>
    public abstract TextNode? Write(TOwner owner, TOwner baseline, Inheritance inherited);

    public abstract JsonObject Schema();

    public abstract string InWords { get; }
}

/// <param name="Get">The value, or none where the owner has none.</param>
internal sealed record Field<TOwner, T>(
    string Name, bool Required, string Doc, Notation<T> Notation, Func<TOwner, (bool Has, T Value)> Get, Func<TOwner, T, TOwner> Set)
    : Field<TOwner>(Name, Required, Doc)
{
    public override string InWords => Notation.InWords;

    public override void Read(TextNode node, string path, Reading reading, ref TOwner owner)
    {
        if (Notation.TryRead(node, path, reading, out var value))
        {
            owner = Set(owner, value);
        }
    }

    public override TextNode? Write(TOwner owner, TOwner baseline, Inheritance inherited)
    {
        var (has, value) = Get(owner);
        var (usual, unsaid) = Get(baseline);
        return !has || (!Required && !Always && !inherited.Full && usual && EqualityComparer<T>.Default.Equals(value, unsaid)) ? null
            : Notation.Write(value, inherited);
    }

    public override JsonObject Schema()
    {
        var schema = Notation.Schema();
        schema["description"] = Doc;
        return schema;
    }
}

/// <summary>A record, written as "name: value" pairs. This table is all that is known of it.</summary>
/// <param name="what">"a batch ramp"</param>
/// <param name="empty">The record with every default.</param>
/// <param name="inherits">In a stage, the defaults are what the pipeline says.</param>
internal sealed class Mapping<T>(string what, T empty, bool inherits = false) : Notation<T>
    where T : class
{
    private readonly List<Field<T>> fields = [];

    public IReadOnlyList<Field<T>> Fields => fields;

    public override string InWords => $"{what} ({string.Join(", ", fields.Select(f => f.Name))})";

    public Mapping<T> With<TValue>(string name, Notation<TValue> notation, Func<T, TValue> get, Func<T, TValue, T> set, string doc,
        bool required = false, bool always = false)
    {
        fields.Add(new Field<T, TValue>(name, required, doc, notation, owner => (true, get(owner)), set) { Always = always });
        return this;
    }

    /// <summary>The field before was called so in an earlier version.</summary>
    public Mapping<T> Formerly(string name)
    {
        fields[^1] = fields[^1] with { Former = name };
        return this;
    }

    /// <summary>A value that may be absent.</summary>
    public Mapping<T> Maybe<TValue>(string name, Notation<TValue> notation, Func<T, TValue?> get, Func<T, TValue, T> set, string doc)
        where TValue : struct
    {
        fields.Add(new Field<T, TValue>(name, false, doc, notation, owner => (get(owner).HasValue, get(owner).GetValueOrDefault()), set));
        return this;
    }

    /// <summary>A record that may be absent.</summary>
    public Mapping<T> MaybeRecord<TValue>(string name, Notation<TValue> notation, Func<T, TValue?> get, Func<T, TValue, T> set, string doc)
        where TValue : class
    {
        fields.Add(new Field<T, TValue>(name, false, doc, notation, owner => (get(owner) is not null, get(owner)!), set));
        return this;
    }

    public override bool TryRead(TextNode node, string path, Reading reading, [MaybeNullWhen(false)] out T value)
    {
        value = null;
        reading.Place(path, node);
        if (node is not TextNode.Mapping mapping)
        {
            reading.Refuse(node, path, $"Expected {what} here.", $"Write {InWords} as 'name: value' pairs.");
            return false;
        }
        value = inherits ? reading.Inherited.Baseline(empty) : empty;
        MappingKeys.Check(mapping, path, reading, [.. fields.Select(f => f.Name)], what,
            fields.Where(f => f.Former is not null).ToDictionary(f => f.Former!, f => f.Name));
        ReadFields(mapping, path, reading, ref value);
        if (inherits)
        {
            reading.Inherited.Remember(value);
        }
        return true;
    }

    /// <summary>Reads this table's own fields and leaves others alone.</summary>
    public void ReadFields(TextNode.Mapping mapping, string path, Reading reading, ref T value)
    {
        foreach (var field in fields)
        {
            string at = MappingKeys.Path(path, field.Name);
            var node = mapping.Entries.FirstOrDefault(e => e.Key.Text == field.Name || e.Key.Text == field.Former).Value;
            if (node is not null)
            {
                field.Read(node, at, reading, ref value);
            }
            else if (field.Required)
            {
                reading.Refuse(mapping, at, $"'{field.Name}' is missing in {what}.", $"Add '{field.Name}:' with {field.InWords}.");
            }
        }
    }

    public override TextNode Write(T value, Inheritance inherited)
    {
        var baseline = inherits ? inherited.Baseline(empty) : empty;
        if (inherits)
        {
            inherited.Remember(value);
        }
        return new TextNode.Mapping([.. WriteFields(value, baseline, inherited)]);
    }

    public IEnumerable<(TextNode.Scalar, TextNode)> WriteFields(T value, T baseline, Inheritance inherited)
    {
        foreach (var field in fields)
        {
            if (field.Write(value, baseline, inherited) is { } node)
            {
                yield return (new TextNode.Scalar(field.Name, Quoted: false), node);
            }
        }
    }

    public override JsonObject Schema() => MappingKeys.Schema(
        fields.Select(f => (f.Name, f.Schema())).Concat(fields.Where(f => f.Former is not null).Select(f => (f.Former!, Earlier(f)))),
        fields.Where(f => f.Required).Select(f => f.Name));

    private static JsonObject Earlier(Field<T> field)
    {
        var schema = field.Schema();
        schema["description"] = $"Earlier name of '{field.Name}'.";
        schema["deprecated"] = true;
        return schema;
    }
}

/// <summary>What all mappings share, whatever record they stand for.</summary>
internal static class MappingKeys
{
    public static string Path(string path, string name) => path.Length == 0 ? name : $"{path}.{name}";

    /// <summary>Unknown keys and keys that stand twice are problems.</summary>
    /// <param name="former">Earlier names, and what they are called now.</param>
    public static void Check(TextNode.Mapping mapping, string path, Reading reading, IReadOnlyCollection<string> known, string what,
        IReadOnlyDictionary<string, string>? former = null)
    {
        var seen = new Dictionary<string, TextNode.Scalar>();
        foreach (var (key, _) in mapping.Entries)
        {
            string at = Path(path, key.Shown);
            string name = former?.GetValueOrDefault(key.Text) ?? key.Text;
            if (!seen.TryAdd(name, key))
            {
                string twice = seen[name].Text == key.Text ? $"'{key.Shown}' is given twice"
                    : $"'{seen[name].Shown}' and '{key.Shown}' are one key by an earlier and its present name";
                reading.Refuse(key, at, $"{twice}, first in line {seen[name].Line}.", "Keep one of them.");
            }
            else if (!known.Contains(name))
            {
                reading.Refuse(key, at, $"Unknown key '{key.Shown}' in {what}.", Words.Suggest(key.Text, known));
            }
        }
    }

    public static JsonObject Schema(IEnumerable<(string Name, JsonObject Schema)> properties, IEnumerable<string> required)
    {
        var schema = new JsonObject
        {
            ["type"] = "object",
            ["additionalProperties"] = false,
            ["properties"] = new JsonObject(properties.Select(p => KeyValuePair.Create<string, JsonNode?>(p.Name, p.Schema))),
        };
        if (required.Any())
        {
            schema["required"] = new JsonArray([.. required.Select(name => JsonValue.Create(name))]);
        }
        return schema;
    }
}
