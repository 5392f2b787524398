using System.Net;
using DeepSeekOps.Decisions;
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;

namespace DeepSeekOps.ControlPlane.Api;

/// <summary>What comes from outside is checked here once; what is inside is trusted.</summary>
internal static class Checked
{
    /// <summary>Of a list; more comes on the next page.</summary>
    public const int PageMost = 1_000;

    private const int NameLengthMax = 128;
    private const int SearchLengthMax = 500;
    private const int ReasonLengthMax = 1_000;
    private const int ByLengthMax = 100;
    private const int DeclaredByLengthMax = 400;
    private const int DataLengthMax = 16_384;
    private const int PipelineLengthMax = 1 << 20;
    private const int ShownLength = 60;
    private const int PromptLengthMax = 1 << 16;
    private const int NewTokensMax = 8_192;
    private const int NewTokensUsual = 64;
    private const double SecondsMax = 86_400;
    private const int YearMin = 1970;
    private const int YearMax = 2199;

    /// <summary>Longer than anything runs on one machine's clock without a start anew.</summary>
    private static readonly TimeSpan SpanMax = TimeSpan.FromDays(3_660);

    private const double TemperatureMax = 100;

    public static string Name(string text, string field)
    {
        if (text.Length == 0)
        {
            throw Invalid($"{field} is empty; give a name.");
        }
        if (text.Length > NameLengthMax)
        {
            throw Invalid($"{field} has {text.Length} characters; at most {NameLengthMax} make a name.");
        }
        return text.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '.')
            ? text
            : throw Invalid($"{field} '{Shown(text)}' is not a name; use letters, digits, '-', '_' and '.'.");
    }

    /// <summary>
    /// Short enough for a key, not all blank, which no key is, and without the one character that PostgreSQL does not keep.
    /// </summary>
    public static bool CouldBeKept(string name) =>
        !string.IsNullOrWhiteSpace(name) && name.Length <= NameLengthMax && !name.Contains('\0', StringComparison.Ordinal);

    /// <summary>Where others are reached: a name, or an address of IPv4 or IPv6, which may say on which card (fe80::7%eth0).</summary>
    public static string Host(string text, string field) =>
        text.Contains(':', StringComparison.Ordinal) && text.Length <= NameLengthMax
            && text.All(c => char.IsAsciiLetterOrDigit(c) || c is ':' or '.' or '%' or '-' or '_') && IPAddress.TryParse(text, out _)
            ? text : Name(text, field);

    public static string? OptionalName(string text, string field) => text.Length == 0 ? null : Name(text, field);

    public static StageId Stage(string run, string stage) => new(Name(run, "run"), Name(stage, "stage"));

    public static StageId Gang(string text, string field) => text.Split('/') is [var run, var stage] ? Stage(run, stage)
        : throw Invalid($"{field} '{Shown(text)}' is not a gang; write it as run/stage.");

    public static string Search(string text, string field) => text.Length <= SearchLengthMax
        ? text : throw Invalid($"{field} has {text.Length} characters; at most {SearchLengthMax} are looked for.");

    public static string Reason(string text) => text.Length <= ReasonLengthMax
        ? string.Concat(text.Select(c => char.IsControl(c) ? ' ' : c)).Trim()
        : throw Invalid($"reason has {text.Length} characters; at most {ReasonLengthMax} go on the timeline.");

    /// <summary>Who asks. There are no accounts: a name is what a person says of themselves.</summary>
    public static string By(string text) => string.Concat(text.Where(c => !char.IsControl(c))).Trim() switch
    {
        { Length: 0 } => throw Invalid("by is empty; say who asks, so that others know whom to turn to."),
        { Length: > ByLengthMax } much => throw Invalid($"by has {much.Length} characters; at most {ByLengthMax} are a name."),
        var name => name,
    };

    public static string DeclaredBy(string text) => text.Length <= DeclaredByLengthMax && !text.Any(char.IsControl)
        ? text
        : throw Invalid($"declaredBy '{Shown(text)}' is too long or has control characters; write such as "
            + $"\"TrainingPipeline dsops/mini\", with at most {DeclaredByLengthMax} characters.");

    public static string Pipeline(string text) => text.Length switch
    {
        0 => throw Invalid("text is empty; give a pipeline as YAML or JSON."),
        > PipelineLengthMax => throw Invalid($"text has {text.Length} characters; a pipeline has at most {PipelineLengthMax}."),
        _ => text,
    };

    public static string Prompt(string text) => text.Length switch
    {
        0 => throw Invalid("prompt is empty; write what the model is to continue."),
        > PromptLengthMax => throw Invalid($"prompt has {text.Length} characters; at most {PromptLengthMax} are taken."),
        _ => text,
    };

    public static double Temperature(double value) => value is >= 0 and <= TemperatureMax
        ? value : throw Invalid($"temperature is {value}; write a number from 0 (greedy) to {TemperatureMax:0}.");

    /// <summary>0 is the usual number.</summary>
    public static int NewTokens(int wanted) => NotNegative(wanted, "maxTokens") switch
    {
        0 => NewTokensUsual,
        > NewTokensMax => throw Invalid($"maxTokens is {wanted}; at most {NewTokensMax} are made at once."),
        _ => wanted,
    };

    public static string Data(string text) => text.Length <= DataLengthMax
        ? text
        : throw Invalid($"data has {text.Length} characters; at most {DataLengthMax} name files.");

    /// <summary>Words for people lose their end rather than the report that they came with.</summary>
    public static string Words(string text, int most)
    {
        int end = Math.Min(text.Length, most - 1);
        return text.Length <= most ? text : $"{text[..(char.IsHighSurrogate(text[end - 1]) ? end - 1 : end)]}…";
    }

    /// <summary>A list that no honest agent sends is refused as a whole: those that it does send are split to the same limits.</summary>
    public static void AtMost(int count, int most, string field)
    {
        if (count > most)
        {
            throw Invalid($"{field} has {count} entries; send at most {most} at once.");
        }
    }

    public static double Seconds(double value, string field) => value is >= 0 and <= SecondsMax
        ? value : throw Invalid($"{field} is {value}; write seconds, 0 to {SecondsMax:0} (a day).");

    public static int NotNegative(int number, string field) =>
        number >= 0 ? number : throw Invalid($"{field} is {number}; it cannot be negative.");

    /// <param name="port">0: none.</param>
    public static int Port(int port, string field) => port is >= IPEndPoint.MinPort and <= IPEndPoint.MaxPort ? port
        : throw Invalid($"{field} is {port}; a port is a number from 1 to {IPEndPoint.MaxPort}, and 0 says that there is none.");

    public static long NotNegative(long number, string field) =>
        number >= 0 ? number : throw Invalid($"{field} is {number}; it cannot be negative.");

    /// <summary>0 is the usual number; more than the most is the most.</summary>
    public static int PageSize(int wanted, int usual, int most) => NotNegative(wanted, "pageSize") is 0 ? usual : Math.Min(wanted, most);

    /// <summary>
    /// A clock may be wrong, and one that was never set begins in 1970; what comes from the end of the calendar would stand at the end of
    /// every timeline for ever.
    /// </summary>
    public static DateTimeOffset Time(Timestamp? at, string field)
    {
        try
        {
            var time = at?.ToDateTimeOffset() ?? throw Invalid($"{field} is missing.");
            return time.Year is >= YearMin and <= YearMax ? time
                : throw Invalid($"{field} is in the year {time.Year}; {YearMin} to {YearMax} are accepted. Set the clock of that machine.");
        }
        catch (InvalidOperationException)
        {
            throw Invalid($"{field} is not a time.");
        }
    }

    /// <summary>Absent is no time at all. What is taken from now must lie in the calendar.</summary>
    public static TimeSpan Span(Duration? span, string field)
    {
        try
        {
            var value = span?.ToTimeSpan() ?? TimeSpan.Zero;
            return value < TimeSpan.Zero ? throw Invalid($"{field} is negative.")
                : value > SpanMax ? throw Invalid($"{field} is {value.TotalDays:0} days; at most {SpanMax.TotalDays:0} are taken.")
                : value;
        }
        catch (Exception e) when (e is InvalidOperationException or OverflowException)
        {
            throw Invalid($"{field} is not a duration.");
        }
    }

    public static string Shown(string text)
    {
        string clean = string.Concat(text.Take(ShownLength).Select(c => char.IsControl(c) ? ' ' : c));
        return text.Length > ShownLength ? clean + "…" : clean;
    }

    public static RpcException Invalid(string words) => new(new Status(StatusCode.InvalidArgument, words));
}
