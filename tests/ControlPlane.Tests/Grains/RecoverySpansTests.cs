using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net;
using System.Text;
using DeepSeekOps.ControlPlane.Grains;
using DeepSeekOps.ControlPlane.Hosting;
using DeepSeekOps.Decisions;
using DeepSeekOps.Decisions.Incidents;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using OpenTelemetry.Trace;
using Xunit;

namespace DeepSeekOps.ControlPlane.Tests.Grains;

/// <summary>One recovery is one trace.</summary>
public sealed class RecoverySpansTests
{
    private static readonly DateTimeOffset Began = new(2026, 1, 2, 8, 0, 0, TimeSpan.Zero);

    [Fact]
    public void A_recovery_is_one_trace_whose_parts_follow_each_other()
    {
        var incident = Back("spans-a");
        var spans = Heard(() => RecoverySpans.Tell(new IncidentNews.Traced("rank exited", incident)));
        var whole = Assert.Single(spans, s => s.DisplayName == "recovery");
        Assert.Null(whole.Parent);
        Assert.Equal((Began.UtcDateTime, TimeSpan.FromSeconds(7)), (whole.StartTimeUtc, whole.Duration));
        Assert.Equal(("rank_exited", "in_place", "node-0", 6L), (whole.GetTagItem("dsops.cause"), whole.GetTagItem("dsops.rung"),
            whole.GetTagItem("dsops.node"), whole.GetTagItem("dsops.first_step")));
        Assert.Equal(["diagnosed", "decided"], whole.Events.Select(e => e.Name));
        var parts = spans.Where(s => s.ParentSpanId == whole.SpanId && s.TraceId == whole.TraceId).OrderBy(s => s.StartTimeUtc).ToArray();
        Assert.Equal(["detect", "decide and act", "load", "first step"], parts.Select(p => p.DisplayName));
        Assert.All(parts.Zip(parts.Skip(1)), p => Assert.Equal(p.First.StartTimeUtc + p.First.Duration, p.Second.StartTimeUtc));
        Assert.Equal(whole.StartTimeUtc + whole.Duration, parts[^1].StartTimeUtc + parts[^1].Duration);
    }

    [Fact]
    public void One_that_nobody_could_bring_back_is_an_error_and_what_follows_a_recovery_is_no_second_trace()
    {
        var given = Back("spans-b") with
        {
            State = IncidentState.NeedsHuman,
            Outcome = null,
            Phases = [],
            Sentence = "It fails at every launch.",
            Steps = [new IncidentStep(Began.AddSeconds(9), IncidentState.NeedsHuman, "")],
        };
        var error = Assert.Single(Heard(() => RecoverySpans.Tell(new IncidentNews.Traced("rank exited", given))));
        Assert.Equal((ActivityStatusCode.Error, "It fails at every launch.", TimeSpan.FromSeconds(9)),
            (error.Status, error.StatusDescription, error.Duration));
        Assert.Empty(Heard(() => RecoverySpans.Tell(new IncidentNews.Came("rank exited", IncidentState.NeedsHuman))));
    }

    [Fact]
    public async Task Whoever_the_environment_names_is_sent_it()
    {
        int port = LoopbackPort.Free();
        var sent = new TaskCompletionSource<byte[]>(TaskCreationOptions.RunContinuationsAsynchronously);
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, port, listen => listen.Protocols = HttpProtocols.Http1));
        await using var collector = builder.Build();
        collector.Run(async context =>
        {
            using var body = new MemoryStream();
            await context.Request.Body.CopyToAsync(body);
            sent.TrySetResult(context.Request.Path == "/v1/traces" ? body.ToArray() : []);
        });
        await collector.StartAsync(TestContext.Current.CancellationToken);
        Assert.Empty(TelemetryExport.Begin());
        Environment.SetEnvironmentVariable("OTEL_EXPORTER_OTLP_ENDPOINT", $"http://127.0.0.1:{port}");
        Environment.SetEnvironmentVariable("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf");
        TracerProvider[] providers;
        try
        {
            providers = TelemetryExport.Begin();
        }
        finally
        {
            Environment.SetEnvironmentVariable("OTEL_EXPORTER_OTLP_ENDPOINT", null);
            Environment.SetEnvironmentVariable("OTEL_EXPORTER_OTLP_PROTOCOL", null);
        }

        RecoverySpans.Tell(new IncidentNews.Traced("rank exited", Back("spans-c")));
        Array.ForEach(providers, provider => provider.Dispose());

        // Texts of a protobuf message stand in it as they are.
        string words = Encoding.Latin1.GetString(await sent.Task.WaitAsync(TestContext.Current.CancellationToken));
        Assert.All(new[] { "recovery", "spans-c", "detect", "decide and act", "service.name", "dsops" },
            word => Assert.Contains(word, words, StringComparison.Ordinal));
    }

    private static Incident Back(string run) => new(new StageId(run, "pretrain"), 1, IncidentState.Verifying, Began, "", 4, [])
    {
        HappenedAt = Began,
        Diagnosis = new Diagnosis(Began.AddSeconds(1), "rank exited", "rank 0 was ended by signal 9", "", "", "", 0, "node-0", 1, 5, []),
        Decision = new IncidentDecision(Began.AddSeconds(1), "launched again", "in place", 5, []),
        Outcome = new IncidentOutcome(Began.AddSeconds(7), 6, null, null, 0, 0),
        Phases =
        [
            new("noticed", TimeSpan.FromSeconds(1)), new("ended and placed", TimeSpan.FromSeconds(2)), new("load", TimeSpan.FromSeconds(3)),
            new("first step", TimeSpan.FromSeconds(1)),
        ],
    };

    private static List<Activity> Heard(Action tell)
    {
        var heard = new ConcurrentQueue<Activity>();
        using var listener = new ActivityListener
        {
            ShouldListenTo = source => source.Name == RecoverySpans.Name,
            Sample = (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllDataAndRecorded,
            ActivityStopped = heard.Enqueue,
        };
        ActivitySource.AddActivityListener(listener);
        tell();
        var of = heard.Where(a => a.GetTagItem("dsops.run") is string run && run.StartsWith("spans-", StringComparison.Ordinal))
            .Select(a => a.TraceId).ToHashSet();
        return [.. heard.Where(a => of.Contains(a.TraceId))];
    }
}
