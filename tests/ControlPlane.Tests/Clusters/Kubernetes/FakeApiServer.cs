using System.Collections.Concurrent;
using System.Globalization;
using System.Net;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Threading.Channels;
using DeepSeekOps.ControlPlane.Hosting;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;

namespace DeepSeekOps.ControlPlane.Tests.Clusters.Kubernetes;

/// <summary>
/// An API server in this process, as far as we use one: lists, watches with versions, creation, deletion with grace; and the ways in which
/// real ones end watches, forget versions and refuse. There is no kubelet: a test says what pods do.
/// </summary>
internal sealed partial class FakeApiServer : IAsyncDisposable
{
    private readonly Lock holding = new();
    private readonly SortedDictionary<string, JsonObject> objects = new(StringComparer.Ordinal);
    private readonly List<News> history = [];
    private readonly List<Channel<News>> watchers = [];
    private readonly List<Refusal> refusals = [];
    private readonly int port;
    private WebApplication? app;
    private long version = 1;
    private long forgotten;

    private FakeApiServer(int port) => this.port = port;

    public string Host => string.Create(CultureInfo.InvariantCulture, $"http://127.0.0.1:{port}");

    /// <summary>"GET /api/v1/nodes", and " watch" behind it for a watch.</summary>
    public ConcurrentQueue<string> Calls { get; } = new();

    public ConcurrentDictionary<string, string> Logs { get; } = new();

    /// <summary>Custom resources by their plural.</summary>
    public ConcurrentBag<string> Defined { get; } = [];

    public static async Task<FakeApiServer> Begin()
    {
        var server = new FakeApiServer(LoopbackPort.Free());
        await server.Start();
        return server;
    }

