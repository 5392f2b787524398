using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;

namespace DeepSeekOps.Decisions.Exits;

/// <summary>How loud a line is by its own words.</summary>
public enum Loudness
{
    /// <summary>It says nothing of its level.</summary>
    Plain = 0,
    /// <summary>It calls itself a warning or news.</summary>
    Mild = 1,
    /// <summary>It calls itself an error.</summary>
    Loud = 2,
    /// <summary>It says that the program goes on.</summary>
    Passed = 3,
}

/// <summary>One line of a program's output, as far as its form says something.</summary>
/// <param name="Number">From 1.</param>
/// <param name="Text">Without colours and control characters.</param>
/// <param name="Body">Without what a launcher, a logger or a clock put before it.</param>
/// <param name="Indent">Spaces before the body.</param>
/// <param name="Source">Which rank it says it is of: "3"; empty: it does not say.</param>
/// <param name="Before">What stands before the body.</param>
public sealed partial record OutputLine(long Number, string Text, string Body, int Indent, string Source, string Before)
{
    /// <summary>A prefix is short; what stands further in is the message.</summary>
    private const int PrefixMax = 160;

    /// <summary>Numbers of an epoch and of a step in it make one number.</summary>
    private const long StepsOfAnEpoch = 1_000_003;

    /// <param name="text">As <see cref="Clean"/> gives it.</param>
    public static OutputLine Of(long number, string text)
    {
        string head = text.Length <= PrefixMax ? text : text[..PrefixMax];
        int prefix = Prefix().Match(head).Length;
        string before = head[..prefix];
        string body = text[prefix..];
        string source = Rank().Match(before) is { Success: true } rank ? rank.Groups.Values.Skip(1).First(g => g.Success).Value : "";
        return new OutputLine(number, text, body, before.Length - before.TrimEnd().Length, source, before);
    }

    /// <summary>The time that it says; null: none.</summary>
    public DateTime? At() => TimeOf(Before);

    /// <summary>With a line of progress: which step.</summary>
    public long? Step() => StepOf(Number, Body);

    public Loudness Level() => LevelOf(Before, Body);

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

    private static long? StepOf(long number, string body)
    {
        string start = body.Length <= PrefixMax * 2 ? body : body[..(PrefixMax * 2)];
        if (Progress().Match(start) is not { Success: true } found)
        {
            return Figures().IsMatch(start) ? number : null;
        }

        long step = Number(found.Groups.Values.Skip(1).First(g => g.Success));
        return OfMany().Match(start) is { Success: true } many ? (step * StepsOfAnEpoch) + Number(many.Groups[1]) : step;

        static long Number(Group digits) =>
            long.TryParse(digits.Value, NumberStyles.None, CultureInfo.InvariantCulture, out long value) ? value % int.MaxValue : 0;
    }

    private static Loudness LevelOf(string prefix, string body)
    {
        string start = body.Length <= PrefixMax ? body : body[..PrefixMax];
        string before = prefix + start[..Math.Min(start.Length, 60)];
        return start.Contains("NCCL WARN", StringComparison.Ordinal) ? Loudness.Loud
            : GoesOn().IsMatch(body) || WillTryAgain(start) ? Loudness.Passed
            : MildLevel().IsMatch(before) ? Loudness.Mild
            : LoudLevel().IsMatch(before) ? Loudness.Loud : Loudness.Plain;
    }

    /// <summary>"attempt 2/5 failed": not the last one.</summary>
    private static bool WillTryAgain(string body) => Attempt().Match(body) is { Success: true } found
        && int.TryParse(found.Groups[1].Value, NumberStyles.None, CultureInfo.InvariantCulture, out int attempt)
        && int.TryParse(found.Groups[2].Value, NumberStyles.None, CultureInfo.InvariantCulture, out int all) && attempt < all;

