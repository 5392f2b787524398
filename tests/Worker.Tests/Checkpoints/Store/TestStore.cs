using System.Collections.Concurrent;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Xml.Linq;
using DeepSeekOps.Contracts.Worker.V1;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.DependencyInjection;

namespace DeepSeekOps.Worker.Tests.Checkpoints.Store;

/// <summary>
/// A server of one bucket that speaks what is needed of S3, over loopback: lists in pages, whole and ranged reads, writes in one and in
/// parts, deletes. It checks each signature (AWS4-HMAC-SHA256) and the sum of each body, and can break lines and be busy.
/// </summary>
internal sealed class TestStore : IAsyncDisposable
{
    public const string Id = "TESTID", Secret = "a-secret-of-this-test", Bucket = "training";

    /// <summary>So that a list of a few checkpoints has several pages.</summary>
    private const int PageKeys = 3;

    private static readonly XNamespace Ns = "http://s3.amazonaws.com/doc/2006-03-01/";
    private readonly WebApplication _app;
    private readonly ConcurrentDictionary<string, SortedDictionary<int, byte[]>> _uploads = new();
    private readonly ConcurrentQueue<string> _calls = new();
    private int _cutUploads, _cutDownloads, _busy;

    private TestStore(WebApplication app) => _app = app;

    public ConcurrentDictionary<string, byte[]> Objects { get; } = new(StringComparer.Ordinal);

    /// <summary>"PUT run/pretrain/…"; what was broken off or refused too.</summary>
    public IReadOnlyList<string> Calls => [.. _calls];

    public IReadOnlyCollection<string> OpenUploads => [.. _uploads.Keys];

    /// <summary>Every line is broken at once.</summary>
    public volatile bool Away;

    public string Endpoint => _app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.First();

    public CheckpointStore Settings =>
        new() { Uri = $"s3://{Bucket}/deep/runs", Endpoint = Endpoint, Region = "eu-test-1", PathStyle = true };

    /// <summary>Names of folders below the prefix that have a manifest.</summary>
    public IReadOnlyList<string> Whole => [.. Objects.Keys.Where(k => k.EndsWith("/manifest.json", StringComparison.Ordinal))
        .Select(k => k["deep/runs/".Length..^"/manifest.json".Length]).Order(StringComparer.Ordinal)];

    public static async Task<TestStore> Start()
    {
        // As every tool for S3 finds them; of this process alone.
        Environment.SetEnvironmentVariable("AWS_ACCESS_KEY_ID", Id);
        Environment.SetEnvironmentVariable("AWS_SECRET_ACCESS_KEY", Secret);
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseKestrelCore().UseUrls("http://127.0.0.1:0");
        var app = builder.Build();
        var store = new TestStore(app);
        app.Run(store.Answer);
        await app.StartAsync();
        return store;
    }

    /// <summary>So many of the next writes lose their line when half of the body has come.</summary>
    public void CutUploads(int times) => Interlocked.Exchange(ref _cutUploads, times);

    /// <summary>So many of the next reads of objects lose their line when half of the body has gone.</summary>
    public void CutDownloads(int times) => Interlocked.Exchange(ref _cutDownloads, times);

    /// <summary>So many of the next calls are answered 503 SlowDown.</summary>
    public void Busy(int times) => Interlocked.Exchange(ref _busy, times);

    public async ValueTask DisposeAsync() => await _app.DisposeAsync();

    private static bool Take(ref int left) => Interlocked.Decrement(ref left) >= 0;

