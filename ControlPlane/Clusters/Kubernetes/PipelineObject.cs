using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using DeepSeekOps.Decisions.Pods;
using DeepSeekOps.Decisions.Runs;
using k8s;
using k8s.Models;

namespace DeepSeekOps.ControlPlane.Clusters.Kubernetes;

/// <summary>A TrainingPipeline as the API server has it: deploy/kubernetes/pipelines.yaml. Its spec is a pipeline file.</summary>
internal sealed class PipelineObject : IKubernetesObject<V1ObjectMeta>
{
    public const string Group = "deepseekops.io", Version = "v1", Plural = "trainingpipelines";

    [JsonPropertyName("apiVersion")]
    public string ApiVersion { get; set; } = $"{Group}/{Version}";

    [JsonPropertyName("kind")]
    public string Kind { get; set; } = Declaration.Kind;

    [JsonPropertyName("metadata")]
    public V1ObjectMeta Metadata { get; set; } = new();

    [JsonPropertyName("spec")]
    public JsonNode? Spec { get; set; }

    [JsonPropertyName("status")]
    public JsonNode? Status { get; set; }
}

internal sealed class PipelineObjectList : IKubernetesObject<V1ListMeta>, IItems<PipelineObject>
{
    [JsonPropertyName("apiVersion")]
    public string ApiVersion { get; set; } = "";

    [JsonPropertyName("kind")]
    public string Kind { get; set; } = "";

    [JsonPropertyName("metadata")]
    public V1ListMeta Metadata { get; set; } = new();

    [JsonPropertyName("items")]
    public IList<PipelineObject> Items { get; set; } = [];
}

/// <summary>A TrainingPipeline as it was last seen.</summary>
/// <param name="Text">Its spec as a pipeline file.</param>
/// <param name="Finalizers">All of them: others may hold it too.</param>
/// <param name="ResourceVersion">A change that was decided on an older one is refused.</param>
public sealed record SeenPipeline(
    Declaration Declared, string Namespace, string Name, string Uid, string Text, IReadOnlyList<string> Finalizers, string ResourceVersion);

/// <summary>From the object to what is decided on, and back.</summary>
internal static class PipelineReading
{
    /// <summary>With it the object stays, once deleted, until its run has ended.</summary>
    public const string Finalizer = "deepseekops.io/cancel-run";

    /// <summary>The run that it is bound to.</summary>
    public const string Claim = "deepseekops.io/run";

    private const string Accepted = "Accepted", Finished = "Finished";

    private static readonly JsonSerializerOptions Indented = new() { WriteIndented = true };

    /// <summary>Null: it names another control plane of its namespace. One without a name is of the one that has the usual name.</summary>
    public static SeenPipeline? Of(PipelineObject item, PodSettings settings)
    {
        var meta = item.Metadata;
        string instance = meta.Labels is { } labels && labels.TryGetValue(GangNames.Instance, out string? named)
            ? named : new PodSettings().Instance;
        if (instance != settings.Instance)
        {
            return null;
        }

        string run = TextOf(item.Spec as JsonObject, "name") is { Length: > 0 } own ? own : meta.Name;
        IReadOnlyList<string> finalizers = [.. meta.Finalizers ?? []];
        string? claim = finalizers.Contains(Finalizer) && meta.Annotations is { } notes && notes.TryGetValue(Claim, out string? bound)
            ? bound : null;
        var declared = new Declaration(
            $"{Declaration.Kind} {meta.NamespaceProperty}/{meta.Name}", meta.Generation ?? 0, run, claim,
            meta.DeletionTimestamp is not null, StatusOf(item.Status as JsonObject));
        return new SeenPipeline(
            declared, meta.NamespaceProperty, meta.Name, meta.Uid, TextOf(item), finalizers, meta.ResourceVersion);
    }

    /// <summary>A patch that binds it; the list of finalizers goes as a whole, so it holds for this version of the object alone.</summary>
    public static JsonObject Hold(SeenPipeline seen, string run) => new()
    {
        ["metadata"] = new JsonObject
        {
            ["resourceVersion"] = seen.ResourceVersion,
            ["annotations"] = new JsonObject { [Claim] = run },
            ["finalizers"] = Names(seen.Finalizers.Where(f => f != Finalizer).Append(Finalizer)),
        },
    };

