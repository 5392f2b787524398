using System.Collections.Immutable;
using System.Diagnostics.Metrics;
using DeepSeekOps.ControlPlane.Api.Telemetry;
using DeepSeekOps.ControlPlane.Grains;
using DeepSeekOps.Decisions.Incidents;
using Xunit;

namespace DeepSeekOps.ControlPlane.Tests.Api.Telemetry;

/// <summary>From instruments to text. Pure, but for what other tests of this process count meanwhile.</summary>
public sealed class MeterBookTests
{
    [Theory]
    [InlineData("dsops.recovery", "s", "histogram", "dsops_recovery_seconds")]
    [InlineData("dsops.grain.calls", null, "counter", "dsops_grain_calls_total")]
    [InlineData("orleans-app-requests-total", null, "counter", "orleans_app_requests_total")]
    [InlineData("dotnet.gc.heap.total_allocated", "By", "counter", "dotnet_gc_heap_total_allocated_bytes_total")]
    [InlineData("dotnet.process.memory.working_set", "By", "gauge", "dotnet_process_memory_working_set_bytes")]
    [InlineData("kestrel.active_connections", "{connection}", "gauge", "kestrel_active_connections")]
    public void An_instrument_is_called_as_people_of_the_trade_expect(string instrument, string? unit, string type, string name) =>
        Assert.Equal(name, Recorded.NameOf(instrument, unit, type));

    [Fact]
    public void What_happens_is_counted_from_nothing_and_told_with_its_labels()
    {
        using var book = new MeterBook();
        var before = Read(book);
        Assert.NotEmpty(before.Of("dsops_beats_total"));
        Assert.Contains(before.Of("dsops_incidents_ended_total"),
            s => s.Labels["cause"] == "node_lost" && s.Labels["outcome"] == "needs_human");

        GrainMeter.Count(
        [
            new IncidentNews.Decided("test cause", "another gang"),
            new IncidentNews.Back("test cause", "another gang", TimeSpan.FromSeconds(7)),
            new IncidentNews.Came("test cause", IncidentState.NeedsHuman),
        ]);
        var after = Read(book);
        var recovered = Assert.Single(after.Of("dsops_recoveries_total"), s => s.Labels["cause"] == "test_cause");
        Assert.Equal(("another_gang", 1.0), (recovered.Labels["rung"], recovered.Value));
        var buckets = after.Of("dsops_recovery_seconds_bucket").Where(s => s.Labels["cause"] == "test_cause");
        Assert.Equal("10", buckets.First(b => b.Value > 0).Labels["le"]);
        Assert.Contains(after.Of("dsops_incidents_ended_total"),
            s => s is { Value: 1 } && s.Labels["cause"] == "test_cause" && s.Labels["outcome"] == "needs_human");
    }

    [Fact]
    public void What_is_observed_no_more_is_no_series_any_more()
    {
        using var meter = new Meter("test");
        string[] there = ["one", "two"];
        var gauge = meter.CreateObservableGauge(
            "rooms", () => there.Select(name => new Measurement<int>(1, new KeyValuePair<string, object?>("room", name))));
        var recorded = Recorded.Of(gauge)!;
        using var listener = new MeterListener();
        listener.SetMeasurementEventCallback<int>((_, value, tags, _) => recorded.Take(value, tags));
        listener.EnableMeasurementEvents(gauge);
        listener.RecordObservableInstruments();
        Assert.Equal(2, recorded.Series.Count());
        there = ["two"];
        recorded.BeginLook();
        listener.RecordObservableInstruments();
        Assert.Equal("room=\"two\"", Assert.Single(recorded.Series).Key);
    }

    /// <summary>Labels that grow with what others send would fill this process and a Prometheus.</summary>
    [Fact]
    public void An_instrument_with_too_many_labels_is_cut_and_says_so()
    {
        using var meter = new Meter("test");
        var recorded = Recorded.Of(meter.CreateCounter<long>("calls"))!;
        for (int i = 0; i < 1_200; i++)
        {
            recorded.Take(1, [new KeyValuePair<string, object?>("caller", i)]);
        }

        Assert.Equal((1_000, 200), (recorded.Series.Count(), recorded.Dropped));
    }

    [Fact]
    public void A_label_may_hold_whatever_a_name_holds()
    {
        var text = new Exposition();
        text.Write(new Family("things", "gauge", "a \\ and\na line", "name"), [new Point(double.NaN, "a\"b\\c\nd"), new Point(1e-7, "")]);
        Assert.Equal("# HELP things a \\\\ and\\na line\n# TYPE things gauge\n"
            + "things{name=\"a\\\"b\\\\c\\nd\"} NaN\nthings{name=\"\"} 1E-07\n", text.ToString());
        Assert.Equal(2, Scraped.Parse(text.ToString()).Samples.Count);
        Assert.Throws<ArgumentException>(() => text.Write(new Family("things", "gauge", "x", "name"), [new Point(1)]));
    }

    [Theory]
    [InlineData("lostWork", "lost_work")]
    [InlineData("productive", "productive")]
    public void A_bucket_of_the_ledger_is_a_label_as_labels_are_written(string json, string label) =>
        Assert.Equal(label, RunFamilies.Snake(json));

    private static Scraped Read(MeterBook book)
    {
        var text = new Exposition();
        book.WriteTo(text);
        return Scraped.Parse(text.ToString());
    }
}
