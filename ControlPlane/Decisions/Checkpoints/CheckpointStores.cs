namespace DeepSeekOps.Decisions.Checkpoints;

/// <summary>How workers reach a store that checkpoints are copied to. What opens it is in their own environment and never here.</summary>
/// <param name="Uri">"s3://bucket/prefix"; empty: nothing is copied where a pipeline names no store.</param>
/// <param name="Endpoint">Empty: that of AWS in the region.</param>
/// <param name="PathStyle">The bucket stands in the path of an address, not in its host.</param>
public sealed record StoreAccess(string Uri, string Endpoint, string Region, bool PathStyle)
{
    /// <summary>What a pipeline writes that wants no copies where the cluster's settings name a store.</summary>
    public const string None = "none";

    public static StoreAccess Default { get; } = new("", "", "us-east-1", false);

    /// <summary>That of a pipeline; null: its checkpoints are copied nowhere.</summary>
    /// <param name="wanted">As the pipeline says; empty: as the cluster's settings do.</param>
    public StoreAccess? For(string wanted) =>
        (wanted.Length > 0 ? wanted : Uri) is { Length: > 0 } uri && uri != None ? this with { Uri = uri } : null;
}

/// <summary>The whole copy of a checkpoint in a store.</summary>
/// <param name="Lag">From the moment that it was durable in its folder.</param>
public sealed record StoredCopy(string Uri, DateTimeOffset At, TimeSpan Lag);

/// <summary>What a rank told of a copy.</summary>
public sealed record StoredTold(long Step, string Digest, StoredCopy Copy);