    public static JsonObject LetGo(SeenPipeline seen) => new()
    {
        ["metadata"] = new JsonObject
        {
            ["resourceVersion"] = seen.ResourceVersion, ["finalizers"] = Names(seen.Finalizers.Where(f => f != Finalizer)),
        },
    };

    public static JsonObject Tell(DeclarationStatus status) => new()
    {
        ["status"] = new JsonObject
        {
            ["observedGeneration"] = status.Generation,
            ["run"] = status.Run,
            ["state"] = status.State,
            ["stage"] = status.Stage,
            ["step"] = status.Step,
            ["totalSteps"] = status.TotalSteps,
            ["progress"] = status.Stage.Length == 0 ? ""
                : string.Create(CultureInfo.InvariantCulture, $"{status.Step}/{status.TotalSteps}"),
            ["reason"] = status.Reason,
            ["conditions"] = new JsonArray(
                Condition(status, Accepted, status.Accepted, status.Verdict.ToString(),
                    status.Accepted ? "The spec is that of the run." : status.Words, status.AcceptedSince),
                Condition(status, Finished, status.Finished, Capital(status.State), status.Reason, status.FinishedSince)),
        },
    };

    /// <summary>As it was told. Null: nothing yet, or somebody else wrote it.</summary>
    private static DeclarationStatus? StatusOf(JsonObject? status)
    {
        var conditions = status?["conditions"] as JsonArray;
        var accepted = ConditionOf(conditions, Accepted);
        var finished = ConditionOf(conditions, Finished);
        return status is null || accepted is null || finished is null
            || !Enum.TryParse(TextOf(accepted, "reason"), out DeclarationVerdict verdict) || !Enum.IsDefined(verdict) ? null
            : new DeclarationStatus(
                Number(status, "observedGeneration"), TextOf(status, "run"), TextOf(status, "state"), TextOf(status, "stage"),
                Number(status, "step"), Number(status, "totalSteps"), TextOf(status, "reason"), verdict,
                verdict == DeclarationVerdict.Submitted ? "" : TextOf(accepted, "message"), At(accepted), At(finished));
    }

    /// <summary>What a pipeline file has to have and the object says by itself is filled in.</summary>
    private static string TextOf(PipelineObject item)
    {
        if (item.Spec is not JsonObject spec)
        {
            return item.Spec?.ToJsonString(Indented) ?? "{}";
        }

        var file = new JsonObject
        {
            ["apiVersion"] = spec["apiVersion"]?.DeepClone() ?? "deepseekops/v1",
            ["name"] = spec["name"]?.DeepClone() ?? item.Metadata.Name,
        };
        foreach (var (key, value) in spec.Where(p => p.Key is not ("apiVersion" or "name")))
        {
            file[key] = value?.DeepClone();
        }

        return file.ToJsonString(Indented);
    }

    private static JsonObject Condition(
        DeclarationStatus status, string type, bool holds, string reason, string message, DateTimeOffset since) => new()
        {
            ["type"] = type,
            ["status"] = holds ? "True" : "False",
            ["observedGeneration"] = status.Generation,
            ["lastTransitionTime"] = since.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss'Z'", CultureInfo.InvariantCulture),
            ["reason"] = reason,
            ["message"] = message,
        };

    private static JsonObject? ConditionOf(JsonArray? conditions, string type) =>
        conditions?.OfType<JsonObject>().FirstOrDefault(c => TextOf(c, "type") == type);

    private static DateTimeOffset At(JsonObject condition) =>
        DateTimeOffset.TryParse(
            TextOf(condition, "lastTransitionTime"), CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var at)
        ? at : DateTimeOffset.UnixEpoch;

    private static JsonArray Names(IEnumerable<string> names) => new([.. names.Select(n => (JsonNode)n)]);

    private static string TextOf(JsonObject? from, string key) =>
        from?[key] is JsonValue value && value.GetValueKind() == JsonValueKind.String ? value.GetValue<string>() : "";

    private static long Number(JsonObject from, string key) =>
        from[key] is JsonValue value && value.GetValueKind() == JsonValueKind.Number && value.TryGetValue(out long number) ? number : 0;

    /// <summary>Reasons of conditions begin with a capital and have letters alone.</summary>
    private static string Capital(string state) => state.Length == 0 ? "Unknown"
        : string.Concat(state[..1].ToUpperInvariant(), state.AsSpan(1)).Replace("-", "", StringComparison.Ordinal);
}
