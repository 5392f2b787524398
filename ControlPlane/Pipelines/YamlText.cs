using System.Text;
using System.Text.RegularExpressions;

namespace DeepSeekOps.ControlPlane.Pipelines;

/// <summary>Nodes to YAML: blocks for what is large, one line for what fits.</summary>
internal static partial class YamlText
{
    private const int Width = 110;

    public static string Of(TextNode.Mapping root)
    {
        var text = new StringBuilder();
        Block(root, 0, text);
        return text.ToString();
    }

    /// <summary>A value as it stands in one line.</summary>
    public static string Line(TextNode value) => OneLine(value);

    private static void Block(TextNode.Mapping mapping, int indent, StringBuilder text)
    {
        foreach (var (key, value) in mapping.Entries)
        {
            text.Append(' ', indent).Append(Word(key)).Append(':');
            Value(value, indent, text);
        }
    }

    private static void Value(TextNode value, int indent, StringBuilder text)
    {
        string line = OneLine(value);
        // A list of stages or pieces reads better one under the other, however short.
        bool fits = value is TextNode.Scalar
            || (line.Length + indent + 20 <= Width && value is not TextNode.Sequence { Items.Length: > 0 });
        if (fits)
        {
            text.Append(' ').Append(line).Append('\n');
            return;
        }
        text.Append('\n');
        if (value is TextNode.Mapping inner)
        {
            Block(inner, indent + 2, text);
        }
        else if (value is TextNode.Sequence list)
        {
            foreach (var item in list.Items)
            {
                Item(item, indent + 2, text);
            }
        }
    }

    private static void Item(TextNode item, int indent, StringBuilder text)
    {
        string line = OneLine(item);
        if (item is TextNode.Mapping mapping && (line.Length + indent + 2 > Width || mapping.Entries.Any(e => e.Key.Text == "kind")))
        {
            var block = new StringBuilder();
            Block(mapping, indent + 2, block);
            text.Append(' ', indent).Append("- ").Append(block, indent + 2, block.Length - indent - 2);
        }
        else
        {
            text.Append(' ', indent).Append("- ").Append(line).Append('\n');
        }
    }

    private static string OneLine(TextNode node) => node switch
    {
        TextNode.Mapping m => $"{{{string.Join(", ", m.Entries.Select(e => $"{Word(e.Key)}: {OneLine(e.Value)}"))}}}",
        TextNode.Sequence s => $"[{string.Join(", ", s.Items.Select(OneLine))}]",
        TextNode.Scalar s => Word(s),
        _ => throw new System.Diagnostics.UnreachableException(),
    };

    private static string Word(TextNode.Scalar scalar) => Plain().IsMatch(scalar.Text) && !scalar.Missing
        ? scalar.Text
        : $"\"{string.Concat(scalar.Text.Select(Escaped))}\"";

    private static string Escaped(char c) => c switch
    {
        '"' => "\\\"",
        '\\' => "\\\\",
        < ' ' or (>= '\x7f' and <= '\x9f') or '\u2028' or '\u2029' or '\ufeff' or (>= '\ud800' and <= '\udfff') or '\ufffe'
            or '\uffff' => $"\\u{(int)c:x4}",
        _ => c.ToString(),
    };

    /// <summary>Words that mean themselves in any YAML: no sign that could begin something else.</summary>
    [GeneratedRegex(@"^[A-Za-z0-9./_][A-Za-z0-9._/+-]*%?\z")]
    private static partial Regex Plain();
}