    public async Task Start()
    {
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, port));
        builder.Services.AddRoutingCore();
        app = builder.Build();
        app.UseWebSockets();
        app.Run(Answer);
        await app.StartAsync();
    }

    public async Task Stop()
    {
        EndWatches();
        await app!.DisposeAsync();
    }

    public ValueTask DisposeAsync() => app?.DisposeAsync() ?? ValueTask.CompletedTask;

    public JsonObject? Get(string key)
    {
        lock (holding)
        {
            return objects.GetValueOrDefault(key)?.DeepClone().AsObject();
        }
    }

    /// <summary>Keys "pods/NAMESPACE/NAME".</summary>
    public string[] Keys(string kind)
    {
        lock (holding)
        {
            return [.. objects.Keys.Where(k => k.StartsWith(kind + "/", StringComparison.Ordinal))];
        }
    }

    public void Put(string kind, JsonObject item)
    {
        lock (holding)
        {
            string key = KeyOf(kind, item);
            bool there = objects.ContainsKey(key);
            item["metadata"]!["uid"] ??= $"uid-{version}";
            Tell(there ? "MODIFIED" : "ADDED", kind, item);
            objects[key] = item;
        }
    }

    public void Change(string key, Action<JsonObject> change)
    {
        var item = Get(key) ?? throw new InvalidOperationException($"there is no {key}");
        change(item);
        Put(key.Split('/')[0], item);
    }

    public void Remove(string key)
    {
        lock (holding)
        {
            if (objects.Remove(key, out var item))
            {
                Tell("DELETED", key.Split('/')[0], item);
            }
        }
    }

    /// <summary>As servers do when they are busy, restarted, or find the reader slow.</summary>
    public void EndWatches()
    {
        lock (holding)
        {
            watchers.ForEach(w => w.Writer.TryComplete());
            watchers.Clear();
        }
    }

    /// <summary>As etcd does every five minutes: from an older version no watch goes on.</summary>
    public void Compact()
    {
        lock (holding)
        {
            forgotten = ++version;
            history.Clear();
        }
    }

    /// <summary>The next calls of this kind are answered so.</summary>
    public void Refuse(string call, int times, int status, string message, params (string Name, string Value)[] headers)
    {
        lock (holding)
        {
            refusals.Add(new Refusal(call, times, status, message, headers));
        }
    }

    public void AllowAll()
    {
        lock (holding)
        {
            refusals.Clear();
        }
    }

    private async Task Answer(HttpContext context)
    {
        var request = context.Request;
        bool watch = request.Query["watch"] == "true";
        string call = $"{request.Method} {request.Path}";
        Calls.Enqueue(watch ? $"{call} watch" : call);
        if (NextRefusal(call) is { } refusal)
        {
            foreach (var (header, value) in refusal.Headers)
            {
                context.Response.Headers[header] = value;
            }

            await Status(context, refusal.Status, refusal.Message);
            return;
        }

        // /api/v1/nodes, /api/v1/pods, /api/v1/namespaces/NS/KIND[/NAME[/log]]; of other groups /apis/GROUP/VERSION/…
        string[] parts = request.Path.Value!.Split('/')[request.Path.StartsWithSegments("/apis", StringComparison.Ordinal) ? 4.. : 3..];
        if (parts is ["namespaces", _, var custom, ..] && request.Path.StartsWithSegments("/apis", StringComparison.Ordinal)
            && !Defined.Contains(custom))
        {
            await Status(context, 404, "the server could not find the requested resource");
            return;
        }

        var (space, kind, name) = parts is ["namespaces", var ns, var k, ..]
            ? (ns, k, parts.ElementAtOrDefault(3)) : (null, parts[0], parts.ElementAtOrDefault(1));
        await (request.Method switch
        {
            "GET" when parts is [.., "log"] => context.Response.WriteAsync(Logs.GetValueOrDefault(name!, "")),
            "GET" when parts is [.., "attach"] => Attach(context, name!),
            "GET" when watch => Watch(context, kind, space),
            "GET" => List(context, kind, space),
            "POST" => Make(context, kind, space!),
            "PATCH" => Patch(context, $"{kind}/{space}/{name}", parts is [.., "status"]),
            "DELETE" => End(context, $"{kind}/{space}/{name}"),
            _ => Status(context, 405, "not here"),
        });
    }

    private Refusal? NextRefusal(string call)
    {
        lock (holding)
        {
            int at = refusals.FindIndex(r => r.Times > 0 && call.StartsWith(r.Call, StringComparison.Ordinal));
            if (at < 0)
            {
                return null;
            }

            refusals[at] = refusals[at] with { Times = refusals[at].Times - 1 };
            return refusals[at];
        }
    }

    private Task List(HttpContext context, string kind, string? space)
    {
        lock (holding)
        {
            var items = objects.Where(o => o.Key.StartsWith(kind + "/", StringComparison.Ordinal)).Select(o => o.Value)
                .Where(o => Wanted(o, space, context.Request.Query));
            var list = new JsonObject
            {
                ["kind"] = "List", ["apiVersion"] = "v1",
                ["metadata"] = new JsonObject { ["resourceVersion"] = version.ToString(CultureInfo.InvariantCulture) },
                ["items"] = new JsonArray([.. items.Select(i => i.DeepClone())]),
            };
            return Json(context, 200, list);
        }
    }

    private async Task Watch(HttpContext context, string kind, string? space)
    {
        long from = long.Parse(context.Request.Query["resourceVersion"]!, CultureInfo.InvariantCulture);
        var news = Channel.CreateUnbounded<News>();
        bool gone;
        lock (holding)
        {
            gone = from < forgotten;
            foreach (var change in history.Where(h => h.Version > from))
            {
                news.Writer.TryWrite(change);
            }

            watchers.Add(news);
        }

        context.Response.ContentType = "application/json";
        if (gone)
        {
            await context.Response.WriteAsync(new JsonObject
            {
                ["type"] = "ERROR", ["object"] = StatusOf(410, $"too old resource version: {from} ({forgotten})"),
            }.ToJsonString() + "\n");
            return;
        }

        await context.Response.Body.FlushAsync();
        await foreach (var change in news.Reader.ReadAllAsync(context.RequestAborted).ConfigureAwait(false))
        {
            if (change.Kind == kind)
            {
                string type = Wanted(change.Item, space, context.Request.Query) ? change.Type : "DELETED";
                await context.Response.WriteAsync(
                    new JsonObject { ["type"] = type, ["object"] = change.Item.DeepClone() }.ToJsonString() + "\n");
                await context.Response.Body.FlushAsync();
            }
        }
    }

    private async Task Make(HttpContext context, string kind, string space)
    {
        var item = (await JsonNode.ParseAsync(context.Request.Body))!.AsObject();
        item["metadata"]!["namespace"] = space;
        if (kind == "pods")
        {
            Kubelet?.Invoke(item);
        }

        lock (holding)
        {
            if (!objects.ContainsKey(KeyOf(kind, item)))
            {
                Put(kind, item);
                item = item.DeepClone().AsObject();
            }
            else
            {
                item = null;
            }
        }

        await (item is null ? Status(context, 409, "already exists") : Json(context, 201, item));
    }

    private async Task End(HttpContext context, string key)
    {
        using var text = new StreamReader(context.Request.Body);
        string body = await text.ReadToEndAsync();
        var asked = body.Length > 0 ? JsonNode.Parse(body) : null;
        long? grace = (long?)asked?["gracePeriodSeconds"];
        if (Get(key) is not { } item)
        {
            await Status(context, 404, $"{key} not found");
        }
        else if ((string?)asked?["preconditions"]?["uid"] is { } uid && uid != (string?)item["metadata"]!["uid"])
        {
            await Status(context, 409, "the UID in the precondition does not match");
        }
        else if ((key.StartsWith("pods/", StringComparison.Ordinal) && grace is not 0)
            || item["metadata"]!["finalizers"] is JsonArray { Count: > 0 })
        {
            Change(key, marked => marked["metadata"]!["deletionTimestamp"] = "2026-01-01T00:00:00Z");
            await Json(context, 200, Get(key)!);
        }
        else
        {
            Remove(key);
            await Json(context, 200, item);
        }
    }

    private void Tell(string type, string kind, JsonObject item)
    {
        item["metadata"]!["resourceVersion"] = (++version).ToString(CultureInfo.InvariantCulture);
        var change = new News(version, type, kind, item.DeepClone().AsObject());
        history.Add(change);
        watchers.ForEach(w => w.Writer.TryWrite(change));
    }

    private static bool Wanted(JsonObject item, string? space, IQueryCollection query) =>
        (space is null || (string?)item["metadata"]!["namespace"] == space)
        && Terms(query["labelSelector"]).All(t => t.Holds((string?)item["metadata"]?["labels"]?[t.Path] ?? ""))
        && Terms(query["fieldSelector"]).All(t => t.Holds((string?)t.Path.Split('.').Aggregate((JsonNode?)item, (n, p) => n?[p]) ?? ""));

    private static IEnumerable<Term> Terms(string? selector) => (selector ?? "")
        .Split(',', StringSplitOptions.RemoveEmptyEntries).Select(Term.Parse);

    private static string KeyOf(string kind, JsonObject item) =>
        $"{kind}/{(string?)item["metadata"]!["namespace"]}/{(string?)item["metadata"]!["name"]}";

    private static JsonObject StatusOf(int code, string message) => new()
    {
        ["kind"] = "Status", ["apiVersion"] = "v1", ["metadata"] = new JsonObject(), ["status"] = "Failure", ["message"] = message,
        ["code"] = code,
    };

    private static Task Status(HttpContext context, int code, string message) => Json(context, code, StatusOf(code, message));

    private static Task Json(HttpContext context, int code, JsonObject body)
    {
        context.Response.StatusCode = code;
        context.Response.ContentType = "application/json";
        return context.Response.WriteAsync(body.ToJsonString(JsonSerializerOptions.Default));
    }

    private sealed record News(long Version, string Type, string Kind, JsonObject Item);

    private sealed record Refusal(string Call, int Times, int Status, string Message, (string Name, string Value)[] Headers);

    private sealed record Term(string Path, string Value, bool Not)
    {
        public static Term Parse(string text)
        {
            bool not = text.Contains("!=", StringComparison.Ordinal);
            string[] sides = text.Split(not ? "!=" : "=");
            return new Term(sides[0], sides[1], not);
        }

        public bool Holds(string seen) => seen == Value != Not;
    }
}
