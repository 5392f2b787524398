using System.Collections.Immutable;
using System.Text.Json;
using System.Text.Json.Serialization;
using DeepSeekOps.Decisions;
using DeepSeekOps.Decisions.Gangs;

namespace DeepSeekOps.ControlPlane.Clusters.LocalProcess;

/// <summary>A pod as pod.json keeps it, in the pod's own folder: what a control plane that comes after us needs to find it again.</summary>
internal sealed record LocalPod
{
    public const string FileName = "pod.json";

    private static readonly JsonSerializerOptions Format = new(JsonSerializerDefaults.Web) { WriteIndented = true };

    public required string Run { get; init; }

    public required string Stage { get; init; }

    public required int Gang { get; init; }

    public required string Node { get; init; }

    public required DateTimeOffset CreatedAt { get; init; }

    /// <summary>Null between the decision to start it and its start.</summary>
    public ProcessIdentity? Agent { get; init; }

    public int? ExitCode { get; init; }

    public string Reason { get; init; } = "";

    public DateTimeOffset? EndedAt { get; init; }

    /// <summary>What its agent's program printed as it broke; empty where it ended well, or without a word.</summary>
    public ImmutableArray<string> Said { get; init; } = [];

    /// <summary>It was ended with the whole local cluster; neither it nor its node failed.</summary>
    public bool Stopped { get; init; }

    /// <summary>Fenced and no longer shown; the folder stays for its logs.</summary>
    public DateTimeOffset? DeletedAt { get; init; }

    [JsonIgnore]
    public GangId Id => new(new StageId(Run, Stage), Gang);

    public string FolderName => $"{Run}.{Stage}.{Gang}";

    public void Write(string folder)
    {
        Directory.CreateDirectory(folder);
        string aside = Path.Combine(folder, $".{FileName}.tmp");
        File.WriteAllText(aside, JsonSerializer.Serialize(this, Format));
        File.Move(aside, Path.Combine(folder, FileName), overwrite: true);
    }

    /// <summary>Null where the file is not a pod's: a folder that a person made, or a disk that lost it.</summary>
    public static LocalPod? Read(string folder)
    {
        try
        {
            return JsonSerializer.Deserialize<LocalPod>(File.ReadAllText(Path.Combine(folder, FileName)), Format);
        }
        catch (Exception e) when (e is IOException or JsonException)
        {
            return null;
        }
    }

    public static ImmutableArray<(string Folder, LocalPod Pod)> ReadAll(string nodesFolder) => !Directory.Exists(nodesFolder)
        ? []
        : [.. Directory.EnumerateDirectories(nodesFolder)
            .Select(node => Path.Combine(node, "pods"))
            .Where(Directory.Exists)
            .SelectMany(Directory.EnumerateDirectories)
            .Select(folder => (folder, Pod: Read(folder)))
            .Where(p => p.Pod is not null)
            .Select(p => (p.folder, p.Pod!))];
}
