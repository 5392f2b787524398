using System.Globalization;
using System.Text;

namespace DeepSeekOps.ControlPlane.Storage;

/// <summary>Where a page ended, as a text that a client hands back and does not read.</summary>
internal static class PageToken
{
    public static string Write(params ReadOnlySpan<string> parts) =>
        Convert.ToBase64String(Encoding.UTF8.GetBytes(string.Join('/', parts))).Replace('+', '-').Replace('/', '_').TrimEnd('=');

    /// <summary>Null: it is none of ours. The last part may hold anything.</summary>
    public static string[]? Read(string token, int parts)
    {
        string text = token.Replace('-', '+').Replace('_', '/');
        byte[] bytes = new byte[text.Length + 4];
        if (!Convert.TryFromBase64String(text.PadRight((text.Length + 3) / 4 * 4, '='), bytes, out int length))
        {
            return null;
        }

        string[] read = Encoding.UTF8.GetString(bytes, 0, length).Split('/', parts);
        return read.Length == parts && !read[^1].Contains('\0', StringComparison.Ordinal) ? read : null;
    }

    public static long? Number(string text) =>
        long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out long number) ? number : null;
}
