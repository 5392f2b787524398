using DeepSeekOps.ControlPlane.Client;
using Spectre.Console;

namespace DeepSeekOps.ControlPlane.Cli;

/// <summary>A column of a table.</summary>
/// <param name="Rank">1 is kept longest; where the terminal is too narrow, the columns of the highest rank go first.</param>
/// <param name="Flexible">Takes what room is left and breaks its text over lines.</param>
public sealed record Column(string Header, int Rank, bool Right = false, bool Flexible = false);

/// <summary>
/// Tables that fit: columns are dropped by rank until the rest fits the terminal, and the flexible column wraps. No borders, so
/// that a line can be cut with awk.
/// </summary>
public static class Columns
{
    private const int Gap = 2;
    private const int FlexibleMinimum = 24;

    /// <summary>Of one cell on a terminal: a table is for looking over; the whole sentence stands in `show`, and in a pipe.</summary>
    private const int LinesMax = 3;

    public static void Write(Terminal terminal, IReadOnlyList<Column> columns, IReadOnlyList<IReadOnlyList<string>> rows)
    {
        var cells = rows.Select(row => row.Select(Clean).ToArray()).ToArray();
        var natural =
            columns.Select((column, i) => Math.Max(column.Header.Length, cells.Select(row => row[i].Length).DefaultIfEmpty(0).Max()))
                .ToArray();
        var kept = Kept(columns, natural, terminal.Width);
        int[] widths = Widths(columns, natural, kept, terminal.Width);

        var ansi = terminal.Ansi();
        WriteRow(ansi, kept, widths, columns, columns.Select(column => column.Header).ToArray(), header: true);
        foreach (string[] row in cells)
        {
            WriteRow(ansi, kept, widths, columns, row, header: false);
        }
    }

    /// <summary>What came from outside must not move the cursor or break the table.</summary>
    public static string Clean(string text) => PlainText.Of(text);

    private static List<int> Kept(IReadOnlyList<Column> columns, int[] natural, int width)
    {
        var kept = Enumerable.Range(0, columns.Count).ToList();
        int Needed() => kept.Sum(i => columns[i].Flexible ? Math.Min(natural[i], FlexibleMinimum) : natural[i]) + Gap * (kept.Count - 1);
        while (kept.Count > 1 && Needed() > width)
        {
            kept.Remove(kept.OrderByDescending(i => columns[i].Rank).ThenByDescending(i => i).First());
        }
        return kept;
    }

    private static int[] Widths(IReadOnlyList<Column> columns, int[] natural, List<int> kept, int width)
    {
        int[] widths = [.. natural];
        int over = kept.Sum(i => natural[i]) + Gap * (kept.Count - 1) - width;
        if (over > 0 && kept.Find(i => columns[i].Flexible) is var flexible && columns[flexible].Flexible)
        {
            widths[flexible] -= over;
        }
        return widths;
    }

    private static List<string> Few(List<string> lines, int width) => lines.Count <= LinesMax ? lines
        : [.. lines[..(LinesMax
            - 1)], $"{lines[LinesMax - 1][..Math.Min(lines[LinesMax - 1].Length, Math.Max(0, width - 2))].TrimEnd()} …"];

    private static void WriteRow(IAnsiConsole ansi, List<int> kept, int[] widths, IReadOnlyList<Column> columns, string[] cells,
        bool header)
    {
        var wrapped = kept.ToDictionary(i => i, i => Few(Wrap(cells[i], Math.Max(1, widths[i])), widths[i]));
        int lines = wrapped.Values.Max(parts => parts.Count);
        for (int line = 0; line < lines; line++)
        {
            string text = string.Join(new string(' ', Gap), kept.Select(i =>
            {
                string part = line < wrapped[i].Count ? wrapped[i][line] : "";
                return columns[i].Right ? part.PadLeft(widths[i]) : part.PadRight(widths[i]);
            })).TrimEnd();
            ansi.WriteLine(text, header ? new Style(decoration: Decoration.Dim) : StyleOf(cells, columns));
        }
    }

    /// <summary>The whole row takes the colour of its state: red needs a person, yellow is on its way, grey is over.</summary>
    private static Style StyleOf(string[] cells, IReadOnlyList<Column> columns)
    {
        int state = -1;
        for (int i = 0; i < columns.Count && state < 0; i++)
        {
            state = columns[i].Header is "STATE" or "LEVEL" ? i : -1;
        }
        return state < 0 ? Style.Plain : States.StyleOf(cells[state]);
    }

    /// <summary>A sentence in a list: its further lines stand deeper than its first.</summary>
    public static IEnumerable<string> Hang(string text, int width, int indent, int further = 2)
    {
        string clean = Clean(text);
        string first = Wrap(clean, Math.Max(1, width - indent))[0];
        yield return new string(' ', indent) + first;
        string rest = clean[first.Length..].TrimStart();
        foreach (string line in rest.Length == 0 ? [] : Wrap(rest, Math.Max(1, width - indent - further)))
        {
            yield return new string(' ', indent + further) + line;
        }
    }

    public static List<string> Wrap(string text, int width)
    {
        if (text.Length <= width)
        {
            return [text];
        }
        var lines = new List<string>();
        int start = 0;
        while (text.Length - start > width)
        {
            int space = text.LastIndexOf(' ', start + width, width + 1);
            int end = space > start ? space : start + width;
            lines.Add(text[start..end].TrimEnd());
            start = end;
            while (start < text.Length && text[start] == ' ')
            {
                start++;
            }
        }
        if (start < text.Length)
        {
            lines.Add(text[start..]);
        }
        return lines;
    }
}
