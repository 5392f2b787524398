using System.Collections.Immutable;
using System.Text.Json;
using DeepSeekOps.Decisions.Gangs;
using DeepSeekOps.Decisions.Pods;

namespace DeepSeekOps.ControlPlane.Clusters.Kubernetes;

/// <summary>Why pods ended, as files in pods/ of the data directory: `kubectl` tells nothing of a pod that was deleted.</summary>
internal sealed class EvidenceShelf(string dataDirectory, TimeSpan keep, TimeProvider clock)
{
    private static readonly JsonSerializerOptions Format = new(JsonSerializerDefaults.Web) { WriteIndented = true };

    /// <summary>Ours: twice the nodes of the largest gang. A pod's name is cut, so that it does not tell its gang for certain.</summary>
    private const int LookedThrough = 512;

    private const int BytesMax = 8 << 20;

    private readonly string folder = Path.Combine(dataDirectory, "pods");

    public bool Has(string pod) => File.Exists(PathOf(pod));

    public void Keep(PodEvidence evidence)
    {
        Directory.CreateDirectory(folder);
        string aside = PathOf(evidence.Pod) + ".tmp";
        File.WriteAllText(aside, JsonSerializer.Serialize(evidence, Format));
        File.Move(aside, PathOf(evidence.Pod), overwrite: true);
        Tidy();
    }

    /// <summary>Of all pods of a gang, the newest first; a file that is no evidence is passed over.</summary>
    public ImmutableArray<PodEvidence> Of(GangId gang) => !Directory.Exists(folder) ? []
        : [.. new DirectoryInfo(folder).EnumerateFiles("*.json").OrderByDescending(f => f.LastWriteTimeUtc).Take(LookedThrough)
            .Select(Read).OfType<PodEvidence>().Where(e => e.Gang == gang)];

    private static PodEvidence? Read(FileInfo file)
    {
        try
        {
            // Half a log is longer than any that is kept: what is larger was not written here.
            return file is { Length: <= BytesMax, LinkTarget: null }
                ? JsonSerializer.Deserialize<PodEvidence>(File.ReadAllText(file.FullName), Format) : null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or JsonException)
        {
            return null;
        }
    }

    private void Tidy()
    {
        var before = clock.GetUtcNow() - keep;
        foreach (var file in new DirectoryInfo(folder).EnumerateFiles("*.json").Where(f => f.LastWriteTimeUtc < before).ToList())
        {
            file.Delete();
        }
    }

    private string PathOf(string pod) => Path.Combine(folder, $"{pod}.json");
}
