using System.Net;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using DeepSeekOps.ControlPlane.Api.Telemetry;
using DeepSeekOps.ControlPlane.Grains;
using DeepSeekOps.ControlPlane.Storage.People;
using DeepSeekOps.ControlPlane.Tests.Api.Telemetry;
using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.Decisions.Incidents;
using Microsoft.Extensions.DependencyInjection;
using Xunit;
using YamlDotNet.RepresentationModel;

namespace DeepSeekOps.ControlPlane.Tests.Api.People;

/// <summary>What who watches is told, by the same control plane: it has runs, people and ports.</summary>
public sealed partial class PeopleTests
{
    /// <summary>Every target has them.</summary>
    private static readonly string[] OfPrometheus = ["job", "instance"];

    [Fact]
    public async Task Metrics_are_for_a_viewer_of_every_team()
    {
        using var viewer = await host.As("viewer", "");
        using var ofTeam = await host.As("admin", "alpha");
        using var answer = await host.Get("/metrics", viewer.Text);
        Assert.Equal((HttpStatusCode.OK, "text/plain; version=0.0.4; charset=utf-8"),
            (answer.StatusCode, answer.Content.Headers.ContentType?.ToString()));
        Assert.Equal(HttpStatusCode.Unauthorized, (await host.Get("/metrics", "nobody's")).StatusCode);
        foreach (string path in new[] { "/metrics", "/metrics/", "/METRICS", "/%6detrics" })
        {
            using var refused = await host.Get(path, ofTeam.Text);
            Assert.Equal(HttpStatusCode.Forbidden, refused.StatusCode);
            Assert.Contains("viewer of every team", await refused.Content.ReadAsStringAsync(Cancelled), StringComparison.Ordinal);
        }
    }

    /// <summary>The database that does not answer is the news; a token that it forgot is refused all the same.</summary>
    [Fact]
    public async Task A_token_is_known_for_metrics_while_the_database_is_away()
    {
        using var viewer = await host.As("viewer", "");
        using var other = await host.As("viewer", "");
        var tokens = host.Services.GetRequiredService<AccessTokens>();
        Assert.Null(tokens.Recalled(viewer.Text));
        await host.Get("/metrics", viewer.Text);
        Assert.Equal(viewer.Id, tokens.Recalled(viewer.Text)?.Token.Id);
        Assert.Null(tokens.Recalled(viewer.Text[..^4] + other.Text[^4..]));
        await host.Owner.RevokeTokenAsync(new RevokeTokenRequest { Id = viewer.Id }, cancellationToken: Cancelled);
        Assert.Null(tokens.Recalled(viewer.Text));
    }

    [Fact]
    public async Task The_port_for_monitoring_answers_nothing_else()
    {
        using var viewer = await host.As("viewer", "");
        string at = $"http://{host.Endpoints.Monitoring}";
        Assert.Equal(HttpStatusCode.OK, (await host.Get($"{at}/metrics", viewer.Text)).StatusCode);
        Assert.Equal("ok\n", await host.Http.GetStringAsync(new Uri($"{at}/livez"), Cancelled));
        string ready = await host.Http.GetStringAsync(new Uri($"{at}/readyz"), Cancelled);
        Assert.StartsWith("ready\nprocess: ok\n", ready, StringComparison.Ordinal);
        foreach (string path in new[] { "/", "/v1/runs", "/series", "/healthz/x" })
        {
            Assert.Equal(HttpStatusCode.Forbidden, (await host.Get($"{at}{path}", viewer.Text)).StatusCode);
        }
    }

