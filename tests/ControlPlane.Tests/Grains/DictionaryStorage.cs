using System.Collections.Concurrent;
using DeepSeekOps.ControlPlane.Grains;
using DeepSeekOps.Decisions.Audit;
using Orleans.Runtime;
using Orleans.Storage;

namespace DeepSeekOps.ControlPlane.Tests.Grains;

/// <summary>Grain state as the JSON text that a database would hold; it outlives the silos that write it.</summary>
internal sealed class DictionaryStorage : IGrainStorage
{
    private readonly ConcurrentDictionary<string, (string Json, int Version)> rows = new();
    private readonly GrainStateJson json = new();

    /// <summary>Called before each write; may throw, as a disk does.</summary>
    public Action<string>? BeforeWrite { get; set; }

    /// <summary>What states were written together with, in their order.</summary>
    public ConcurrentQueue<AuditAct> Acts { get; } = new();

    public ICollection<string> Keys => rows.Keys;

    public string Json(string key) => rows[key].Json;

    /// <summary>Somebody else writes the same row.</summary>
    public void Touch(string key) => rows[key] = (rows[key].Json, rows[key].Version + 1);

    /// <summary>Somebody else writes something else into it.</summary>
    public void Replace<T>(string key, Func<T, T> change) => rows[key] = (
        json.Serialize(change(json.Deserialize<T>(BinaryData.FromString(rows[key].Json)))).ToString(), rows[key].Version + 1);

    public Task ReadStateAsync<T>(string stateName, GrainId grainId, IGrainState<T> grainState)
    {
        if (rows.TryGetValue(Key(stateName, grainId), out var row))
        {
            (grainState.State, grainState.ETag,
                grainState.RecordExists) = (json.Deserialize<T>(BinaryData.FromString(row.Json)), $"{row.Version}", true);
        }

        return Task.CompletedTask;
    }

    public Task WriteStateAsync<T>(string stateName, GrainId grainId, IGrainState<T> grainState)
    {
        string key = Key(stateName, grainId);
        BeforeWrite?.Invoke(key);
        int stored = rows.TryGetValue(key, out var row) ? row.Version : 0;
        if ((grainState.ETag ?? "0") != $"{stored}")
        {
            throw new InconsistentStateException($"{key} is at {stored}", $"{stored}", grainState.ETag ?? "0");
        }

        rows[key] = (json.Serialize(grainState.State).ToString(), stored + 1);
        foreach (var act in grainState.State is IWithActs with ? with.Acts : [])
        {
            Acts.Enqueue(act);
        }

        (grainState.ETag, grainState.RecordExists) = ($"{stored + 1}", true);
        return Task.CompletedTask;
    }

    public Task ClearStateAsync<T>(string stateName, GrainId grainId, IGrainState<T> grainState)
    {
        rows.TryRemove(Key(stateName, grainId), out _);
        return Task.CompletedTask;
    }

    public static string Key(string stateName, GrainId grainId) => $"{stateName}/{grainId.Key}";
}