    // Times, levels, ranks, hosts and processes in any order, each once or more.
    [GeneratedRegex(@"\A(?:\s*(?:"
        + @"[\[(]?\d{4}[-/]\d\d[-/]\d\d[T _]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?[\])]?[:,]?(?: - )?"
        + @"|\[?\d\d:\d\d:\d\d(?:[.,]\d+)?\]?:?|\[ *\d+\.\d+\] "
        + @"|(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) +\d+ \d\d:\d\d:\d\d \S+ [\w./@-]+(?:\[\d+\])?:"
        + @"|(?:\[?(?:rank|default|local_rank|trainer|RANK)[ _:=-]*\d+(?:\]:?|:))|\[\d+(?:,\d+)?\](?:<std(?:err|out)>)?:?"
        + @"|\d{1,5}: |[A-Za-z0-9_.-]+\.\d+\||[A-Za-z0-9_-]*worker[-_]?\d+[ :|]+|\[(?:pod/)?[\w.-]+-\d+(?:/[\w.-]+)?\] "
        + @"|attempt \d+ (?:err|out)\b|std(?:err|out) [FP]\b|std(?:err|out):"
        + @"|\[?[IWEF]\d{4} \d\d:\d\d:\d\d(?:\.\d+)?(?: +\d+)?(?: [\w./-]+:\d+\])?"
        + @"|\[?(?:TRACE|DEBUG|INFO|NOTICE|WARN|WARNING|ERROR|CRITICAL|FATAL)\]?:?\s(?:- )?"
        + @"|[\w.-]+ - (?=(?:TRACE|DEBUG|INFO|NOTICE|WARN|WARNING|ERROR|CRITICAL|FATAL)\b)"
        + @"|\((?:[\w.]+ )*pid=\d+[^)]*\)|\w[\w.-]*:\d+:\d+ \[\d+\]"
        + @"))*\s*")]
    private static partial Regex Prefix();

    [GeneratedRegex(@"(?:rank|default|local_rank|trainer|RANK)[ _:=-]*(\d+)|\[(\d+)(?:,\d+)?\]|^\s*(\d{1,5}): |\.(\d+)\||worker[-_]?(\d+)"
        + @"|\[(?:pod/)?[\w.-]+-(\d+)(?:/[\w.-]+)?\] ")]
    private static partial Regex Rank();

    [GeneratedRegex(@"(\d{4}[-/]\d\d[-/]\d\d)[T _](\d\d:\d\d:\d\d(?:\.\d{1,7})?)")]
    private static partial Regex Time();

    [GeneratedRegex(@"\A\W*(?:train\w*\W+)?(?:global_?)?(?:step|iteration|iter|it|epoch|batch|update)s?\b[\s=:\[#]*(\d+)"
        + @"|\A\W*(?:\w+\W+){0,3}?\d+%\|[^|]*\| *(\d+)/\d+ \[|[""'](?:global_?)?step[""']: *(\d+)", RegexOptions.IgnoreCase)]
    private static partial Regex Progress();

    [GeneratedRegex(@"(\d+) */ *\d+")]
    private static partial Regex OfMany();

    // What the trainers of transformers print, without a step.
    [GeneratedRegex(@"\A\W*\{['""](?:train_)?loss['""]: ")]
    private static partial Regex Figures();

    [GeneratedRegex(@"\b(?:WARN|WARNING|INFO|DEBUG|NOTICE|TRACE)\b|\b[WI]\d{4} \d\d:|\[[WI](?:\d{4})? |[""']?(?:level|levelname|severity)"
        + @"[""']?\s*[=:]\s*[""']?(?:warn|info|debug|notice)|\b[Ww]arning[:\]]|\A\s*(?:warn|info|dbug|trce|debug): |UserWarning"
        + @"|FutureWarning|DeprecationWarning|RuntimeWarning|(?:\A|: )[WI] (?:external|tensorflow)/")]
    private static partial Regex MildLevel();

    [GeneratedRegex(@"\b(?:ERROR|CRITICAL|FATAL|SEVERE|PANIC)\b|\b[EF]\d{4} \d\d:|\[[EF](?:\d{4})?[ \]]|[""']?(?:level|levelname|severity)"
        + @"[""']?\s*[=:]\s*[""']?(?:err|fatal|crit|panic)|\b(?:error|fatal|panic|fatal error):|\A\s*(?:fail|crit): |what\(\):"
        + @"|\b(?:Fatal error|Error|Unhandled exception|Uncaught|Caused by|terminate called)\b", RegexOptions.None)]
    private static partial Regex LoudLevel();

    [GeneratedRegex(@"\bretrying\b|\bwill retry\b|\bretry loop\b|\btrying again\b|\bignor(?:ed|ing)\b|\bskipp(?:ed|ing)\b"
        + @"|\brecovered\b|\bnon-fatal\b|\bfall(?:ing|s)? ?back\b|\bgoes on\b|\bcontinuing\b|\busing defaults?\b|\bwill be disabled\b"
        + @"|\bproceeding\b|\bis optional\b|\bsafely be ignored\b", RegexOptions.IgnoreCase)]
    private static partial Regex GoesOn();

    [GeneratedRegex(@"\b(?:attempt|retry|try)\s*#?(\d+)\s*(?:/|of)\s*(\d+)", RegexOptions.IgnoreCase)]
    private static partial Regex Attempt();

    [GeneratedRegex(@"\u001b(?:\[[0-?]*[ -/]*[@-~]|\][^\u0007\u001b]*(?:\u0007|\u001b\\)?|[@-_])")]
    private static partial Regex Escapes();
}
