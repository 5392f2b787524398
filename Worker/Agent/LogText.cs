using System.Globalization;
using System.Text;

namespace DeepSeekOps.Worker.Agent;

/// <summary>
/// agent.log holds what ranks said as they ended, rank-N.log what they printed. Their lines begin with a time and nothing else does:
/// further lines of a text begin deeper, and no control character gets into the files, which people read in a terminal.
/// </summary>
internal static class LogText
{
    private const string Further = "\n    | ";

    public static string Escaped(string text)
    {
        var escaped = new StringBuilder(text.Length);
        foreach (char c in text.ReplaceLineEndings("\n"))
        {
            bool special = char.GetUnicodeCategory(c) is UnicodeCategory.Control or UnicodeCategory.Format
                or UnicodeCategory.LineSeparator or UnicodeCategory.ParagraphSeparator;
            _ = c == '\n' ? escaped.Append(Further)
                : special ? escaped.Append(CultureInfo.InvariantCulture, $"\\u{(int)c:x4}") : escaped.Append(c);
        }

        return escaped.ToString();
    }
}
