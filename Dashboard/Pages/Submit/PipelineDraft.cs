using System.Collections.Immutable;
using YamlDotNet.Core;
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
            var yaml = new YamlStream();
            yaml.Load(new StringReader(text));
            return yaml.Documents is [{ RootNode: YamlMappingNode root }, ..]
                ? new(text, SectionsOf(root), null)
                : new(text, [], "The file has no fields yet.");
        }
        catch (YamlException fault)
        {
            return new(text, [], $"Line {fault.Start.Line}: {fault.Message}");
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
            var name = ((YamlScalarNode)key).Value ?? "";
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
                select new DraftField(prefix + key, key, ((YamlScalarNode)c.Value).Value ?? "", (int)c.Value.Start.Index, (int)c.Value.End.Index)],
            [.. shown.Where(c => c.Value is not YamlScalarNode).Select(c => ((YamlScalarNode)c.Key).Value ?? "")]);
    }

    private static string Scalar(YamlMappingNode node, string key) =>
        node.Children.TryGetValue(new YamlScalarNode(key), out var value) && value is YamlScalarNode { Value: { } text } ? text : "";

    /// <summary>Plain where YAML reads it back as the same characters, else in double quotes.</summary>
    private static string Written(string value)
    {
        // In braces too, so that a value with a comma stays one value inside {a: 1, b: 2}.
        return Reads($"k: {value}") && Reads($"{{k: {value}}}")
            ? value
            : $"\"{value.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\"", "\\\"", StringComparison.Ordinal)}\"";

        bool Reads(string line)
        {
            try
            {
                var yaml = new YamlStream();
                yaml.Load(new StringReader(line));
                return value.Length > 0 && yaml.Documents[0].RootNode is YamlMappingNode { Children.Count: 1 } map && Scalar(map, "k") == value;
            }
            catch (YamlException)
            {
                return false;
            }
        }
    }
}
