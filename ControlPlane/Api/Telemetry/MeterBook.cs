using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using DeepSeekOps.ControlPlane.Grains;
using DeepSeekOps.ControlPlane.Storage;

namespace DeepSeekOps.ControlPlane.Api.Telemetry;

/// <summary>
/// Keeps what instruments of this process measure: those of our rooms, of Orleans, of the web server and of .NET itself. Rooms know
/// System.Diagnostics.Metrics and nothing of who reads.
/// </summary>
internal sealed class MeterBook : IDisposable
{
    private static readonly string[] Meters =
        [GrainMeter.Name, StoreMeter.Name, CallMeter.Name, "Microsoft.Orleans", "Microsoft.AspNetCore.Server.Kestrel", "System.Runtime"];

    private readonly MeterListener listener = new();
    private readonly ConcurrentDictionary<Instrument, Recorded> recorded = new();
    private readonly Lock reading = new();

    public MeterBook()
    {
        listener.InstrumentPublished = (instrument, listening) =>
        {
            if (Meters.Contains(instrument.Meter.Name) && Recorded.Of(instrument) is { } series)
            {
                recorded[instrument] = series;
                listening.EnableMeasurementEvents(instrument, series);
            }
        };
        listener.SetMeasurementEventCallback<byte>((_, value, tags, state) => Take(state, value, tags));
        listener.SetMeasurementEventCallback<short>((_, value, tags, state) => Take(state, value, tags));
        listener.SetMeasurementEventCallback<int>((_, value, tags, state) => Take(state, value, tags));
        listener.SetMeasurementEventCallback<long>((_, value, tags, state) => Take(state, value, tags));
        listener.SetMeasurementEventCallback<float>((_, value, tags, state) => Take(state, value, tags));
        listener.SetMeasurementEventCallback<double>((_, value, tags, state) => Take(state, value, tags));
        listener.SetMeasurementEventCallback<decimal>((_, value, tags, state) => Take(state, (double)value, tags));
        listener.Start();
        GrainMeter.Begin();
        StoreMeter.Begin();
    }

    /// <summary>By name, and of one name together: two meters may have an instrument of one name.</summary>
    public void WriteTo(Exposition text)
    {
        lock (reading)
        {
            foreach (var series in recorded.Values)
            {
                series.BeginLook();
            }

            listener.RecordObservableInstruments();
            foreach (var ofName in recorded.Values.GroupBy(r => r.Name).OrderBy(g => g.Key, StringComparer.Ordinal))
            {
                var first = ofName.First();
                text.Begin(first.Name, first.Type, first.Help);
                foreach (var (labels, series) in ofName.Where(r => r.Type == first.Type).SelectMany(r => r.Series).DistinctBy(s => s.Key)
                    .OrderBy(s => s.Key, StringComparer.Ordinal))
                {
                    series.WriteTo(text, first.Name, labels);
                }
            }

            text.Write(Dropped, [new Point(recorded.Values.Sum(r => r.Dropped))]);
        }
    }

    public static readonly Family Dropped = new("dsops_metrics_dropped_total", "counter",
        "Measurements that are in no series, since their instrument has too many already; 0 unless something is wrong with its labels.");

    public void Dispose() => listener.Dispose();

    private static void Take(object? state, double value, ReadOnlySpan<KeyValuePair<string, object?>> tags) =>
        ((Recorded)state!).Take(value, tags);
}