    [Fact]
    public void Who_may_have_lost_its_place_is_not_ready_and_says_why()
    {
        var lost = ActivatorUtilities.CreateInstance<Readiness>(host.Services, new Standing(() => false));
        Assert.False(lost.Ready);
        string why = Assert.Single(lost.Checks, c => c.Trouble.Length > 0).Trouble;
        Assert.Contains("others may have taken over", why, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_scrape_tells_of_each_run_that_goes_on_and_of_the_cluster()
    {
        var scraped = await Trained();
        Assert.All(scraped.Of("dsops_stage_step"), s => Assert.Equal(["kind", "run", "stage"], s.Labels.Keys));
        Assert.Contains(scraped.Of("dsops_stage_state"), s => s.Labels["state"] == "running" && s.Labels["kind"] == "pretraining");
        Assert.All(new[] { "loss", "tokens", "gpus", "steps_per_second", "last_step_age_seconds", "heartbeat_age_max_seconds" },
            name => Assert.NotEmpty(scraped.Of($"dsops_stage_{name}")));
        Assert.Equal(2, scraped.Of("dsops_runs").Sum(s => s.Value));
        Assert.Equal(2, scraped.Of("dsops_nodes").Sum(s => s.Value));
        Assert.True(scraped.Of("dsops_gpus").Single(s => s.Labels["state"] == "used").Value > 0, "a stage that trains holds GPUs");
        Assert.True(scraped.Of("dsops_beats_total").Single(s => s.Labels["outcome"] == "taken").Value > 0, "its agents beat");
        Assert.Contains(scraped.Of("dsops_run_gpu_seconds"), s => s.Labels["bucket"] is "start_up" or "productive");
        Assert.All(scraped.Of("dsops_scrape_part_up"), part => Assert.Equal(1, part.Value));
        Assert.Contains(scraped.Of("dsops_grpc_requests_total"), s => s.Labels["method"] == "SubmitRun" && s.Labels["code"] == "OK");
        Assert.Contains(scraped.Of("dsops_http_requests_total"), s => s.Labels["route"] == "/metrics" && s.Labels["code"] == "200");
    }

    [Fact]
    public async Task Whatever_alerts_and_board_ask_for_is_told()
    {
        var scraped = await WithRecovery();
        string[] queries = [.. Alerts().Select(a => Text(a, "expr")), .. Queries(Board())];
        Assert.True(queries.Length > 50, $"{queries.Length} queries");
        var wrong = new SortedSet<string>(StringComparer.Ordinal);
        foreach (string query in queries)
        {
            var metrics = Query.Metrics(query).Where(m => m.Metric != "up").ToArray();
            foreach (var (metric, labels) in metrics)
            {
                wrong.UnionWith(!scraped.Knows(metric) ? [$"{metric}: {query}"]
                    : labels.Except(LabelsOf(scraped, metric)).Select(label => $"{metric} has no label {label}: {query}"));
            }

            wrong.UnionWith(Query.Grouped(query).Except(metrics.SelectMany(m => LabelsOf(scraped, m.Metric)))
                .Select(label => $"nothing has the label {label}: {query}"));
        }

        Assert.Empty(wrong);
    }

    [Fact]
    public void Every_alert_has_a_section_that_says_what_to_do()
    {
        string guide = Document("docs/alerts.md");
        string[] sections = [.. Heading().Matches(guide).Select(m => m.Groups[1].Value)];
        Assert.Equal(Alerts().Select(a => Text(a, "alert")).Order(StringComparer.Ordinal), sections.Order(StringComparer.Ordinal));
        Assert.All(Alerts(), alert =>
        {
            var words = (YamlMappingNode)alert["annotations"];
            Assert.Equal($"RUNBOOKS#{Text(alert, "alert").ToLowerInvariant()}", Text(words, "runbook_url"));
            Assert.NotEqual("", Text(words, "summary"));
            Assert.Contains(Text((YamlMappingNode)alert["labels"], "severity"), new[] { "page", "ticket" });
        });
    }

    /// <summary>The guide's table is the scrape's own words. DSOPS_ACCEPT=1 writes it.</summary>
    [Fact]
    public async Task The_guide_lists_every_metric_of_ours_with_its_labels()
    {
        var scraped = await WithRecovery();
        var families = RunFamilies.All.Concat(HouseFamilies.All).Select(m => m.Family).Append(MeterBook.Dropped);
        var helps = families.ToDictionary(f => f.Name, f => f.Help);
        foreach (Match line in HelpLine().Matches(await host.Trained))
        {
            helps.TryAdd(line.Groups[1].Value, line.Groups[2].Value);
        }

        string LabelsInWords(string metric) =>
            string.Join(", ", LabelsOf(scraped, metric).Except(OfPrometheus).Except(["le"]).Order(StringComparer.Ordinal));
        string[] rows = [.. scraped.Types.Where(t => Ours().IsMatch(t.Key)).OrderBy(t => t.Key, StringComparer.Ordinal)
            .Select(t => $"| `{t.Key}` | {t.Value} | {LabelsInWords(t.Key)} | {helps[t.Key]} |")];
        string path = Path.Combine(Pipelines.Examples.Root, "docs", "operating.md");
        string document = await File.ReadAllTextAsync(path, Cancelled);
        if (Environment.GetEnvironmentVariable("DSOPS_ACCEPT") == "1")
        {
            document = Table().Replace(document, m => $"{m.Groups[1].Value}{string.Join('\n', rows)}\n");
            await File.WriteAllTextAsync(path, document, Cancelled);
        }

        Assert.Equal(string.Join('\n', rows), Table().Match(document).Groups[2].Value.TrimEnd('\n'));
    }

    /// <summary>Of both runs one may wait for the other's node.</summary>
    private async Task<Scraped> Trained() => Scraped.Parse(await host.Trained);

    /// <summary>Nothing fails here: what is counted of a recovery is told to another book by hand, for its labels.</summary>
    private async Task<Scraped> WithRecovery()
    {
        using var book = new MeterBook();
        GrainMeter.Count([new IncidentNews.Decided("rank exited", "in place"),
            new IncidentNews.Back("rank exited", "in place", TimeSpan.FromSeconds(3))]);
        var text = new Exposition();
        book.WriteTo(text);
        var scraped = await Trained();
        scraped.Samples.AddRange(Scraped.Parse(text.ToString()).Samples
            .Where(s => s.Name.StartsWith("dsops_re", StringComparison.Ordinal)));
        return scraped;
    }

    private static IEnumerable<string> LabelsOf(Scraped scraped, string metric)
    {
        var declared = RunFamilies.All.Concat(HouseFamilies.All).FirstOrDefault(m => m.Family.Name == metric)?.Family.Labels ?? [];
        string of = HistogramPart().Replace(metric, "");
        var seen = scraped.Samples.Where(s => s.Name == metric || HistogramPart().Replace(s.Name, "") == of).SelectMany(s => s.Labels.Keys);
        return declared.Concat(seen).Concat(OfPrometheus).Distinct();
    }

    private static IEnumerable<YamlMappingNode> Alerts()
    {
        var yaml = new YamlStream();
        yaml.Load(new StringReader(Document("deploy/monitoring/rules.yaml")));
        return ((YamlSequenceNode)yaml.Documents[0].RootNode["groups"]).SelectMany(g => (YamlSequenceNode)g["rules"])
            .Cast<YamlMappingNode>();
    }

    private static string Text(YamlMappingNode node, string key) => ((YamlScalarNode)node[key]).Value!;

    private static JsonNode Board() => JsonNode.Parse(Document("deploy/monitoring/dashboard.json"))!;

    /// <summary>Every "expr" wherever it stands, and what variables are filled from.</summary>
    private static IEnumerable<string> Queries(JsonNode? node) => node switch
    {
        JsonObject one => one.SelectMany(p => p is { Key: "expr", Value: JsonValue text } ? [text.GetValue<string>()]
            : p is { Key: "definition", Value: JsonValue values } && LabelValues().Match(values.GetValue<string>()) is { Success: true } of
                ? [$"count by ({of.Groups[2].Value}) ({of.Groups[1].Value})"] : Queries(p.Value)),
        JsonArray many => many.SelectMany(Queries),
        _ => [],
    };

    private static string Document(string path) => File.ReadAllText(Path.Combine(Pipelines.Examples.Root, path));

    [GeneratedRegex(@"^### (Dsops\w+)$", RegexOptions.Multiline)]
    private static partial Regex Heading();

    [GeneratedRegex(@"^# HELP (\w+) (.+)$", RegexOptions.Multiline)]
    private static partial Regex HelpLine();

    [GeneratedRegex(@"^(dsops|process)_")]
    private static partial Regex Ours();

    [GeneratedRegex(@"(\| name \| type \| labels \| meaning \|\n\|---\|---\|---\|---\|\n)((?:\| `.*\n)*)")]
    private static partial Regex Table();

    [GeneratedRegex(@"_(bucket|sum|count)\z")]
    private static partial Regex HistogramPart();

    [GeneratedRegex(@"^label_values\((\w+), (\w+)\)")]
    private static partial Regex LabelValues();
}
