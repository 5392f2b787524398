using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;

namespace DeepSeekOps.Decisions.Exits;

/// <summary>One line of a program's output, as far as its form says something.</summary>
/// <param name="Number">From 1.</param>
/// <param name="Text">Without colours and control characters.</param>
/// <param name="Body">Without what a launcher, a logger or a clock put before it.</param>
/// <param name="Source">Which rank it says it is of: "3"; empty: it does not say.</param>
/// <param name="At">The time that it says; null: none.</param>
/// <param name="Step">With a line of progress: which step.</param>
/// <param name="Mild">It calls itself a warning or news, or says that it goes on.</param>
public sealed partial record OutputLine(long Number, string Text, string Body, string Source, DateTime? At, long? Step, bool Mild)
{
    /// <summary>A prefix is short; what stands further in is the message.</summary>
    private const int PrefixMax = 160;

    /// <param name="text">As <see cref="Clean"/> gives it.</param>
    public static OutputLine Of(long number, string text)
    {
        string head = text.Length <= PrefixMax ? text : text[..PrefixMax];
        int prefix = Prefix().Match(head).Length;
        string before = head[..prefix];
        string body = text[prefix..];
        string source = Rank().Match(before) is { Success: true } rank ? rank.Groups.Values.Skip(1).First(g => g.Success).Value : "";
        return new OutputLine(number, text, body, source, TimeOf(before), StepOf(body), IsMild(before, body));
    }

    /// <summary>Colours, cursor moves, other control characters and the zeros of UTF-16 go.</summary>
    public static string Clean(string raw)
    {
        string text = raw.Contains('\u001b', StringComparison.Ordinal) ? Escapes().Replace(raw, "") : raw;
        if (!text.Any(c => char.IsControl(c) || c is '\ufeff' or '\ufffd' or '\u2028' or '\u2029' || char.IsSurrogate(c)))
        {
            return text;
        }

        var kept = new StringBuilder(text.Length);
        foreach (char c in text)
        {
            _ = c is '\0' or '\ufeff' ? kept : c == '\t' ? kept.Append(' ')
                : char.IsControl(c) || c is '\u2028' or '\u2029' ? kept : kept.Append(c);
        }

        return kept.ToString();
    }

    private static DateTime? TimeOf(string prefix) => Time().Match(prefix) is { Success: true } found
        && DateTime.TryParse(
            $"{found.Groups[1].Value}T{found.Groups[2].Value}", CultureInfo.InvariantCulture, DateTimeStyles.None, out var at)
        ? at : null;

    private static long? StepOf(string body) => Progress().Match(body) is { Success: true } found
        && long.TryParse(found.Groups[1].Value, NumberStyles.None, CultureInfo.InvariantCulture, out long step) ? step : null;

    private static bool IsMild(string prefix, string body)
    {
        string start = body.Length <= PrefixMax ? body : body[..PrefixMax];
        return (MildLevel().IsMatch(prefix) || MildLevel().IsMatch(start[..Math.Min(start.Length, 40)]) || GoesOn().IsMatch(body))
            && !start.Contains("NCCL WARN", StringComparison.Ordinal);
    }

    // Times, levels, ranks, hosts and processes in any order, each once or more.
    [GeneratedRegex(@"\A(?:\s*(?:"
        + @"\[?\d{4}[-/]\d\d[-/]\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?\]?[:,]?"
        + @"|\[?\d\d:\d\d:\d\d(?:[.,]\d+)?\]?:?"
        + @"|(?:\[?(?:rank|default|local_rank|trainer)[ _:=-]?\d+\]?:?)|\[\d+(?:,\d+)?\](?:<std(?:err|out)>)?:?"
        + @"|\d{1,5}: |[A-Za-z0-9_.-]+\.\d+\||[A-Za-z0-9_-]*worker[-_]?\d+[ :|]+"
        + @"|attempt \d+ (?:err|out)\b|std(?:err|out) [FP]\b"
        + @"|\[?[IWEF]\d{4} \d\d:\d\d:\d\d(?:\.\d+)?(?: +\d+)?(?: [\w./-]+:\d+\])?"
        + @"|\[?(?:TRACE|DEBUG|INFO|NOTICE|WARN|WARNING|ERROR|CRITICAL|FATAL)\]?:?\s"
        + @"|\((?:\w+ )?pid=\d+[^)]*\)|\w[\w.-]*:\d+:\d+ \[\d+\]"
        + @"))*\s*")]
    private static partial Regex Prefix();

    [GeneratedRegex(@"(?:rank|default|local_rank|trainer)[ _:=-]?(\d+)|\[(\d+)(?:,\d+)?\]|^\s*(\d{1,5}): |\.(\d+)\||worker[-_]?(\d+)")]
    private static partial Regex Rank();

    [GeneratedRegex(@"(\d{4}[-/]\d\d[-/]\d\d)[T ](\d\d:\d\d:\d\d(?:\.\d{1,7})?)")]
    private static partial Regex Time();

    [GeneratedRegex(@"\A\W*(?:train\w*\W+)?(?:global_?)?(?:step|iteration|iter|it)\b[\s=:\[#]*(\d+)", RegexOptions.IgnoreCase)]
    private static partial Regex Progress();

    [GeneratedRegex(@"\b(?:WARN|WARNING|INFO|DEBUG|NOTICE|TRACE)\b|\b[WI]\d{4} \d\d:|\[[WI](?:\d{4})? |level""?[=:] ?""?(?:warn|info|debug)"
        + @"|\bwarning:|UserWarning|FutureWarning|DeprecationWarning")]
    private static partial Regex MildLevel();

    [GeneratedRegex(@"\bretrying\b|\bwill retry\b|\btrying again\b|\bignor(?:ed|ing)\b|\bskipp(?:ed|ing)\b"
        + @"|\brecovered\b|\bnon-fatal\b|\bfalling back\b|\bgoes on\b|\bcontinuing\b", RegexOptions.IgnoreCase)]
    private static partial Regex GoesOn();

    [GeneratedRegex(@"\u001b(?:\[[0-?]*[ -/]*[@-~]|\][^\u0007\u001b]*(?:\u0007|\u001b\\)?|[@-_])")]
    private static partial Regex Escapes();
}
