namespace DeepSeekOps.Decisions.Planning;

/// <summary>What failures will cost a gang.</summary>
/// <param name="Ettr">Expected share of the time that is training which counts. Null for tiny times between failures, where the form is
/// wrong.</param>
/// <param name="BestInterval">Between checkpoints.</param>
/// <param name="Spares">Nodes that leave less than one chance in a hundred of waiting for a repair.</param>
public sealed record FailureForecast(
    TimeSpan MeanTimeBetween, double ExpectedFailures, double? Ettr, TimeSpan BestInterval, double LostGpuHoursPerFailure, int Spares)
{
    /// <summary>Below this the closed form is too pessimistic to be shown.</summary>
    private static readonly TimeSpan ShortestForm = TimeSpan.FromHours(1);

    /// <param name="stall">Training waits this long for a save.</param>
    /// <param name="lag">From the start of a save until it is durable.</param>
    public static FailureForecast Of(int nodes, int ranks, TimeSpan duration, TimeSpan interval, TimeSpan stall, TimeSpan lag)
    {
        var between = TimeSpan.FromDays(1000 / (Calibration.FailuresPerThousandNodeDays * nodes));
        double lost = (Calibration.Recovery + (interval / 2) + lag).TotalHours;
        return new FailureForecast(
            between, duration / between, between < ShortestForm ? null : EttrOf(between, interval, stall, lag, Calibration.Recovery),
            BestIntervalOf(between, stall, lag), lost * ranks, SparesFor(nodes));
    }

    /// <summary>Expected effective training time ratio: arXiv 2410.21680, with the lag until a checkpoint is durable.</summary>
    public static double EttrOf(TimeSpan between, TimeSpan interval, TimeSpan stall, TimeSpan lag, TimeSpan recovery) =>
        (1 - ((recovery + (interval / 2) + lag) / between)) / (1 + (stall / interval));

    /// <summary>Young's square root of twice stall times time between failures; no faster than one save is durable.</summary>
    public static TimeSpan BestIntervalOf(TimeSpan between, TimeSpan stall, TimeSpan lag)
    {
        var young = TimeSpan.FromSeconds(Math.Sqrt(2 * stall.TotalSeconds * between.TotalSeconds));
        return young > lag ? young : lag;
    }

    /// <summary>Smallest k with P(Poisson(nodes under repair) > k) below 1 %.</summary>
    public static int SparesFor(int nodes, double perThousandNodeDays = Calibration.FailuresPerThousandNodeDays)
    {
        double mean = nodes * perThousandNodeDays / 1000 * Calibration.Repair.TotalDays;
        double term = Math.Exp(-mean);
        double covered = term;
        int spares = 0;
        // Beyond a few hundred failed nodes exp(-mean) leaves the range of a double; spares are not what such a cluster needs.
        while (covered < 0.99 && spares < nodes)
        {
            spares++;
            term *= mean / spares;
            covered += term;
        }
        return spares;
    }
}
