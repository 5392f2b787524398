using System.Collections.Immutable;
using DeepSeekOps.Decisions.Recipes;

namespace DeepSeekOps.ControlPlane.Pipelines;

/// <param name="Path">Such as "stages[pretrain].seed".</param>
/// <param name="Values">Of each pipeline, in their order; "left out" where one has no such field.</param>
public sealed record DifferentField(string Path, ImmutableArray<string> Values);

/// <summary>How pipelines differ, a line for each field.</summary>
public static class PipelineDiff
{
    private const string Unsaid = "left out";

    /// <summary>Empty where both are the same pipeline, however each was written.</summary>
    public static ImmutableArray<string> Between(PipelineSpec before, PipelineSpec after) =>
        [.. Fields([before, after]).Select(field => $"{field.Path}: {field.Values[0]} -> {field.Values[1]}")];

    /// <summary>Fields that are not the same in all of them, in the order of the first that says them, with each one's value.</summary>
    public static ImmutableArray<DifferentField> Fields(IReadOnlyList<PipelineSpec> specs)
    {
        // What one text leaves out has a value all the same.
        var each = specs.Select(spec => (Said: Flat(spec), Full: Flat(spec, full: true))).ToList();
        return [.. each.SelectMany(one => one.Said.Keys).Distinct()
            .Select(path => new DifferentField(path, [.. each.Select(one => ValueOf(path, one.Said, one.Full))]))
            .Where(field => field.Values.Distinct().Count() > 1)];
    }

    /// <summary>Every field with its value, also those that the text leaves out.</summary>
    public static ImmutableArray<KeyValuePair<string, string>> Full(PipelineSpec spec) => [.. Flat(spec, full: true)];

    private static string ValueOf(string path, Dictionary<string, string> said, Dictionary<string, string> full) =>
        said.GetValueOrDefault(path) ?? full.GetValueOrDefault(path, Unsaid);

    private static Dictionary<string, string> Flat(PipelineSpec spec, bool full = false)
    {
        var flat = new Dictionary<string, string>();
        Walk(PipelineNotation.Pipeline.Write(spec, new Inheritance { Full = full, Resolved = true }), "", flat);
        return flat;
    }

    private static void Walk(TextNode node, string path, Dictionary<string, string> flat)
    {
        switch (node)
        {
            case TextNode.Mapping mapping:
                foreach (var (key, value) in mapping.Entries)
                {
                    Walk(value, MappingKeys.Path(path, key.Text), flat);
                }
                break;
            case TextNode.Sequence list:
                for (int i = 0; i < list.Items.Length; i++)
                {
                    Walk(list.Items[i], $"{path}[{NameOf(list.Items[i]) ?? $"{i}"}]", flat);
                }
                break;
            case TextNode.Scalar scalar:
                flat[path] = scalar.Text;
                break;
        }
    }

    /// <summary>Stages and phases go by name, so that one put in between does not make all later ones differ.</summary>
    private static string? NameOf(TextNode node) =>
        node is TextNode.Mapping m && m.Entries.FirstOrDefault(e => e.Key.Text == "name").Value is TextNode.Scalar name ? name.Text : null;
}
