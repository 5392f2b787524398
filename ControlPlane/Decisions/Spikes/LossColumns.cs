using System.Collections.Immutable;
using System.Globalization;

namespace DeepSeekOps.Decisions.Spikes;

internal enum RowRead
{
    Sample = 0,
    /// <summary>The loss was not logged in this row.</summary>
    Blank = 1,
    Wrong = 2,
}

/// <summary>Which column of a file of losses is what, and how a row of it is read.</summary>
/// <param name="Separator">Between cells; a blank stands for any white space.</param>
/// <param name="Step">Place of the column; null: rows are numbered.</param>
/// <param name="Named">The first line names the columns.</param>
internal sealed record LossColumns(char Separator, int? Step, int Loss, int? GradNorm, bool Named)
{
    private const int ColumnsMost = 4096;

    private static readonly string[] StepNames =
        ["step", "steps", "globalstep", "trainstep", "trainerglobalstep", "iteration", "iterations", "iter", "it", "update", "batch", "i"];

    private static readonly string[] LossNames = ["loss", "trainloss", "trainingloss", "lmloss", "losstrain", "lossmean"];

    /// <summary>Words that make a loss another one than what a step trained on.</summary>
    private static readonly string[] OtherLosses =
        ["val", "eval", "test", "heldout", "min", "max", "scale", "aux", "balance", "mtp", "std", "spike"];

    private static readonly string[] GradNames = ["gradnorm", "gradientnorm", "gnorm", "gradsnorm", "totalgradnorm", "globalgradnorm"];

    private static readonly double[] PowersOfTen = [1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14];

    public static LossColumns? Of(ReadOnlySpan<char> first, out string? problem)
    {
        problem = null;
        char separator = SeparatorOf(first);
        var cells = new List<string>();
        for (var rest = new Cells(first, separator); cells.Count < ColumnsMost && rest.Next(out var cell);)
        {
            cells.Add(cell.ToString());
        }

        if (cells.TrueForAll(cell => cell.Length == 0 || Number(cell, out _) || IsBlank(cell)))
        {
            return cells.Count == 1 ? new LossColumns(separator, null, 0, null, false)
                : new LossColumns(separator, 0, 1, cells.Count > 2 ? 2 : null, false);
        }

        string[] names = [.. cells.Select(NameOf)];
        int loss = Find(names, LossNames);
        loss = loss >= 0 ? loss : Array.FindIndex(names, name =>
            name.Contains("loss", StringComparison.Ordinal) && !OtherLosses.Any(other => name.Contains(other, StringComparison.Ordinal)));
        int grad = Find(names, GradNames);
        grad = grad >= 0 ? grad : Array.FindIndex(names, name =>
            name.Contains("grad", StringComparison.Ordinal) && name.EndsWith("norm", StringComparison.Ordinal));
        int step = Find(names, StepNames);
        if (loss < 0)
        {
            string told = string.Join(", ", cells.Take(8).Select(cell => $"'{Shortened(cell)}'"));
            problem = $"none of the columns {told} is a loss; name one 'loss', and its step 'step'";
            return null;
        }

        return new LossColumns(separator, step < 0 ? null : step, loss, grad < 0 ? null : grad, true);
    }

    public RowRead Read(ReadOnlySpan<char> row, long number, out LossSample sample, out string? why)
    {
        (sample, why) = (default, null);
        ReadOnlySpan<char> step = default, loss = default, grad = default;
        var rest = new Cells(row, Separator);
        for (int i = 0; rest.Next(out var cell); i++)
        {
            if (i == Loss)
            {
                loss = cell;
            }
            else if (i == Step)
            {
                step = cell;
            }
            else if (i == GradNorm)
            {
                grad = cell;
            }
        }

        long at = number;
        if (!Number(loss, out double value))
        {
            why = IsBlank(loss) ? null : $"loss is '{Shortened(loss)}'; it takes a number, nan or inf";
        }
        else if (Step is not null && !Whole(step, out at))
        {
            why = IsBlank(step) ? null : $"step is '{Shortened(step)}'; it takes a whole number that is not negative";
        }
        else
        {
            double? norm = Number(grad, out double told) ? told : null;
            why = norm is not null || IsBlank(grad) ? null : $"grad_norm is '{Shortened(grad)}'; it takes a number, nan or inf";
            sample = new LossSample(at, value, norm);
            return why is null ? RowRead.Sample : RowRead.Wrong;
        }

        return why is null ? RowRead.Blank : RowRead.Wrong;
    }

    private static int Find(string[] names, string[] wanted) =>
        wanted.Select(name => Array.IndexOf(names, name)).FirstOrDefault(at => at >= 0, -1);

    /// <summary>"train/Grad Norm" is "traingradnorm".</summary>
    private static string NameOf(string name) => string.Concat(name.Where(char.IsLetterOrDigit)).ToLowerInvariant();

