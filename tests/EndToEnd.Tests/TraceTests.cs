using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;
using Xunit;

namespace DeepSeekOps.EndToEnd.Tests;

/// <summary>A rank of a gang is killed under a control plane that exports to a collector of the test's own.</summary>
public sealed class TraceTests
{
    [Fact]
    public async Task One_recovery_is_one_trace_of_control_plane_agents_and_ranks()
    {
        using var collector = new OtlpReceiver();
        await using var dsops = await Dsops.StartIn(
            [
                $"OTEL_EXPORTER_OTLP_ENDPOINT={collector.Address}", "OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf",
                "OTEL_BSP_SCHEDULE_DELAY=200", "OTEL_BLRP_SCHEDULE_DELAY=200",
            ],
            "--nodes", "2", "--ranks-per-node", "2");
        await dsops.Submit(TinyPipeline.Gang("traced", 60));
        var training = await dsops.UntilStage("traced", "pretrain", "is at step 12", Eventually.Patience,
            s => (long)s["step"]! >= 12 && s["ranks"]!.AsArray().Count == 4
                && s["ranks"]!.AsArray().All(r => (string)r!["state"]! == "training"));
        Dsops.Kill((int)training["ranks"]!.AsArray().Single(r => (int)r!["rank"]! == 1)!["pid"]!);
        await dsops.UntilRun("traced", "completed", Eventually.Patience);

        // Who looks on the terminal sees what the collector has got.
        var incident = await Eventually.Get("the trace is whole", Eventually.Patience, async () =>
            (await dsops.Json("why", "traced", "--incident", "1"))["incident"] is JsonObject seen
                && seen["spans"]?.AsArray() is { Count: > 0 } spans && spans.Any(s => (string?)s!["name"] == "launch") ? seen : null,
            () => dsops.Evidence);
        string trace = (string)incident["traceId"]!;
        await Eventually.Is("it has reached the collector", Eventually.Patience,
            () => Task.FromResult(incident["spans"]!.AsArray().All(s => collector.Spans.Any(c => c.Id == (string)s!["id"]!))),
            () => Told(collector));
        var spans = collector.Spans.Where(s => s.Trace == trace).OrderBy(s => s.Began).ToList();
        Assert.Equal(incident["spans"]!.AsArray().Select(s => (string)s!["id"]!).Order(), spans.Select(s => s.Id).Order());

        var whole = Assert.Single(spans, s => s.Parent.Length == 0);
        Assert.Equal(("recovery", "dsops", "traced", "rank_exited"),
            (whole.Name, whole.Service, whole.Attributes["dsops.run"], whole.Attributes["dsops.cause"]));
        Assert.All(spans.Where(s => s != whole), s => Assert.Contains(spans, above => above.Id == s.Parent));
        Assert.All(spans, s => Assert.True(s.Began >= whole.Began && s.Ended >= s.Began, Told(collector)));
        var launch = Assert.Single(spans, s => s.Name == "launch");
        Assert.Equal((whole.Id, whole.Ended), (launch.Parent, launch.Ended));
        // What the control plane has added up covers each of the recovery's seconds.
        var phases = spans.Where(s => s.Parent == whole.Id && s != launch).ToList();
        Assert.Equal((whole.Began, whole.Ended), (phases[0].Began, phases[^1].Ended));
        Assert.All(phases.Zip(phases.Skip(1)), p => Assert.Equal(p.First.Ended, p.Second.Began));
        foreach (string node in new[] { "node-0", "node-1" })
        {
            var agent = Assert.Single(spans, s => s.Name == $"agent on {node}");
            Assert.Equal((launch.Id, "dsops-agent", node), (agent.Parent, agent.Service, agent.Attributes["host.name"]));
            var ranks = spans.Where(s => s.Parent == agent.Id && s.Service == "dsops-rank").ToList();
            Assert.Equal(2, ranks.Count);
            foreach (var rank in ranks)
            {
                var parts = spans.Where(s => s.Parent == rank.Id).ToList();
                Assert.Equal(["connect", "build", "restore", "first step"],
                    parts.Select(p => p.Name).Where(n => n is "connect" or "build" or "restore" or "first step"));
                Assert.All(parts, p => Assert.Equal(rank.Name, $"rank {p.Attributes["dsops.rank"]}"));
                // By the rank's own clock one follows the other; the agent's clock, before, and rounding are within a millisecond.
                var own = parts.SkipWhile(p => p.Name != "connect").ToList();
                Assert.All(own.Zip(own.Skip(1)), p => Assert.InRange(
                    (p.Second.Began - p.First.Ended).TotalMilliseconds, -1, p.Second.Name == "first step" ? double.MaxValue : 1));
                Assert.True(parts[0].Began >= launch.Began && own[^1].Name == "first step", Told(collector));
            }
        }

        // Of the rank that was killed another process had to be launched; the others kept theirs.
        Assert.Contains(spans, s => s.Name == "end what is left" && s.Service == "dsops-agent");
        string why = await dsops.Answer("why", "traced", "--incident", "1");
        Assert.Contains($"trace {trace}: who did what", why, StringComparison.Ordinal);
        Assert.Contains("rank 1:", why, StringComparison.Ordinal);

        // The log went there too, and what it says of the recovery was said within the trace.
        const string begins = "traced/pretrain, incident 1: ";
        var said = await Eventually.Get("the log has reached the collector", Eventually.Patience,
            () => Task.FromResult(collector.Logs.FirstOrDefault(l => l.Text.StartsWith(begins, StringComparison.Ordinal))),
            () => string.Join('\n', collector.Logs));
        Assert.Equal(("dsops", trace, whole.Id), (said.Service, said.Trace, said.Span));
        Assert.Contains(collector.Logs, l => l.Trace.Length == 0 && l.Text.Contains("traced/pretrain is", StringComparison.Ordinal));

        string token = dsops.Token;
        Assert.Equal(0, await dsops.Stop());
        NoSecretIsInIt(dsops, token, collector);
    }

    /// <summary>Tokens of people, of agents and of ranks, and the keys that they are made with.</summary>
    private static void NoSecretIsInIt(Dsops dsops, string token, OtlpReceiver collector)
    {
        string all = string.Concat(collector.Bodies.Select(Encoding.Latin1.GetString));
        string[] secrets =
        [
            token,
            .. Directory.EnumerateFiles(dsops.DataDirectory, "*", new EnumerationOptions { RecurseSubdirectories = false })
                .Where(f => Path.GetFileName(f).Contains("key", StringComparison.Ordinal)
                    || Path.GetFileName(f).Contains("token", StringComparison.Ordinal))
                .SelectMany(File.ReadLines).Select(l => l.Trim()).Where(l => l.Length >= 16),
        ];
        Assert.All(secrets, secret => Assert.DoesNotContain(secret, all, StringComparison.Ordinal));
        Assert.DoesNotContain("DSOPS_AGENT_TOKEN", all, StringComparison.Ordinal);
        Assert.DoesNotContain("Bearer ", all, StringComparison.Ordinal);
    }

    private static string Told(OtlpReceiver collector) => string.Join('\n', collector.Spans.OrderBy(s => s.Began).Select(s =>
        string.Create(CultureInfo.InvariantCulture,
            $"{s.Trace} {s.Id} < {s.Parent} {s.Service} {s.Name} {s.Began:HH:mm:ss.fff} - {s.Ended:HH:mm:ss.fff}")));
}
