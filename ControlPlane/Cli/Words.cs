using System.Globalization;

namespace DeepSeekOps.ControlPlane.Cli;

/// <summary>Figures as people read them in a narrow column.</summary>
public static class Words
{
    public const string None = "-";

    private static readonly string[] ByteUnits = ["B", "kB", "MB", "GB", "TB", "PB"];

    /// <summary>"950", "12.3K", "4.10M", "14.8T": three figures and a power of a thousand.</summary>
    public static string Count(long value)
    {
        string[] units = ["", "K", "M", "B", "T"];
        double scaled = value;
        int unit = 0;
        while (Math.Abs(scaled) >= 999.5 && unit < units.Length - 1)
        {
            scaled /= 1000;
            unit++;
        }
        return unit == 0 ? value.ToString(CultureInfo.InvariantCulture) : ThreeFigures(scaled) + units[unit];
    }

    /// <summary>In powers of ten, as the timeline's sentences and the dashboard have it.</summary>
    public static string Bytes(long value)
    {
        double scaled = value;
        int unit = 0;
        while (scaled >= 999.95 && unit < ByteUnits.Length - 1)
        {
            scaled /= 1000;
            unit++;
        }
        return unit == 0 ? $"{value} B" : string.Create(CultureInfo.InvariantCulture, $"{scaled:0.0} {ByteUnits[unit]}");
    }

    public static string Time(TimeSpan span)
    {
        if (span < TimeSpan.Zero)
        {
            return "-" + Time(-span);
        }
        return span switch
        {
            { TotalSeconds: < 9.95 } => span.TotalSeconds.ToString("0.0", CultureInfo.InvariantCulture) + " s",
            { TotalSeconds: < 59.5 } => span.TotalSeconds.ToString("0", CultureInfo.InvariantCulture) + " s",
            { TotalHours: < 1 } => $"{span.Minutes} min {span.Seconds} s",
            { TotalDays: < 1 } => $"{span.Hours} h {span.Minutes} min",
            _ => $"{(long)span.TotalDays} d {span.Hours} h",
        };
    }

    /// <summary>Four significant figures; a loss that is no number is said as such.</summary>
    public static string Figure(double? value) => value switch
    {
        null => None,
        { } number when double.IsNaN(number) => "NaN",
        { } number when double.IsInfinity(number) => number > 0 ? "+inf" : "-inf",
        { } number =>
            number.ToString("0.000", CultureInfo.InvariantCulture) is var fixedPoint && Math.Abs(number) is >= 0.001 and < 10_000 or 0
            ? fixedPoint
            : number.ToString("0.00e0", CultureInfo.InvariantCulture),
    };

    public static string NodeCount(int nodes) => nodes == 1 ? "1 node" : $"{nodes} nodes";

    /// <summary>"08:00:07" of today and "2026-01-02 08:00:07" of another day, in the time zone of who reads.</summary>
    public static string Clock(DateTimeOffset at, DateTimeOffset now)
    {
        var (then, today) = (at.ToLocalTime(), now.ToLocalTime());
        return then.ToString(then.Date == today.Date ? "HH:mm:ss" : "yyyy-MM-dd HH:mm:ss", CultureInfo.InvariantCulture);
    }

    /// <summary>"2026-01-02 08:00 UTC".</summary>
    public static string Moment(DateTimeOffset at) => at.UtcDateTime.ToString("yyyy-MM-dd HH:mm 'UTC'", CultureInfo.InvariantCulture);

    /// <summary>"ends in 54 d 3 h, about 2026-03-01 08:00 UTC (53 d 1 h to 57 d 9 h): …".</summary>
    public static string Forecast(Contracts.Ops.V1.RunForecast forecast, DateTimeOffset now)
    {
        var left = forecast.Left.ToTimeSpan();
        return $"ends in {Time(left)}, about {Moment(now + left)} ({Time(forecast.Low.ToTimeSpan())} to "
            + $"{Time(forecast.High.ToTimeSpan())}): {forecast.Basis}";
    }

    public static string Percent(double? share) =>
        share is { } value && double.IsFinite(value) ? (value * 100).ToString("0.0", CultureInfo.InvariantCulture) + " %" : None;

    public static string Steps(long step, long total) => total > 0 ? $"{step}/{total}" : step > 0 ? $"{step}" : None;

    private static string ThreeFigures(double value) => value.ToString(value switch
    {
        < 9.995 => "0.00",
        < 99.95 => "0.0",
        _ => "0",
    }, CultureInfo.InvariantCulture);
}
