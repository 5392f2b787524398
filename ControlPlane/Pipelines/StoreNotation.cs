using System.Diagnostics.CodeAnalysis;
using System.Text.Json.Nodes;
using DeepSeekOps.Decisions.Checkpoints;
using DeepSeekOps.Recipes.Files;

namespace DeepSeekOps.ControlPlane.Pipelines;

/// <summary>The address of a checkpoint store.</summary>
/// <param name="none">Whether 'none' may stand there.</param>
internal sealed class StoreNotation(bool none) : ScalarNotation<string>
{
    private const string Form = "[sS]3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[A-Za-z0-9._/-]{0,512})?";

    public override string InWords => $"an address such as s3://bucket/prefix{(none ? ", or none" : "")}";

    /// <summary>The part `checkpointStore:` of the cluster's settings.</summary>
    public static Mapping<StoreAccess> Settings { get; } = new Mapping<StoreAccess>("a checkpoint store", StoreAccess.Default)
        .With("uri", new StoreNotation(none: false), s => s.Uri, (s, v) => s with { Uri = v },
            "Where checkpoints of pipelines that name no store are copied to; left out: only those of pipelines that do.")
        .With("endpoint", new TextNotation("an address such as https://minio.example.org:9000", "https?://[^\\s/@]{1,300}/?"),
            s => s.Endpoint, (s, v) => s with { Endpoint = v }, "Of the server, as workers reach it; left out: that of AWS in the region.")
        .With("region", new TextNotation("a region such as us-east-1", "[a-z0-9-]{1,64}"), s => s.Region, (s, v) => s with { Region = v },
            "The region that calls are signed for; servers that have none take us-east-1.")
        .With("pathStyle", new FlagNotation(), s => s.PathStyle, (s, v) => s with { PathStyle = v },
            "The bucket stands in the path of an address and not in its host, as MinIO and Ceph have it by default.");

    public override string Format(string value) => value;

    public override JsonObject Schema() =>
        new() { ["type"] = "string", ["pattern"] = none ? $"^({StoreAccess.None}|{Form})$" : $"^{Form}$" };

    protected override bool TryParse(string text, [MaybeNullWhen(false)] out string value, out string message, out string fix)
    {
        if (none && text == StoreAccess.None)
        {
            (value, message, fix) = (StoreAccess.None, "", "");
            return true;
        }

        bool read = CheckpointPlace.TryParse(text, out var place, out var problem);
        (value, message, fix) = (place?.Uri, problem.What, problem.Fix);
        return read;
    }
}

/// <param name="Usual">That of pipelines that name none.</param>
/// <param name="WithoutKeys">Null: workers have keys.</param>
public sealed record StoreTerms(StoreAccess Usual, (string What, string Fix)? WithoutKeys);
