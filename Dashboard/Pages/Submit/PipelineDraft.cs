using System.Collections.Immutable;
using YamlDotNet.Core;
using YamlDotNet.Core.Events;
using YamlDotNet.RepresentationModel;

namespace DeepSeekOps.Dashboard.Pages.Submit;

/// <summary>A scalar of the file and where it stands in the text.</summary>
public sealed record DraftField(string Path, string Key, string Value, int Start, int End);

/// <summary>What one box of the form shows: a part of the file with its scalars, and the names of what is too deep for a form.</summary>
public sealed record DraftSection(string Path, string Title, ImmutableArray<DraftField> Fields, ImmutableArray<string> Deeper);

/// <summary>The file as text, seen as a form. The text alone holds the state: a change in the form replaces the characters of
/// one value, so comments, order and everything the form does not show stay as they were written.</summary>
public sealed class PipelineDraft
{
    /// <summary>A pipeline needs six levels, the stream and its document two; the control plane's reader has the same limit.</summary>
    private const int DepthMax = 24;

    private PipelineDraft(string text, ImmutableArray<DraftSection> sections, string? broken) =>
        (Text, Sections, Broken) = (text, sections, broken);

    public string Text { get; }

    public ImmutableArray<DraftSection> Sections { get; }

    /// <summary>Why there is no form at the moment: the text is no YAML yet.</summary>
    public string? Broken { get; }

    public static PipelineDraft Read(string text)
    {
        try
        {
            return Load(text).Documents is [{ RootNode: YamlMappingNode root }, ..]
                ? new(text, SectionsOf(root), null)
                : new(text, [], "The file has no fields yet.");
        }
        catch (Exception fault) when (IsNoYaml(fault))
        {
            return new(text, [],
                fault is YamlException { Start.Line: var line } ? $"Line {line}: {fault.Message}" : "This is not YAML yet.");
        }
    }

    public DraftField? Find(string path) => Sections.SelectMany(s => s.Fields).FirstOrDefault(f => f.Path == path);

    /// <summary>The text with one value replaced; unchanged where the file has no such field.</summary>
    public string With(string path, string value) => Find(path) is { } field
        ? string.Concat(Text.AsSpan(0, field.Start), Written(value), Text.AsSpan(field.End))
        : Text;

    private static ImmutableArray<DraftSection> SectionsOf(YamlMappingNode root)
    {
        var sections = ImmutableArray.CreateBuilder<DraftSection>();
        sections.Add(Section("", "Run", root, skip: n => n is not YamlScalarNode));
        foreach (var (key, value) in root.Children)
        {
            var name = (key as YamlScalarNode)?.Value ?? "";
            if (value is YamlMappingNode part)
            {
                sections.Add(Section(name, char.ToUpperInvariant(name[0]) + name[1..], part, skip: _ => false));
            }
            else if (value is YamlSequenceNode list && name == "stages")
            {
                sections.AddRange(list.Children.OfType<YamlMappingNode>().Select((stage, i) =>
                    Section($"stages[{i}]", $"Stage {i + 1}: {Scalar(stage, "name")}", stage, skip: _ => false)));
            }
        }
        return sections.ToImmutable();
    }

    private static DraftSection Section(string path, string title, YamlMappingNode node, Func<YamlNode, bool> skip)
    {
        var prefix = path.Length == 0 ? "" : path + ".";
        var shown = node.Children.Where(c => c.Key is YamlScalarNode && !skip(c.Value)).ToList();
        return new(
            path,
            title,
            [.. from c in shown
                where c.Value is YamlScalarNode { Style: not (ScalarStyle.Literal or ScalarStyle.Folded) }
                let key = ((YamlScalarNode)c.Key).Value
                where key != "apiVersion"
                select new DraftField(prefix + key, key, ((YamlScalarNode)c.Value).Value ?? "", (int)c.Value.Start.Index,
                    (int)c.Value.End.Index)],
            [.. shown.Where(c => c.Value is not YamlScalarNode).Select(c => ((YamlScalarNode)c.Key).Value ?? "")]);
    }

    /// <summary>The text as a tree. What the tree may hold is asked before it is built: building and hashing it recurse,
    /// and a stack that overflows ends the program with everybody's pages.</summary>
    /// <exception cref="YamlException">Nested too deeply, or an alias, which pipelines do not have and which can make circles.</exception>
    private static YamlStream Load(string text)
    {
        var depth = 0;
        for (var events = new Parser(new StringReader(text)); events.MoveNext();)
        {
            var current = events.Current!;
            depth += current.NestingIncrease;
            if (depth > DepthMax || current is AnchorAlias)
            {
                throw new YamlException(current.Start, current.End,
                    depth > DepthMax ? $"nested deeper than {DepthMax} levels" : "aliases are not read; write the value again");
            }
        }
        var yaml = new YamlStream();
        yaml.Load(new StringReader(text));
        return yaml;
    }

    /// <summary>YamlDotNet's guards and character tables throw these, beside its own exception, on some broken texts.</summary>
    private static bool IsNoYaml(Exception fault) =>
        fault is YamlException or ArgumentException or InvalidOperationException or IndexOutOfRangeException;

    private static string Scalar(YamlMappingNode node, string key) =>
        node.Children.TryGetValue(new YamlScalarNode(key), out var value) && value is YamlScalarNode { Value: { } text } ? text : "";

    /// <summary>Plain where YAML reads it back as the same characters, else in double quotes.</summary>
    private static string Written(string value)
    {
        // In braces too, so that a value with a comma stays one value inside {a: 1, b: 2}.
        if (Reads($"k: {value}") && Reads($"{{k: {value}}}"))
        {
            return value;
        }

        string escaped = value.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\"", "\\\"", StringComparison.Ordinal)
            .Replace("\n", "\\n", StringComparison.Ordinal);
        return $"\"{escaped}\"";

        bool Reads(string line)
        {
            try
            {
                return value.Length > 0 && Load(line).Documents[0].RootNode is YamlMappingNode { Children.Count: 1 } map
                    && Scalar(map, "k") == value;
            }
            catch (Exception fault) when (IsNoYaml(fault))
            {
                return false;
            }
        }
    }
}
