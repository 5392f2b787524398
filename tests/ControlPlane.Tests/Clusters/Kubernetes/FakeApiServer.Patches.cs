using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Http;

namespace DeepSeekOps.ControlPlane.Tests.Clusters.Kubernetes;

/// <summary>Merge patches (RFC 7386), of a version or of any, and what a finalizer holds back.</summary>
internal sealed partial class FakeApiServer
{
    /// <summary>Of the object or of its status; the other half is dropped, as by a server that has a status subresource.</summary>
    private async Task Patch(HttpContext context, string key, bool status)
    {
        var patch = (await JsonNode.ParseAsync(context.Request.Body))!.AsObject();
        patch.Remove(status ? "spec" : "status");
        var (code, answer) = Patched(key, patch);
        await (answer is null ? Status(context, code, code == 404 ? $"{key} not found" : "the object has been modified")
            : Json(context, code, answer));
    }

    private (int Code, JsonObject? Item) Patched(string key, JsonObject patch)
    {
        lock (holding)
        {
            if (Get(key) is not { } item)
            {
                return (404, null);
            }

            if ((string?)patch["metadata"]?["resourceVersion"] is { } from && from != (string?)item["metadata"]!["resourceVersion"])
            {
                return (409, null);
            }

            Merge(item, patch);
            Put(key.Split('/')[0], item);
            if (item["metadata"]!["deletionTimestamp"] is not null && item["metadata"]!["finalizers"] is not JsonArray { Count: > 0 })
            {
                Remove(key);
            }

            return (200, item.DeepClone().AsObject());
        }
    }

    private static void Merge(JsonObject item, JsonObject patch)
    {
        foreach (var (key, value) in patch)
        {
            if (value is null)
            {
                item.Remove(key);
            }
            else if (value is JsonObject inner)
            {
                var there = item[key] as JsonObject ?? [];
                if (there.Parent is null)
                {
                    item[key] = there;
                }

                Merge(there, inner);
            }
            else
            {
                item[key] = value.DeepClone();
            }
        }
    }
}
