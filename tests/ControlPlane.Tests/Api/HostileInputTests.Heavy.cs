using System.Buffers.Binary;
using System.IO.Compression;
using System.Net;
using System.Net.Sockets;
using System.Text;
using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.ControlPlane.Client;
using Grpc.Core;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;
using Xunit;

namespace DeepSeekOps.ControlPlane.Tests.Api;

/// <summary>What is large, deep or slow on purpose; after each of them others are answered. Costs some two seconds of CPU.</summary>
public sealed partial class HostileInputTests
{
    private const int Megabyte = 1 << 20;

    [Theory]
    [InlineData(true, false)]
    [InlineData(true, true)]
    [InlineData(false, false)]
    public async Task A_body_of_a_hundred_megabytes_is_refused_before_it_is_read_whole(bool withToken, bool chunked)
    {
        using var body = new EndlessContent(100 * Megabyte, chunked);
        using var request = new HttpRequestMessage(HttpMethod.Post, $"{endpoints.Http}/v1/runs") { Content = body };
        using var http = Browser(withToken);
        try
        {
            using var response = await http.SendAsync(request, TestContext.Current.CancellationToken);
            Assert.True(response.StatusCode is HttpStatusCode.RequestEntityTooLarge or HttpStatusCode.Unauthorized
                or HttpStatusCode.BadRequest, $"{response.StatusCode}");
        }
        catch (HttpRequestException)
        {
            // The connection was closed in the middle of it.
        }

        // 30 MB is Kestrel's limit; the rest is what stood in the sockets' buffers.
        Assert.InRange(body.Sent, 0, 60 * Megabyte);
        await OthersAreAnswered();
    }

    [Theory]
    [InlineData("[", 100_000)]
    [InlineData("{\"text\":", 100_000)]
    [InlineData("{\"text\":\"a\",", 100_000)]
    public async Task Json_that_nests_without_end_is_refused_in_words(string piece, int times)
    {
        using var body = new StringContent(string.Concat(Enumerable.Repeat(piece, times)), Encoding.UTF8, "application/json");
        using var http = Browser(withToken: true);
        using var response = await http.PostAsync(new Uri($"{endpoints.Http}/v1/runs"), body, TestContext.Current.CancellationToken);
        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        string said = await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
        Assert.Contains("message", said, StringComparison.Ordinal);
        await OthersAreAnswered();
    }

    /// <summary>A tenth of a megabyte on the wire, a hundred behind it.</summary>
    [Fact]
    public async Task A_message_that_grows_when_it_is_unpacked_is_refused_before_it_has_grown()
    {
        using var packed = new MemoryStream();
        await using (var gzip = new GZipStream(packed, CompressionLevel.Fastest, leaveOpen: true))
        {
            byte[] piece = new byte[Megabyte];
            for (int i = 0; i < 100; i++)
            {
                await gzip.WriteAsync(piece, TestContext.Current.CancellationToken);
            }
        }

        byte[] length = new byte[4];
        BinaryPrimitives.WriteInt32BigEndian(length, (int)packed.Length);
        using var http = new HttpClient(new TokenHeader(key.PeoplesToken) { InnerHandler = new SocketsHttpHandler() });
        using var request = new HttpRequestMessage(HttpMethod.Post, $"{endpoints.Grpc}/{OpsService.Descriptor.FullName}/GetRun")
        {
            Version = HttpVersion.Version20, VersionPolicy = HttpVersionPolicy.RequestVersionExact,
            Content = new ByteArrayContent([1, .. length, .. packed.ToArray()]),
        };
        request.Content.Headers.ContentType = new("application/grpc");
        request.Headers.TE.Add(new("trailers"));
        request.Headers.Add("grpc-encoding", "gzip");
        using var response = await http.SendAsync(request, TestContext.Current.CancellationToken);
        Assert.Equal($"{(int)StatusCode.ResourceExhausted}", Assert.Single(response.Headers.GetValues("grpc-status")));
        await OthersAreAnswered();
    }

    [Fact]
    public async Task Three_hundred_clients_that_never_finish_a_word_hold_up_nobody_and_have_a_limit()
    {
        var address = new Uri(endpoints.Http);
        var clients = new List<Socket>();
        try
        {
            for (int i = 0; i < 300; i++)
            {
                var slow = new Socket(SocketType.Stream, ProtocolType.Tcp);
                clients.Add(slow);
                await slow.ConnectAsync(address.Host, address.Port, TestContext.Current.CancellationToken);
                await slow.SendAsync(Encoding.ASCII.GetBytes($"GET /v1/cluster HTTP/1.1\r\nHost: {address.Authority}\r\nX-Slow: "),
                    TestContext.Current.CancellationToken);
            }

            await OthersAreAnswered();
        }
        finally
        {
            clients.ForEach(c => c.Dispose());
        }

        var limits = host.Services.GetRequiredService<IOptions<KestrelServerOptions>>().Value.Limits;
        Assert.InRange(limits.RequestHeadersTimeout, TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(30));
        Assert.NotNull(limits.MinRequestBodyDataRate);
    }

    private HttpClient Browser(bool withToken)
    {
        var http = new HttpClient();
        if (withToken)
        {
            http.DefaultRequestHeaders.Authorization = new("Bearer", key.PeoplesToken);
        }

        return http;
    }

    private async Task OthersAreAnswered()
    {
        using var http = Browser(withToken: true);
        string told = await http.GetStringAsync(new Uri($"{endpoints.Http}/v1/cluster"), TestContext.Current.CancellationToken);
        Assert.Contains("\"nodes\"", told, StringComparison.Ordinal);
    }

    /// <summary>Zeros, made while they are sent; whoever sends them says how many or not.</summary>
    private sealed class EndlessContent : HttpContent
    {
        private readonly long bytes;
        private readonly bool chunked;

        public EndlessContent(long bytes, bool chunked)
        {
            (this.bytes, this.chunked) = (bytes, chunked);
            Headers.ContentType = new("application/json");
        }

        public long Sent { get; private set; }

        protected override async Task SerializeToStreamAsync(Stream stream, TransportContext? context)
        {
            byte[] piece = new byte[64 << 10];
            for (Sent = 0; Sent < bytes; Sent += piece.Length)
            {
                await stream.WriteAsync(piece);
            }
        }

        protected override bool TryComputeLength(out long length)
        {
            length = bytes;
            return !chunked;
        }
    }
}
