using System.Globalization;

namespace DeepSeekOps.ControlPlane.Cli;

/// <summary>Figures as people read them in a column: as sentences have them, and what stands for none.</summary>
public static class Words
{
    public const string None = "-";

    public static string Count(double value) => Decisions.Words.Short(value);

    public static string Bytes(long value) => Decisions.Words.Size(value);

    public static string Time(TimeSpan span) => span < TimeSpan.Zero ? "-" + Time(-span) : Decisions.Words.Duration(span);

    public static string Figure(double? value) => value is { } number ? Decisions.Words.Loss(number) : None;

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
    /// <param name="simulated">Its time passes faster than a clock's, so it has no date.</param>
    public static string Forecast(Contracts.Ops.V1.RunForecast forecast, DateTimeOffset now, bool simulated)
    {
        var left = forecast.Left.ToTimeSpan();
        string end = simulated ? " of simulated time" : $", about {Moment(now + left)}";
        return $"ends in {Time(left)}{end} ({Time(forecast.Low.ToTimeSpan())} to "
            + $"{Time(forecast.High.ToTimeSpan())}): {forecast.Basis}";
    }

    public static string Percent(double? share) => share is { } value && double.IsFinite(value) ? Decisions.Words.Percent(value) : None;

    public static string Steps(long step, long total) => total > 0 ? $"{step}/{total}" : step > 0 ? $"{step}" : None;
}