    private async Task Answer(HttpContext context)
    {
        var request = context.Request;
        string key = Uri.UnescapeDataString(request.Path.Value![1..]);
        key = key.StartsWith(Bucket, StringComparison.Ordinal) ? key[Bucket.Length..].TrimStart('/') : "?";
        _calls.Enqueue($"{request.Method} {key}");
        if (Away)
        {
            context.Abort();
            return;
        }
        if (Take(ref _busy))
        {
            await Refuse(context, 503, "SlowDown");
            return;
        }
        if (request.Method == "PUT" && Take(ref _cutUploads))
        {
            await request.Body.ReadAtLeastAsync(new byte[Math.Max(1, request.ContentLength!.Value / 2)], 1);
            context.Abort();
            return;
        }
        var body = new MemoryStream();
        await request.Body.CopyToAsync(body);
        if (Unsigned(request, body.ToArray()) is { } why)
        {
            await Refuse(context, 403, why);
            return;
        }
        await (request.Method switch
        {
            "GET" when key.Length == 0 => List(context),
            "GET" => Get(context, key),
            "PUT" => Put(context, key, body.ToArray()),
            "POST" => Post(context, key, body.ToArray()),
            "DELETE" => Delete(context, key),
            _ => Refuse(context, 405, "MethodNotAllowed"),
        });
    }

    private Task List(HttpContext context)
    {
        string prefix = context.Request.Query["prefix"].ToString(), after = context.Request.Query["continuation-token"].ToString();
        var all = Objects.Keys.Where(k => k.StartsWith(prefix, StringComparison.Ordinal) && string.CompareOrdinal(k, after) > 0)
            .Order(StringComparer.Ordinal).Take(PageKeys + 1).ToList();
        var page = all.Take(PageKeys).ToList();
        return Xml(context, new XElement(Ns + "ListBucketResult",
            new XElement(Ns + "IsTruncated", all.Count > PageKeys),
            all.Count > PageKeys ? new XElement(Ns + "NextContinuationToken", page[^1]) : null,
            page.Where(Objects.ContainsKey).Select(k => new XElement(Ns + "Contents", new XElement(Ns + "Key", k),
                new XElement(Ns + "LastModified",
                    TimeProvider.System.GetUtcNow().ToString("yyyy-MM-ddTHH:mm:ss.fffZ", CultureInfo.InvariantCulture)),
                new XElement(Ns + "Size", Objects[k].Length)))));
    }

    private async Task Get(HttpContext context, string key)
    {
        if (!Objects.TryGetValue(key, out byte[]? bytes))
        {
            await Refuse(context, 404, "NoSuchKey");
            return;
        }
        if (context.Request.Headers.Range.ToString() is { Length: > 0 } range)
        {
            int[] ends = [.. range["bytes=".Length..].Split('-').Select(e => int.Parse(e, CultureInfo.InvariantCulture))];
            bytes = bytes[ends[0]..Math.Min(bytes.Length, ends[1] + 1)];
            context.Response.StatusCode = 206;
        }
        context.Response.ContentLength = bytes.Length;
        if (Take(ref _cutDownloads))
        {
            await context.Response.Body.WriteAsync(bytes.AsMemory(0, bytes.Length / 2));
            await context.Response.Body.FlushAsync();
            context.Abort();
            return;
        }
        await context.Response.Body.WriteAsync(bytes);
    }

    private async Task Put(HttpContext context, string key, byte[] body)
    {
        if (context.Request.Query["uploadId"].ToString() is { Length: > 0 } id)
        {
            if (!_uploads.TryGetValue(id, out var parts))
            {
                await Refuse(context, 404, "NoSuchUpload");
                return;
            }
            lock (parts)
            {
                parts[int.Parse(context.Request.Query["partNumber"].ToString(), CultureInfo.InvariantCulture)] = body;
            }
        }
        else
        {
            Objects[key] = body;
        }
        context.Response.Headers.ETag = $"\"{Convert.ToHexStringLower(SHA256.HashData(body))[..32]}\"";
    }