    private static char SeparatorOf(ReadOnlySpan<char> line)
    {
        foreach (char separator in "\t;,|")
        {
            if (line.Contains(separator))
            {
                return separator;
            }
        }

        return ' ';
    }

    private static bool IsBlank(ReadOnlySpan<char> cell) => cell.IsEmpty || cell is "-" or "--"
        || cell.Equals("null", StringComparison.OrdinalIgnoreCase) || cell.Equals("none", StringComparison.OrdinalIgnoreCase)
        || cell.Equals("na", StringComparison.OrdinalIgnoreCase) || cell.Equals("n/a", StringComparison.OrdinalIgnoreCase);

    private static bool Whole(ReadOnlySpan<char> cell, out long value)
    {
        if (long.TryParse(cell, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out value))
        {
            return value >= 0;
        }

        // Tools that keep steps as floating point write 100.0 or 1e+05.
        bool whole = Number(cell, out double number) && number >= 0 && number < 1L << 53 && number == Math.Floor(number);
        value = whole ? (long)number : 0;
        return whole;
    }

    private static bool Number(ReadOnlySpan<char> cell, out double value)
    {
        if (Plain(cell, out value) || double.TryParse(cell, NumberStyles.Float, CultureInfo.InvariantCulture, out value))
        {
            return true;
        }

        var sign = cell.Length > 0 && cell[0] is '-' or '+' ? cell[..1] : default;
        var word = cell[sign.Length..];
        if (word.StartsWith("nan", StringComparison.OrdinalIgnoreCase) || word.StartsWith("1.#QNAN", StringComparison.OrdinalIgnoreCase)
            || word.StartsWith("1.#IND", StringComparison.OrdinalIgnoreCase))
        {
            value = double.NaN;
            return word.Length <= 3 || word[3] is '(' or '#' || word[0] == '1';
        }

        if (word.Equals("inf", StringComparison.OrdinalIgnoreCase) || word.Equals("infinity", StringComparison.OrdinalIgnoreCase)
            || word.StartsWith("1.#INF", StringComparison.OrdinalIgnoreCase) || word is "∞")
        {
            value = sign is "-" ? double.NegativeInfinity : double.PositiveInfinity;
            return true;
        }

        // 2,5 where cells are parted by something else.
        return cell.Count(',') == 1 && !cell.Contains('.')
            && double.TryParse(cell.ToString().Replace(',', '.'), NumberStyles.Float, CultureInfo.InvariantCulture, out value);
    }

    /// <summary>
    /// Digits with at most a point among them, as nearly all cells are. Exact: digits and power of ten are both whole numbers that a double
    /// holds, so that the one division rounds as reading does (Clinger 1990).
    /// </summary>
    private static bool Plain(ReadOnlySpan<char> cell, out double value)
    {
        value = 0;
        long digits = 0;
        int point = -1;
        if (cell.Length is 0 or > 15)
        {
            return false;
        }

        for (int i = 0; i < cell.Length; i++)
        {
            if (char.IsAsciiDigit(cell[i]))
            {
                digits = (digits * 10) + (cell[i] - '0');
            }
            else if (cell[i] == '.' && point < 0)
            {
                point = i;
            }
            else
            {
                return false;
            }
        }

        value = point < 0 ? digits : digits / PowersOfTen[cell.Length - 1 - point];
        return cell.Length > 1 || point < 0;
    }

    private static string Shortened(ReadOnlySpan<char> cell) => cell.Length <= 40 ? cell.ToString() : $"{cell[..40]}…";

    /// <summary>The cells of a row, without quotes and surrounding blanks.</summary>
    private ref struct Cells(ReadOnlySpan<char> row, char separator)
    {
        private ReadOnlySpan<char> rest = separator == ' ' ? row.Trim() : row;
        private bool ended;

        public bool Next(out ReadOnlySpan<char> cell)
        {
            cell = default;
            if (ended)
            {
                return false;
            }

            int start = 0;
            var ahead = rest.TrimStart(' ');
            if (ahead.Length > 0 && ahead[0] == '"' && ahead[1..].IndexOf('"') is var close and >= 0)
            {
                start = rest.Length - ahead.Length + close + 2;
            }

            int end = separator == ' ' ? rest[start..].IndexOfAny(' ', '\t') : rest[start..].IndexOf(separator);
            cell = (end < 0 ? rest : rest[..(start + end)]).Trim();
            cell = cell.Length > 0 && cell[0] == '"' ? cell.Trim('"').Trim() : cell;
            ended = end < 0;
            rest = ended ? default : rest[(start + end + 1)..];
            rest = separator == ' ' ? rest.TrimStart() : rest;
            return true;
        }
    }
}
