using System.Collections.Concurrent;
using System.Collections.Immutable;
using System.Diagnostics.Metrics;
using System.Globalization;
using System.Text;

namespace DeepSeekOps.ControlPlane.Api.Telemetry;

/// <summary>What one instrument has measured, by its labels.</summary>
internal sealed class Recorded
{
    /// <summary>
    /// Series of one instrument. Ours have a hundred at most (methods × outcomes); another's labels are not known beforehand, and a
    /// Prometheus is hurt by thousands that nobody asked for.
    /// </summary>
    private const int SeriesMax = 1_000;

    /// <summary>OpenTelemetry's default for seconds, for instruments that advise nothing.</summary>
    private static readonly ImmutableArray<double> UsualSeconds =
        [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10];

    /// <summary>And for all else.</summary>
    private static readonly ImmutableArray<double> Usual = [0, 5, 10, 25, 50, 75, 100, 250, 500, 750, 1_000, 2_500, 5_000, 7_500, 10_000];

    private readonly ConcurrentDictionary<string, MeterSeries> series = new(StringComparer.Ordinal);
    private readonly Way way;
    private readonly double scale;
    private readonly ImmutableArray<double> bounds;
    private long dropped;

    private Recorded(Instrument instrument, Way way, ImmutableArray<double> bounds)
    {
        // Base units: what others measure in milliseconds is told in seconds.
        (this.way, scale) = (way, instrument.Unit == "ms" ? 0.001 : 1);
        this.bounds = scale == 1 ? bounds : [.. bounds.Select(b => b * scale)];
        Type = way switch { Way.Count or Way.Total => "counter", Way.Spread => "histogram", _ => "gauge" };
        Name = NameOf(instrument.Name, instrument.Unit, Type);
        Help = instrument.Description is { Length: > 0 } words ? words : $"{instrument.Name} of {instrument.Meter.Name}.";
    }

    private enum Way
    {
        /// <summary>Each measurement is added.</summary>
        Count = 0,
        /// <summary>As <see cref="Count"/>, and may fall.</summary>
        Balance = 1,
        /// <summary>Each measurement is all there was so far.</summary>
        Total = 2,
        /// <summary>Each measurement is what is now, and all there is.</summary>
        Level = 3,
        /// <summary>Each measurement is what is from now on.</summary>
        Set = 4,
        Spread = 5,
    }

    public string Name { get; }

    public string Type { get; }

    public string Help { get; }

    public long Dropped => Interlocked.Read(ref dropped);

    public IEnumerable<KeyValuePair<string, MeterSeries>> Series => series;

    /// <summary>Null: an instrument of a kind that nothing can be made of.</summary>
    public static Recorded? Of(Instrument instrument)
    {
        Way? way = instrument.GetType().Name.Split('`')[0] switch
        {
            "Counter" => Way.Count,
            "UpDownCounter" => Way.Balance,
            "ObservableCounter" => Way.Total,
            "ObservableUpDownCounter" or "ObservableGauge" => Way.Level,
            "Gauge" => Way.Set,
            "Histogram" => Way.Spread,
            _ => null,
        };
        return way is { } known ? new Recorded(instrument, known, known == Way.Spread ? Bounds(instrument) : []) : null;
    }

    /// <summary>"dsops.recovery" in seconds is "dsops_recovery_seconds"; a counter ends in "_total".</summary>
    internal static string NameOf(string instrument, string? unit, string type)
    {
        var name = new StringBuilder(instrument.Length + 16);
        foreach (char c in instrument)
        {
            name.Append(char.IsAsciiLetterOrDigit(c) ? char.ToLowerInvariant(c) : '_');
        }

        string suffix = unit switch { "s" or "ms" => "_seconds", "By" or "bytes" => "_bytes", _ => "" };
        string text = name.ToString();
        text = text.EndsWith("_total", StringComparison.Ordinal) ? text[..^"_total".Length] : text;
        text = text.EndsWith(suffix, StringComparison.Ordinal) ? text : text + suffix;
        return type == "counter" ? text + "_total" : text;
    }

    /// <summary>What is observed and was not observed again is no series any more.</summary>
    public void BeginLook()
    {
        if (way is Way.Total or Way.Level)
        {
            series.Clear();
        }
    }

    public void Take(double value, ReadOnlySpan<KeyValuePair<string, object?>> tags)
    {
        string labels = LabelsOf(tags);
        if (!series.TryGetValue(labels, out var of))
        {
            if (series.Count >= SeriesMax)
            {
                Interlocked.Increment(ref dropped);
                return;
            }

            of = series.GetOrAdd(labels, _ => new MeterSeries(bounds));
        }

        of.Take(value * scale, set: way is Way.Total or Way.Level or Way.Set);
    }

    private static string LabelsOf(ReadOnlySpan<KeyValuePair<string, object?>> tags)
    {
        if (tags.IsEmpty)
        {
            return "";
        }

        var named = new (string Name, string Value)[tags.Length];
        for (int i = 0; i < tags.Length; i++)
        {
            named[i] = (NameOf(tags[i].Key, null, ""), Convert.ToString(tags[i].Value, CultureInfo.InvariantCulture) ?? "");
        }

        // Instruments of others name theirs in whatever order.
        Array.Sort(named, (a, b) => string.CompareOrdinal(a.Name, b.Name));
        return Exposition.Labels(named);
    }

    private static ImmutableArray<double> Bounds(Instrument instrument) => instrument switch
    {
        Histogram<double> { Advice.HistogramBucketBoundaries: { Count: > 0 } advised } => [.. advised],
        Histogram<long> { Advice.HistogramBucketBoundaries: { Count: > 0 } advised } => [.. advised],
        Histogram<int> { Advice.HistogramBucketBoundaries: { Count: > 0 } advised } => [.. advised],
        _ => instrument.Unit == "s" ? UsualSeconds : Usual,
    };
}

/// <summary>One series of an instrument.</summary>
internal sealed class MeterSeries(ImmutableArray<double> bounds)
{
    private readonly Lock changing = new();
    private readonly long[] within = new long[bounds.Length];
    private double value;
    private long count;

    public void Take(double measured, bool set)
    {
        lock (changing)
        {
            value = set ? measured : value + measured;
            count++;
            for (int i = 0; i < bounds.Length; i++)
            {
                within[i] += measured <= bounds[i] ? 1 : 0;
            }
        }
    }

    public void WriteTo(Exposition text, string name, string labels)
    {
        lock (changing)
        {
            if (bounds.IsEmpty)
            {
                text.Sample(name, labels, value);
                return;
            }

            string before = labels.Length > 0 ? $"{labels}," : "";
            for (int i = 0; i < bounds.Length; i++)
            {
                text.Sample($"{name}_bucket", $"{before}le=\"{Exposition.Number(bounds[i])}\"", within[i]);
            }

            text.Sample($"{name}_bucket", $"{before}le=\"+Inf\"", count);
            text.Sample($"{name}_sum", labels, value);
            text.Sample($"{name}_count", labels, count);
        }
    }
}
