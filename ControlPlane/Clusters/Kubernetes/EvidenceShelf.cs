using System.Text.Json;
using DeepSeekOps.Decisions.Pods;

namespace DeepSeekOps.ControlPlane.Clusters.Kubernetes;

/// <summary>Why pods ended, as files in pods/ of the data directory: `kubectl` tells nothing of a pod that was deleted.</summary>
internal sealed class EvidenceShelf(string dataDirectory, TimeSpan keep, TimeProvider clock)
{
    private static readonly JsonSerializerOptions Format = new(JsonSerializerDefaults.Web) { WriteIndented = true };

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
