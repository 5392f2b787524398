using System.Collections.Concurrent;
using System.Data.Common;
using System.Globalization;
using System.Net.Sockets;
using System.Text.RegularExpressions;

namespace DeepSeekOps.ControlPlane.Hosting;

/// <summary>
/// Whatever logs the same failure again and again (a tick each second, a table that is read each second, Orleans itself) gives one line
/// a minute, with the count of those left out. A failure of the world outside (database, disk, network) is told without a stack.
/// </summary>
internal sealed class CalmLogging(LoggerFactory inner, RecurringFailures recurring) : ILoggerFactory
{
    public ILogger CreateLogger(string categoryName) => new Logger(inner.CreateLogger(categoryName), categoryName, recurring);

    public void AddProvider(ILoggerProvider provider) => inner.AddProvider(provider);

    public void Dispose() => inner.Dispose();

    private sealed class Logger(ILogger inner, string category, RecurringFailures recurring) : ILogger
    {
        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => inner.BeginScope(state);

        public bool IsEnabled(LogLevel logLevel) => inner.IsEnabled(logLevel);

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception,
            Func<TState, Exception?, string> formatter)
        {
            if (logLevel < LogLevel.Warning || !IsEnabled(logLevel))
            {
                inner.Log(logLevel, eventId, state, exception, formatter);
                return;
            }

            string said = formatter(state, exception);
            if (FailureWords.OlderThan(recurring.Age, said))
            {
                return;
            }

            string failure = exception is null ? "" : $": {FailureWords.Of(exception)}";
            string key = $"{category} {eventId.Id} {FailureWords.Alike(exception is null ? said : FailureWords.Of(exception))}";
            switch (recurring.Take(key))
            {
                case null:
                    return;
                case 0 when exception is not null && !FailureWords.OfTheWorld(exception):
                    inner.Log(logLevel, eventId, state, exception, formatter);
                    return;
                case 0:
                    inner.Log(logLevel, eventId, $"{said}{failure}", null, (text, _) => text);
                    return;
                case var more:
                    string counted = string.Create(CultureInfo.InvariantCulture, $"{said}{failure} ({more} times in the minute before)");
                    inner.Log(logLevel, eventId, counted, null, (text, _) => text);
                    return;
            }
        }
    }
}

/// <summary>Which of many like failures is told.</summary>
internal sealed class RecurringFailures(TimeProvider clock)
{
    private static readonly TimeSpan Once = TimeSpan.FromMinutes(1);

    /// <summary>Kinds of failures in one minute; a flood of unlike ones is told as it is.</summary>
    private const int KindsMax = 1_000;

    private readonly ConcurrentDictionary<string, Kind> kinds = new();
    private readonly long began = clock.GetTimestamp();

    /// <summary>Since the log of this process began.</summary>
    public TimeSpan Age => clock.GetElapsedTime(began);

    /// <summary>Null: leave it out. Otherwise tell it, with how many were left out since the last that was told.</summary>
    public int? Take(string key)
    {
        if (kinds.Count > KindsMax)
        {
            foreach (var (old, _) in kinds.Where(k => clock.GetElapsedTime(k.Value.ToldAt) > Once))
            {
                kinds.TryRemove(old, out _);
            }
        }

        var kind = kinds.GetOrAdd(key, _ => new Kind());
        lock (kind)
        {
            if (kind.ToldAt != 0 && clock.GetElapsedTime(kind.ToldAt) < Once)
            {
                kind.LeftOut++;
                return null;
            }

            int leftOut = kind.LeftOut;
            (kind.ToldAt, kind.LeftOut) = (clock.GetTimestamp(), 0);
            return leftOut;
        }
    }

    private sealed class Kind
    {
        public long ToldAt { get; set; }

        public int LeftOut { get; set; }
    }
}

internal static partial class FailureWords
{
    private const int LengthMax = 300;

    /// <summary>
    /// The exception and what caused it, each in one line: "NpgsqlException: Failed to connect: SocketException: Connection refused".
    /// </summary>
    public static string Of(Exception failure)
    {
        string text = failure.Message.ReplaceLineEndings(" ");
        string own = $"{failure.GetType().Name}: {(text.Length > LengthMax ? text[..LengthMax] : text)}";
        return failure.InnerException is { } inner && !own.Contains(inner.Message, StringComparison.Ordinal)
            ? $"{own.TrimEnd('.')}: {Of(inner)}" : own;
    }

    /// <summary>Numbers, and what stands in quotes, make no other kind of it.</summary>
    public static string Alike(string text) => Varying().Replace(text, "#");

    /// <summary>
    /// Orleans' watchdog counts from the machine's start until its first look, and warns each new process that a check of it "has not
    /// completed for" the machine's whole age. What takes longer than the process has lived did not happen; a minute is for our own start.
    /// </summary>
    public static bool OlderThan(TimeSpan age, string said) => Uncompleted().Match(said) is { Success: true } match
        && TimeSpan.TryParse(match.Groups[1].ValueSpan, CultureInfo.InvariantCulture, out var span) && span > age + TimeSpan.FromMinutes(1);

    /// <summary>A stack would name our own code, which is not to blame.</summary>
    public static bool OfTheWorld(Exception failure) =>
        failure is DbException or IOException or SocketException or TimeoutException or UnauthorizedAccessException
        || (failure.InnerException is { } inner && OfTheWorld(inner));

    [GeneratedRegex(@"[0-9a-f]{8,}|\d+|'[^']*'")]
    private static partial Regex Varying();

    [GeneratedRegex(@"^Participant check thread has not completed for ([\d.:]+),")]
    private static partial Regex Uncompleted();
}
