using System.Net;
using System.Net.WebSockets;
using DeepSeekOps.ControlPlane.Api.Series;
using DeepSeekOps.ControlPlane.Storage;
using DeepSeekOps.ControlPlane.Storage.Series;
using DeepSeekOps.ControlPlane.Tests.Storage;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Xunit;

namespace DeepSeekOps.ControlPlane.Tests.Api;

public sealed class SeriesEndpointsTests(PrivatePostgres postgres)
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("stage=s&names=loss", "run", "write the run's name")]
    [InlineData("run=r&stage=s", "names", "write 1 to 64 names")]
    [InlineData("run=r&stage=s&names=loss&px=0", "px", "write a whole number from 1 to 8192")]
    [InlineData("run=r&stage=s&names=loss&px=1.5", "px", "write a whole number from 1 to 8192")]
    [InlineData("run=r&stage=s&names=loss&smooth=1", "smooth", "write a number from 0 to 0.999")]
    [InlineData("run=r&stage=s&names=loss&from=NaN", "from", "write a number")]
    [InlineData("run=r&stage=s&names=loss&from=9&to=3", "from", "write a number below to=3")]
    [InlineData("run=r&stage=s&names=loss&x=epoch", "x", "write one of step, tokens, time")]
    [InlineData("run=r&stage=s&names=loss&x=time&scale=log", "scale", "a date has no logarithm")]
    [InlineData("run=r&stage=s&names=loss&colour=red", "colour", "leave it out")]
    public async Task A_wrong_parameter_is_answered_with_its_name_and_the_fix(string query, string field, string fix)
    {
        await using var database = await TestDatabase.Create(DatabaseKind.Sqlite, postgres);
        await using var server = await Serve(database);
        using var client = Client(server);
        using var answer = await client.GetAsync($"/series/buckets?{query}", Cancellation);
        string body = await answer.Content.ReadAsStringAsync(Cancellation);
        Assert.Equal(HttpStatusCode.BadRequest, answer.StatusCode);
        Assert.Contains($"\"field\":\"{field}\"", body, StringComparison.Ordinal);
        Assert.Contains(fix, body.Replace("\\u0027", "'", StringComparison.Ordinal), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Buckets_are_answered_by_their_tag_until_there_are_new_points()
    {
        await using var database = await TestDatabase.Create(DatabaseKind.Sqlite, postgres);
        await using var server = await Serve(database);
        using var client = Client(server);
        await Write(server, 1, 1000);
        using var first = await client.GetAsync("/series/buckets?run=mini&stage=pretrain&names=loss,mfu&px=10&smooth=0.9", Cancellation);
        byte[] body = await first.Content.ReadAsByteArrayAsync(Cancellation);
        Assert.Equal([2, 2, 10, 6], Enumerable.Range(0, 4).Select(i => BitConverter.ToInt32(body, i * 4)));
        Assert.Equal(16 + (10 * 8) + (2 * (8 + (6 * 10 * 4))), body.Length);

        client.DefaultRequestHeaders.IfNoneMatch.Add(first.Headers.ETag!);
        using var same = await client.GetAsync(first.RequestMessage!.RequestUri, Cancellation);
        Assert.Equal(HttpStatusCode.NotModified, same.StatusCode);
        await Write(server, 1001, 1001);
        using var later = await client.GetAsync(first.RequestMessage!.RequestUri, Cancellation);
        Assert.Equal(HttpStatusCode.OK, later.StatusCode);
    }

    [Fact]
    public async Task Csv_holds_every_point_exactly()
    {
        await using var database = await TestDatabase.Create(DatabaseKind.Sqlite, postgres);
        await using var server = await Serve(database);
        using var client = Client(server);
        await Write(server, 1, 600);
        string[] lines =
            (await client.GetStringAsync("/series/export.csv?run=mini&stage=pretrain&names=loss,mfu", Cancellation)).Split('\n');
        Assert.Equal("attempt,superseded,step,tokens,time,loss,mfu", lines[0]);
        Assert.Equal("1,0,600,2457600,1970-01-12T13:56:40.0000000+00:00,9.4,0.4", lines[600]);
        Assert.Equal(602, lines.Length);
    }

    [Fact]
    public async Task Csv_of_a_simulated_cluster_says_so_in_its_name_and_in_every_row()
    {
        await using var database = await TestDatabase.Create(DatabaseKind.Sqlite, postgres);
        await using var server = await Serve(database, simulated: true);
        using var client = Client(server);
        await Write(server, 1, 20);
        using var reply =
            await client.GetAsync(new Uri("/series/export.csv?run=mini&stage=pretrain&names=loss", UriKind.Relative), Cancellation);
        string[] lines = (await reply.Content.ReadAsStringAsync(Cancellation)).Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal("mini-pretrain-simulated.csv", reply.Content.Headers.ContentDisposition?.FileName);
        Assert.EndsWith(",simulated", lines[0], StringComparison.Ordinal);
        Assert.All(lines.Skip(1), l => Assert.EndsWith(",1", l, StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_page_hears_samples_over_its_socket_and_a_foreign_page_is_refused()
    {
        await using var database = await TestDatabase.Create(DatabaseKind.Sqlite, postgres);
        await using var server = await Serve(database);
        var address = new Uri(server.Urls.First().Replace("http", "ws", StringComparison.Ordinal) + "/series/live?run=mini");
        using var page = new ClientWebSocket();
        await page.ConnectAsync(address, Cancellation);
        // The server subscribes before it accepts, so nothing written from here on is missed.
        await Write(server, 1, 3);
        byte[] frame = new byte[4096];
        var received = await page.ReceiveAsync(frame, Cancellation);
        Assert.Equal((WebSocketMessageType.Binary, 1, 0, 3),
            (received.MessageType, BitConverter.ToInt32(frame, 0), BitConverter.ToInt32(frame, 4), BitConverter.ToInt32(frame, 8)));
        await page.CloseAsync(WebSocketCloseStatus.NormalClosure, null, Cancellation);

        using var foreign = new ClientWebSocket();
        foreign.Options.SetRequestHeader("Origin", "http://elsewhere.example");
        await Assert.ThrowsAsync<WebSocketException>(() => foreign.ConnectAsync(address, Cancellation));
    }

    private static async Task<WebApplication> Serve(TestDatabase database, bool simulated = false)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        builder.Services.AddStorage(database.Database);
        var server = builder.Build();
        server.MapSeries(simulated);
        await server.StartAsync(Cancellation);
        return server;
    }

    private static HttpClient Client(WebApplication server) => new() { BaseAddress = new Uri(server.Urls.First()) };

    private static async Task Write(WebApplication server, int first, int last)
    {
        Assert.True(server.Services.GetRequiredService<MetricWriter>()
            .TryWrite(MetricWriterTests.Stage, MetricWriterTests.Samples(1, first, last), out var durable));
        await durable;
    }
}
