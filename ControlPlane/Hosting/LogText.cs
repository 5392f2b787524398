using System.Globalization;
using System.Text;

namespace DeepSeekOps.ControlPlane.Hosting;

/// <summary>
/// What stands in a log line may come from anywhere, a rank's exception for one. A line begins with its time and nothing else does: line
/// ends in a message are escaped, the lines of a stack begin with <see cref="Further"/>, and no control character gets into the file.
/// </summary>
internal static class LogText
{
    public const string Further = "    | ";

    public static string OfMessage(string text) => Escaped(text);

    public static string OfFailure(Exception failure) =>
        string.Concat(failure.ToString().Split('\n').Select(line => Environment.NewLine + Further + Escaped(line.TrimEnd('\r'))));

    private static string Escaped(string text)
    {
        if (!text.Any(IsSpecial))
        {
            return text;
        }

        var escaped = new StringBuilder(text.Length + 16);
        foreach (char c in text)
        {
            _ = c switch
            {
                '\n' => escaped.Append("\\n"),
                '\r' => escaped.Append("\\r"),
                '\t' => escaped.Append("\\t"),
                _ when IsSpecial(c) => escaped.Append(CultureInfo.InvariantCulture, $"\\u{(int)c:x4}"),
                _ => escaped.Append(c),
            };
        }

        return escaped.ToString();
    }

    private static bool IsSpecial(char c) => char.GetUnicodeCategory(c) is UnicodeCategory.Control or UnicodeCategory.Format
        or UnicodeCategory.LineSeparator or UnicodeCategory.ParagraphSeparator;
}
