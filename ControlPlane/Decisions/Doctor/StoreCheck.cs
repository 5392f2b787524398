using System.Collections.Immutable;

namespace DeepSeekOps.Decisions.Doctor;

/// <summary>A checkpoint store as workers would find it.</summary>
/// <param name="Uri">Empty: none is named.</param>
/// <param name="Endpoint">Where it was asked for its time.</param>
public sealed record StoreFacts(string Uri, string Endpoint)
{
    /// <summary>Why workers have no keys, and what to do; null: they have.</summary>
    public (string What, string Fix)? WithoutKeys { get; init; }

    /// <summary>Where those keys are.</summary>
    public string KeysIn { get; init; } = "";

    /// <summary>What came of listing, writing, reading and deleting an object by those keys. Null: it was not tried.</summary>
    public string? Trouble { get; init; }

    public string Fix { get; init; } = "";

    /// <summary>Why it was not tried.</summary>
    public string NotTried { get; init; } = "";

    public ClockOffset? Clock { get; init; }
}

/// <summary>Whether checkpoints could be copied to the store.</summary>
public static class StoreCheck
{
    public static ImmutableArray<Finding> Of(StoreFacts seen)
    {
        if (seen.Uri.Length == 0)
        {
            return [Finding.Ok("store.uri", "no checkpoint store is named: checkpoints stay in their folder")];
        }

        var keys = seen.WithoutKeys is { } lack ? Finding.Fault("store.keys", $"{seen.Uri}: {lack.What.TrimEnd('.')}", lack.Fix)
            : Finding.Ok("store.keys", $"keys for {seen.Uri} are named ({seen.KeysIn})");
        var write = seen.Trouble switch
        {
            null => Finding.NotKnown("store.write", $"whether {seen.Uri} can be written: {seen.NotTried}"),
            { Length: > 0 } trouble => Finding.Fault("store.write", trouble.TrimEnd('.'), seen.Fix),
            _ => Finding.Ok("store.write", $"an object was written to {seen.Uri}, read and deleted again"),
        };
        return [keys, write, ClockCheck.Of("clock.store", $"the store at {seen.Endpoint}", seen.Clock)];
    }
}