    private async Task Post(HttpContext context, string key, byte[] body)
    {
        string id = context.Request.Query["uploadId"].ToString();
        if (id.Length == 0)
        {
            id = $"upload-{_uploads.Count + 1}-{key.Length}";
            _uploads[id] = [];
            await Xml(context, new XElement(Ns + "InitiateMultipartUploadResult", new XElement(Ns + "Bucket", Bucket),
                new XElement(Ns + "Key", key), new XElement(Ns + "UploadId", id)));
        }
        else if (_uploads.TryRemove(id, out var parts))
        {
            var named = XDocument.Parse(Encoding.UTF8.GetString(body)).Descendants().Where(e => e.Name.LocalName == "PartNumber")
                .Select(e => (int)e).ToList();
            Objects[key] = [.. named.SelectMany(n => parts[n])];
            await Xml(context, new XElement(Ns + "CompleteMultipartUploadResult", new XElement(Ns + "Key", key),
                new XElement(Ns + "ETag", "\"whole\"")));
        }
        else
        {
            await Refuse(context, 404, "NoSuchUpload");
        }
    }

    private Task Delete(HttpContext context, string key)
    {
        if (context.Request.Query["uploadId"].ToString() is { Length: > 0 } id)
        {
            _uploads.TryRemove(id, out _);
        }
        else
        {
            Objects.TryRemove(key, out _);
        }
        context.Response.StatusCode = 204;
        return Task.CompletedTask;
    }

    /// <summary>Null: who sent it knows the secret, and the body is what was signed.</summary>
    private static string? Unsigned(HttpRequest request, byte[] body)
    {
        string given = request.Headers.Authorization.ToString();
        if (!given.StartsWith("AWS4-HMAC-SHA256 ", StringComparison.Ordinal))
        {
            return "AccessDenied";
        }
        var parts = given["AWS4-HMAC-SHA256 ".Length..].Split(',').Select(p => p.Trim().Split('=', 2)).ToDictionary(p => p[0], p => p[1]);
        string[] scope = parts["Credential"].Split('/');
        string sum = request.Headers["x-amz-content-sha256"].ToString();
        string raw = request.HttpContext.Features.GetRequiredFeature<IHttpRequestFeature>().RawTarget;
        string query = raw.Contains('?', StringComparison.Ordinal) ? raw[(raw.IndexOf('?', StringComparison.Ordinal) + 1)..] : "";
        string canonical = string.Join('\n', request.Method, raw.Split('?')[0],
            string.Join('&', query.Split('&', StringSplitOptions.RemoveEmptyEntries)
                .Select(q => q.Contains('=', StringComparison.Ordinal) ? q : q + "=").Order(StringComparer.Ordinal)),
            string.Concat(parts["SignedHeaders"].Split(';').Select(h => $"{h}:{request.Headers[h].ToString().Trim()}\n")),
            parts["SignedHeaders"], sum);
        string toSign = string.Join('\n', "AWS4-HMAC-SHA256", request.Headers["x-amz-date"].ToString(), string.Join('/', scope[1..]),
            Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(canonical))));
        byte[] signing = scope[1..].Aggregate(Encoding.UTF8.GetBytes("AWS4" + Secret),
            (secret, part) => HMACSHA256.HashData(secret, Encoding.UTF8.GetBytes(part)));
        return scope[0] != Id ? "InvalidAccessKeyId"
            : Convert.ToHexStringLower(HMACSHA256.HashData(signing, Encoding.UTF8.GetBytes(toSign))) != parts["Signature"]
                ? "SignatureDoesNotMatch"
            : sum != Convert.ToHexStringLower(SHA256.HashData(body)) ? "XAmzContentSHA256Mismatch" : null;
    }

    private static Task Refuse(HttpContext context, int status, string code)
    {
        context.Response.StatusCode = status;
        return Xml(context, new XElement("Error", new XElement("Code", code), new XElement("Message", code)));
    }

    private static async Task Xml(HttpContext context, XElement body)
    {
        context.Response.ContentType = "application/xml";
        await context.Response.WriteAsync($"<?xml version=\"1.0\" encoding=\"UTF-8\"?>{body}");
    }
}
