namespace DeepSeekOps.ControlPlane.Pipelines;

/// <summary>
/// A value that takes the place of the text's: "stages.pretrain.tokens" and "300Ki". Items of a list go by name, or by number from 0.
/// </summary>
public sealed record PipelineSetting(string Path, string Value)
{
    /// <summary>The text as if the value stood in it, so that it is checked like any other.</summary>
    internal TextNode In(TextNode root, Reading reading) => In(root, Path.Split('.'), 0, root, reading);

    private TextNode In(TextNode? node, string[] keys, int depth, TextNode place, Reading reading)
    {
        if (depth == keys.Length)
        {
            return Written(node ?? place, reading);
        }
        switch (node)
        {
            case TextNode.Sequence list:
                int index = IndexOf(list, keys[depth]);
                if (index < 0)
                {
                    string known = string.Join(", ", list.Items.Select((item, i) => NameOf(item) ?? $"{i}"));
                    return Refused(list, reading, $"{Upto(keys, depth)} has no '{keys[depth]}'.", $"There are: {known}.");
                }
                return list with { Items = list.Items.SetItem(index, In(list.Items[index], keys, depth + 1, list.Items[index], reading)) };
            case TextNode.Mapping mapping:
                int at = mapping.Entries.ToList().FindIndex(entry => entry.Key.Text == keys[depth]);
                return at < 0
                    ? mapping with
                    {
                        Entries =
                            mapping.Entries.Add(
                                (new TextNode.Scalar(keys[depth], true, place.Line, place.Column),
                                    In(null, keys, depth + 1, place, reading))),
                    }
                    : mapping with
                    {
                        Entries =
                            mapping.Entries.SetItem(at,
                                (mapping.Entries[at].Key,
                                    In(mapping.Entries[at].Value, keys, depth + 1, mapping.Entries[at].Value, reading))),
                    };
            case null:
                return new TextNode.Mapping(
                    [(new TextNode.Scalar(keys[depth], true, place.Line, place.Column), In(null, keys, depth + 1, place, reading))],
                    place.Line, place.Column);
            default:
                return Refused(node, reading, $"{Upto(keys, depth)} is '{node.Shown}', which has no '{keys[depth]}'.",
                    "Set the whole of it.");
        }
    }

    /// <summary>A path of data may hold signs that mean something in YAML; only what begins as a list or mapping is read as one.</summary>
    private TextNode Written(TextNode place, Reading reading)
    {
        if (Value is not (['{', ..] or ['[', ..]))
        {
            return new TextNode.Scalar(Value, false, place.Line, place.Column);
        }
        var (node, problem) = PipelineReader.Read(Value);
        return node ?? Refused(place, reading, problem!.Message, problem.Fix);
    }

    private TextNode Refused(TextNode at, Reading reading, string message, string fix)
    {
        reading.Refuse(at, Path, message, fix);
        return at;
    }

    private static string Upto(string[] keys, int depth) => depth == 0 ? "The text" : $"'{string.Join('.', keys.Take(depth))}'";

    private static int IndexOf(TextNode.Sequence list, string key)
    {
        int named = list.Items.ToList().FindIndex(item => NameOf(item) == key);
        return named >= 0 ? named : int.TryParse(key, out int number) && number >= 0 && number < list.Items.Length ? number : -1;
    }

    private static string? NameOf(TextNode item) =>
        item is TextNode.Mapping mapping && mapping.Entries.FirstOrDefault(entry => entry.Key.Text == "name").Value is TextNode.Scalar name
            ? name.Text : null;
}
