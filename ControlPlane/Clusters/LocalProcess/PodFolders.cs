using System.Collections.Immutable;

namespace DeepSeekOps.ControlPlane.Clusters.LocalProcess;

/// <summary>Which folders of ended pods are no longer kept.</summary>
internal static class PodFolders
{
    /// <summary>
    /// Of one stage, however new: a stage that is moved to a new gang again and again must not fill the disk. Ours; the last few tell what
    /// goes wrong, and each may hold 128 MB for each rank.
    /// </summary>
    public const int KeptOfStage = 10;

    public static ImmutableArray<string> Over(IReadOnlyDictionary<string, LocalPod> pods, TimeSpan keep, DateTimeOffset now)
    {
        var ended = pods.Where(p => p.Value.DeletedAt is not null).ToImmutableArray();
        var old = ended.Where(p => now - p.Value.DeletedAt > keep);
        var many = ended.GroupBy(p => p.Value.Id.Stage).SelectMany(stage => stage.OrderByDescending(p => p.Value.Gang).Skip(KeptOfStage));
        return [.. old.Concat(many).Select(p => p.Key).Distinct()];
    }

    /// <summary>False: it is still there, and tried again with the next.</summary>
    public static bool Remove(string folder)
    {
        try
        {
            Directory.Delete(folder, recursive: true);
            return true;
        }
        catch (DirectoryNotFoundException)
        {
            return true;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return false;
        }
    }
}
