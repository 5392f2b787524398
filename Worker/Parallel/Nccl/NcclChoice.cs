using System.Globalization;

namespace DeepSeekOps.Worker.Parallel.Nccl;

/// <summary>What a rank tells the others before the gang's GPUs are connected.</summary>
/// <param name="Version">Of its NCCL; 0: it has none, or it computes on its processor.</param>
/// <param name="Gpu">The same number only for the same GPU; 0: it computes on its processor.</param>
public readonly record struct NcclReadiness(long Version, long Gpu);

/// <summary>Whether a gang's tensors go by NCCL.</summary>
public static class NcclChoice
{
    /// <summary>Null: they do. Else why they go over sockets, through host memory.</summary>
    /// <param name="ranks">By rank: all ranks decide from the same.</param>
    public static string? WhyNot(IReadOnlyList<NcclReadiness> ranks)
    {
        if (ranks.All(r => r.Gpu == 0))
        {
            return "no rank computes on a GPU";
        }
        if (Of(ranks, r => r.Gpu == 0) is { } without)
        {
            return $"rank {without} computes on its processor";
        }
        var owners = new Dictionary<long, int>();
        foreach (var (rank, readiness) in ranks.Index())
        {
            if (!owners.TryAdd(readiness.Gpu, rank))
            {
                return $"ranks {owners[readiness.Gpu]} and {rank} share a GPU, which NCCL does not connect to itself";
            }
        }
        return Of(ranks, r => r.Version == 0) is { } missing ? $"rank {missing} finds no libnccl.so.2"
            : Of(ranks, r => r.Version < NcclLibrary.Oldest) is { } old
                ? $"rank {old} has NCCL {Words(ranks[old].Version)}, and {Words(NcclLibrary.Oldest)} is the oldest that can be given up"
            : Of(ranks, r => r.Version != ranks[0].Version) is { } other
                ? $"rank {other} has NCCL {Words(ranks[other].Version)}, rank 0 has {Words(ranks[0].Version)}" : null;
    }

    /// <summary>22809: "2.28.9".</summary>
    public static string Words(long version) =>
        string.Create(CultureInfo.InvariantCulture, $"{version / 10000}.{version / 100 % 100}.{version % 100}");

    private static int? Of(IReadOnlyList<NcclReadiness> ranks, Func<NcclReadiness, bool> odd) =>
        ranks.Index().Where(r => odd(r.Item)).Select(r => (int?)r.Index).FirstOrDefault();
}
