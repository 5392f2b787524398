using System.Net;
using System.Net.Http.Json;
using DeepSeekOps.ControlPlane.Api.Series;
using DeepSeekOps.ControlPlane.Api;
using DeepSeekOps.ControlPlane.Clusters.Simulated;
using DeepSeekOps.ControlPlane.Hosting;
using DeepSeekOps.ControlPlane.Storage;
using DeepSeekOps.ControlPlane.Tests.Storage;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Npgsql;
using Xunit;

namespace DeepSeekOps.ControlPlane.Tests.Api;

/// <summary>
/// Series have an answer of their own where there is nothing to answer with: an empty file would say that a run has no points.
/// </summary>
public sealed class SeriesFilterTests(PrivatePostgres postgres) : IAsyncLifetime
{
    private const string Pipeline = """
        apiVersion: deepseekops/v1
        name: mini
        model: {preset: mini-student}
        data: {source: builtin:arithmetic, heldout: 0}
        stages:
          - {name: pretrain, kind: pretraining, tokens: 128, sequenceLength: 32, batchSize: 4, learningRate: 1e-3}
        """;

    private readonly string folder = Directory.CreateTempSubdirectory("dsops-series-").FullName;
    private readonly HttpClient http = new();
    private string connection = "";
    private WebApplication? app;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        connection = await postgres.CreateDatabase(Cancellation);
        var options = new ControlPlaneOptions { DataDirectory = folder, Port = 0, Cluster = new SimulatedChoice { Nodes = 1 } };
        var endpoints = Endpoints.Choose(options);
        var database = OpsDatabase.Parse(connection, folder);
        await StorageHosting.Prepare(database, Cancellation);
        app = ControlPlaneApp.Build(options, endpoints, database, logging => logging.ClearProviders());
        await app.StartAsync(Cancellation);
        http.BaseAddress = new Uri(endpoints.Http);
        http.DefaultRequestHeaders.Authorization = new("Bearer", app.Services.GetRequiredService<AccessKey>().PeoplesToken);
    }

    public async ValueTask DisposeAsync()
    {
        http.Dispose();
        if (app is not null)
        {
            await app.StopAsync();
            await app.DisposeAsync();
        }

        Directory.Delete(folder, recursive: true);
    }

    [Theory]
    [InlineData("export.csv?run=nobody&stage=pretrain", "There is no run named 'nobody'.")]
    [InlineData("buckets?run=nobody&stage=pretrain&names=loss", "There is no run named 'nobody'.")]
    [InlineData("live?run=nobody", "There is no run named 'nobody'.")]
    [InlineData("export.csv?run=mini&stage=sft", "mini has no stage 'sft'. Its stages are: pretrain.")]
    [InlineData("buckets?run=mini&stage=sft&names=loss", "mini has no stage 'sft'. Its stages are: pretrain.")]
    public async Task Series_of_a_run_or_stage_that_there_is_not_are_not_found_in_words(string question, string words)
    {
        await Submit();
        var (status, body) = await Ask(question);
        Assert.Equal(HttpStatusCode.NotFound, status);
        Assert.Contains(words, body, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_run_that_was_submitted_just_now_has_a_file_without_points()
    {
        await Submit();
        var (status, body) = await Ask("export.csv?run=mini&stage=pretrain");
        Assert.Equal(HttpStatusCode.OK, status);
        Assert.StartsWith("attempt,superseded,step,tokens,time", body, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("export.csv?run=mini&stage=pretrain")]
    [InlineData("buckets?run=mini&stage=pretrain&names=loss")]
    [InlineData("sparks?of=mini/pretrain&name=loss")]
    public async Task While_the_database_gives_no_answer_series_say_so_before_the_first_byte(string question)
    {
        await Submit();
        await using var other = new NpgsqlConnection(connection);
        await other.OpenAsync(Cancellation);
        await using var held = await other.BeginTransactionAsync(Cancellation);
        await using var hold = new NpgsqlCommand("LOCK TABLE run_list IN ACCESS EXCLUSIVE MODE", other);
        await hold.ExecuteNonQueryAsync(Cancellation);
        var (status, body) = await Ask(question);
        Assert.Equal(HttpStatusCode.ServiceUnavailable, status);
        Assert.Contains("The database", body, StringComparison.Ordinal);
        Assert.DoesNotContain("attempt,", body, StringComparison.Ordinal);
    }

    private async Task Submit()
    {
        using var answer = await http.PostAsJsonAsync("/v1/runs", new { text = Pipeline }, Cancellation);
        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
    }

    private async Task<(HttpStatusCode Status, string Body)> Ask(string question)
    {
        using var answer = await http.GetAsync(new Uri($"/series/{question}", UriKind.Relative), Cancellation);
        string body = await answer.Content.ReadAsStringAsync(Cancellation);
        return (answer.StatusCode, body.Replace("\\u0027", "'", StringComparison.Ordinal));
    }
}
