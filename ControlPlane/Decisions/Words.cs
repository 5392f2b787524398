using System.Collections.Immutable;
using System.Globalization;

namespace DeepSeekOps.Decisions;

/// <summary>Numbers in sentences, the same way everywhere.</summary>
public static class Words
{
    private const int NodesInFull = 8;

    public static string Count(int count, string one, string many) => count == 1 ? $"1 {one}" : $"{count} {many}";

    /// <summary>A few names in full; of many the first, the last and their number.</summary>
    public static string Nodes(ImmutableArray<NodeId> nodes) => nodes.Length <= NodesInFull ? string.Join(", ", nodes)
        : $"{nodes.Length} nodes ({nodes[0]} … {nodes[^1]})";

    /// <summary>"950", "12.3 k", "4.10 M", "14.8 T": three digits and a power of a thousand.</summary>
    public static string Short(double value)
    {
        ReadOnlySpan<string> letters = ["", " k", " M", " B", " T", " P", " E", " Z"];
        int power = 0;
        while (Math.Abs(value) >= 999.5 && power < letters.Length - 1)
        {
            value /= 1000;
            power++;
        }

        bool whole = power == 0 && value == Math.Floor(value);
        return (whole ? value.ToString("0", CultureInfo.InvariantCulture) : Digits(value)) + letters[power];
    }

    /// <summary>"512 B", "410.2 MB", "5.4 TB", in powers of ten, as the makers of disks and GPUs have it.</summary>
    public static string Size(double bytes)
    {
        ReadOnlySpan<string> units = [" B", " kB", " MB", " GB", " TB", " PB"];
        int power = 0;
        while (bytes >= 999.95 && power < units.Length - 1)
        {
            bytes /= 1000;
            power++;
        }

        return bytes.ToString(power == 0 ? "0" : "0.0", CultureInfo.InvariantCulture) + units[power];
    }

    /// <summary>"310 ms", "2.3 s", "4 min", "4 min 5 s", "5 h 12 min", "3 d 2 h": two units are enough to act on.</summary>
    public static string Duration(TimeSpan span) => span.TotalSeconds switch
    {
        < 0.0005 => "0 s",
        < 0.9995 => string.Create(CultureInfo.InvariantCulture, $"{span.TotalMilliseconds:0} ms"),
        < 99.95 => string.Create(CultureInfo.InvariantCulture, $"{span.TotalSeconds:0.#} s"),
        < 3599.5 => Two((long)Math.Round(span.TotalSeconds), 60, "min", "s"),
        < 86_370 => Two((long)Math.Round(span.TotalMinutes), 60, "h", "min"),
        _ => Two((long)Math.Round(span.TotalHours), 24, "d", "h"),
    };

    /// <summary>A loss, or a measure: "2.4518"; "2.16e4" and "-4.7e-6" where four places would say too much or nothing.</summary>
    public static string Loss(double value) => value switch
    {
        0 => "0.0000",
        _ when !double.IsFinite(value) => NotFinite(value),
        _ when Math.Abs(value) < 0.00005 => value.ToString("0.0e-0", CultureInfo.InvariantCulture),
        _ when Math.Abs(value) >= 9_999.99995 => value.ToString("0.00e-0", CultureInfo.InvariantCulture),
        _ => value.ToString("0.0000", CultureInfo.InvariantCulture),
    };

    /// <summary>Rates and norms, which run over many powers of ten: "3.00e-3", "0.21", "12.4".</summary>
    public static string Small(double value) => value switch
    {
        0 => "0",
        _ when !double.IsFinite(value) => NotFinite(value),
        _ when Math.Abs(value) is < 0.01 or >= 100_000 => value.ToString("0.00e-0", CultureInfo.InvariantCulture),
        _ => Digits(value),
    };

    /// <summary>Time of GPUs, from a second of one to a year of 2,048: "&lt; 0.001", "0.027", "12.40", "2,788,000".</summary>
    public static string GpuHours(double hours) => hours switch
    {
        0 => "0",
        < 0.001 => "< 0.001",
        < 0.1 => hours.ToString("0.000", CultureInfo.InvariantCulture),
        < 100 => hours.ToString("0.00", CultureInfo.InvariantCulture),
        _ => hours.ToString("#,0", CultureInfo.InvariantCulture),
    };

    /// <summary>"38.1 %", "5.25 %"; the caller says what stands for none.</summary>
    public static string Percent(double share) =>
        (share * 100).ToString(Math.Abs(share) < 0.1 ? "0.0#" : "0.0", CultureInfo.InvariantCulture) + " %";

    /// <summary>The same sentence with other figures: a countdown, a place in the queue. It is no news for a log.</summary>
    public static bool SameButFigures(string one, string other) => WithoutFigures(one) == WithoutFigures(other);

    private static string WithoutFigures(string text)
    {
        var kept = new System.Text.StringBuilder(text.Length);
        foreach (string word in text.Split(' ', StringSplitOptions.RemoveEmptyEntries))
        {
            bool figure = word.Any(char.IsAsciiDigit) && !word.Any(c => char.IsAsciiLetter(c) || c is '-' or '/');
            // A duration has one unit or two, and other ones as it shrinks.
            bool unit = word.TrimEnd('.', ',', ';', ':', ')') is "ms" or "s" or "min" or "h" or "d";
            if (!figure && !unit)
            {
                kept.Append(word).Append(' ');
            }
        }

        return kept.ToString();
    }

    private static string Two(long small, int ofOne, string large, string rest) =>
        small % ofOne == 0 ? $"{small / ofOne} {large}" : $"{small / ofOne} {large} {small % ofOne} {rest}";

    private static string NotFinite(double value) => double.IsNaN(value) ? "NaN" : value > 0 ? "+∞" : "−∞";

    private static string Digits(double value) => value.ToString(Math.Abs(value) switch
    {
        < 9.995 => "0.00",
        < 99.95 => "0.0",
        _ => "0",
    }, CultureInfo.InvariantCulture);
}
