using System.Globalization;
using System.Text;

namespace DeepSeekOps.ControlPlane.Client;

/// <summary>
/// Text from outside (names, log lines, reasons, exceptions of ranks) as a terminal may show it: without what moves the cursor, changes
/// colours and titles (C0, C1), turns the direction of what follows (bidi and other invisible marks) or is half a character.
/// </summary>
public static class PlainText
{
    public static string Of(string text, bool lines = false, bool escapes = false)
    {
        int first = 0;
        while (first < text.Length && IsPlain(text, first, lines, escapes))
        {
            first++;
        }

        string plain = first == text.Length ? text : Replaced(text, first, lines, escapes);
        return plain == text ? text : plain;
    }

    /// <summary>JSON says the same with escapes, so a script loses nothing.</summary>
    public static string InJson(string json)
    {
        if (ReferenceEquals(Of(json, lines: true), json))
        {
            return json;
        }

        var plain = new StringBuilder(json.Length);
        for (int i = 0; i < json.Length; i++)
        {
            bool pair = char.IsHighSurrogate(json[i]) && i + 1 < json.Length && char.IsLowSurrogate(json[i + 1]);
            string one = json.Substring(i, pair ? 2 : 1);
            plain.Append(Of(one, lines: true) == one ? one : string.Concat(one.Select(c => $"\\u{(int)c:x4}")));
            i += one.Length - 1;
        }

        return plain.ToString();
    }

    private static string Replaced(string text, int first, bool lines, bool escapes)
    {
        var plain = new StringBuilder(text, 0, first, text.Length);
        for (int i = first; i < text.Length; i++)
        {
            if (char.IsHighSurrogate(text[i]) && i + 1 < text.Length && char.IsLowSurrogate(text[i + 1]))
            {
                plain.Append(IsMark(CharUnicodeInfo.GetUnicodeCategory(text, i)) ? " " : text.Substring(i, 2));
                i++;
            }
            else
            {
                plain.Append(char.IsSurrogate(text[i]) ? '\uFFFD' : IsPlain(text, i, lines, escapes) ? text[i] : ' ');
            }
        }

        return plain.ToString();
    }

    /// <summary>Characters outside of the first plane are looked at as pairs, by <see cref="Replaced"/>.</summary>
    private static bool IsPlain(string text, int at, bool lines, bool escapes) => text[at] switch
    {
        '\n' or '\t' => lines,
        '\r' => lines && (escapes || (at + 1 < text.Length && text[at + 1] == '\n')),
        '\x1b' => escapes,
        var c => !char.IsSurrogate(c) && !IsMark(char.GetUnicodeCategory(c)),
    };

    private static bool IsMark(UnicodeCategory category) => category is UnicodeCategory.Control or UnicodeCategory.Format
        or UnicodeCategory.LineSeparator or UnicodeCategory.ParagraphSeparator;
}
