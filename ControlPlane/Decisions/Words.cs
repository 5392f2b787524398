using System.Globalization;

namespace DeepSeekOps.Decisions;

/// <summary>Numbers in sentences, the same way everywhere.</summary>
public static class Words
{
    public static string Count(int count, string one, string many) => count == 1 ? $"1 {one}" : $"{count} {many}";

    /// <summary>"2.3 s", "4 min", "5.2 h", "3.1 d": two significant digits are enough to act on.</summary>
    public static string Duration(TimeSpan span) => span.TotalSeconds switch
    {
        < 0 => "0 s",
        < 100 => string.Create(CultureInfo.InvariantCulture, $"{span.TotalSeconds:0.#} s"),
        < 6000 => string.Create(CultureInfo.InvariantCulture, $"{span.TotalMinutes:0} min"),
        < 360_000 => string.Create(CultureInfo.InvariantCulture, $"{span.TotalHours:0.#} h"),
        _ => string.Create(CultureInfo.InvariantCulture, $"{span.TotalDays:0.#} d"),
    };
}
