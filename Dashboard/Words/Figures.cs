using System.Globalization;

namespace DeepSeekOps.Dashboard.Words;

/// <summary>
/// Numbers as people read them. Pages never format one by themselves. The control plane's sentences and its command line have the same
/// forms from a room that pages do not see; a test holds the two together.
/// </summary>
public static class Figures
{
    private static readonly CultureInfo Plain = CultureInfo.InvariantCulture;

    /// <summary>Three significant digits and a letter: 614 k, 2.79 M, 14.8 T.</summary>
    public static string Count(double value)
    {
        ReadOnlySpan<string> letters = ["", " k", " M", " B", " T", " P", " E", " Z"];
        var power = 0;
        while (Math.Abs(value) >= 999.5 && power < letters.Length - 1)
        {
            value /= 1000;
            power++;
        }
        return (power == 0 && value == Math.Floor(value) ? value.ToString("0", Plain) : Digits(value)) + letters[power];
    }

    public static string Whole(long value) => value.ToString("#,0", Plain);

    /// <summary>"1 node", "2,048 GPUs".</summary>
    public static string Of(long count, string one, string many) => $"{Whole(count)} {(count == 1 ? one : many)}";

    public static string Percent(double share) =>
        double.IsFinite(share) ? (share * 100).ToString(Math.Abs(share) < 0.1 ? "0.0#" : "0.0", Plain) + " %" : "–";

    /// <summary>In powers of ten, as the timeline's sentences and the makers of disks and GPUs have it.</summary>
    public static string Bytes(double bytes)
    {
        ReadOnlySpan<string> units = [" B", " kB", " MB", " GB", " TB", " PB"];
        var power = 0;
        while (bytes >= 999.95 && power < units.Length - 1)
        {
            bytes /= 1000;
            power++;
        }
        return bytes.ToString(power == 0 ? "0" : "0.0", Plain) + units[power];
    }

    public static string Loss(double? value) => value switch
    {
        null => "–",
        0 => "0.0000",
        { } v when !double.IsFinite(v) => NotFinite(v),
        // Four places would say nothing of it but a sign, or more than it is known to.
        { } v when Math.Abs(v) < 0.00005 => v.ToString("0.0e-0", Plain),
        { } v when Math.Abs(v) >= 9_999.99995 => v.ToString("0.00e-0", Plain),
        { } v => v.ToString("0.0000", Plain),
    };

    /// <summary>Rates and norms, which run over many powers of ten: 3.00e-3, 0.214, 12.4.</summary>
    public static string Small(double? value) => value switch
    {
        null => "–",
        0 => "0",
        { } v when !double.IsFinite(v) => NotFinite(v),
        { } v when Math.Abs(v) is < 0.01 or >= 100_000 => v.ToString("0.00e-0", Plain),
        { } v => Digits(v),
    };

    /// <summary>Time of GPUs, from a second of one to a year of 2,048: "&lt; 0.001", "0.027", "12.40", "2,788,000".</summary>
    public static string GpuHours(double hours) => hours switch
    {
        0 => "0",
        < 0.001 => "< 0.001",
        < 0.1 => hours.ToString("0.000", Plain),
        < 100 => hours.ToString("0.00", Plain),
        _ => hours.ToString("#,0", Plain),
    };

    public static string Money(double dollars) => dollars.ToString(dollars < 100 ? "$#,0.00" : "$#,0", Plain);

    public static string Duration(TimeSpan span) => span.TotalSeconds switch
    {
        < 0.0005 => "0 s",
        < 0.9995 => span.TotalMilliseconds.ToString("0", Plain) + " ms",
        < 99.95 => span.TotalSeconds.ToString("0.#", Plain) + " s",
        < 3599.5 => Two((long)Math.Round(span.TotalSeconds), 60, "min", "s"),
        < 86_370 => Two((long)Math.Round(span.TotalMinutes), 60, "h", "min"),
        _ => Two((long)Math.Round(span.TotalHours), 24, "d", "h"),
    };

    private static string Two(long small, int ofOne, string large, string rest) =>
        small % ofOne == 0 ? $"{small / ofOne} {large}" : $"{small / ofOne} {large} {small % ofOne} {rest}";

    private static string NotFinite(double value) => double.IsNaN(value) ? "NaN" : value > 0 ? "+∞" : "−∞";

    private static string Digits(double value) => Math.Abs(value) switch
    {
        < 9.995 => value.ToString("0.00", Plain),
        < 99.95 => value.ToString("0.0", Plain),
        _ => value.ToString("0", Plain),
    };
}
