using System.Text;

namespace DeepSeekOps.ControlPlane.Client;

/// <summary>
/// The way to the terminal that every verb writes by: whatever a verb forgets to clean is cleaned here, and a line that is too long for the
/// terminal is broken between words. Drawing keeps its own escapes; what is drawn is cleaned before (Columns.Clean).
/// </summary>
internal sealed class PlainWriter(TextWriter inner, int width = int.MaxValue, bool escapes = false) : TextWriter(inner.FormatProvider)
{
    private const int PieceLength = 4_096;

    /// <summary>Of the further lines of one that was broken.</summary>
    private const int Hanging = 2;

    public override Encoding Encoding => inner.Encoding;

    public PlainWriter Drawing { get => escapes ? this : new PlainWriter(inner, escapes: true); }

    /// <summary>For what programs read and people copy: no line of it is broken.</summary>
    public PlainWriter Whole { get => new(inner); }

    public override void Write(char value) => Write(value.ToString());

    public override void Write(char[] buffer, int index, int count) => Write(new string(buffer, index, count));

    public override void Write(ReadOnlySpan<char> buffer) => Write(buffer.ToString());

    public override void Write(string? value) => inner.Write(PlainText.Of(value ?? "", lines: true, escapes));

    public override void WriteLine(string? value) => inner.WriteLine(Lines(value ?? ""));

    public override void WriteLine() => inner.WriteLine();

    public override Task WriteAsync(string? value) => inner.WriteAsync(PlainText.Of(value ?? "", lines: true, escapes));

    public override Task WriteLineAsync(string? value) => inner.WriteLineAsync(Lines(value ?? ""));

    public override void Flush() => inner.Flush();

    public override Task FlushAsync() => inner.FlushAsync();

    /// <summary>A word that no line has room for stays whole: it is a path or an address, and people copy it.</summary>
    internal static string Broken(string line, int width)
    {
        if (line.Length <= width)
        {
            return line;
        }

        int indent = line.Length - line.TrimStart(' ').Length;
        string further = new(' ', Math.Min(indent + Hanging, width / 2));
        var (broken, rest) = (new StringBuilder(), line);
        for (int from = indent; rest.Length > width; from = further.Length)
        {
            int space = rest.LastIndexOf(' ', width);
            int end = space > from ? space : rest.IndexOf(' ', from);
            if (end < 0)
            {
                break;
            }

            broken.Append(rest.AsSpan(0, end).TrimEnd(' ')).Append(Environment.NewLine);
            rest = further + rest[end..].TrimStart(' ');
        }

        return broken.Append(rest).ToString();
    }

    private string Lines(string text)
    {
        string plain = PlainText.Of(text, lines: true, escapes);
        return plain.Length <= width ? plain : string.Join('\n', plain.Split('\n').Select(line => Broken(line, width)));
    }

    /// <summary>What another program prints, as it comes and until its end.</summary>
    public static async Task Copy(TextReader from, TextWriter to)
    {
        char[] piece = new char[PieceLength];
        int read = 1;
        for (int kept = 0; read > 0;)
        {
            read = await from.ReadAsync(piece.AsMemory(kept));
            int end = kept + read;
            // Half of a character, and half of a line end, wait for the other half.
            kept = read > 0 && (char.IsHighSurrogate(piece[end - 1]) || piece[end - 1] == '\r') ? 1 : 0;
            await to.WriteAsync(PlainText.Of(new string(piece, 0, end - kept), lines: true));
            await to.FlushAsync();
            piece[0] = piece[Math.Max(0, end - 1)];
        }
    }
}
