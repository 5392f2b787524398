namespace DeepSeekOps.Worker.Training.Loop;

/// <summary>Where a gang goes on from that forms again.</summary>
internal static class AgreedStep
{
    /// <summary>The newest step that every rank has kept, since a step is made by all ranks or by none.</summary>
    /// <param name="kept">The steps that each rank has in memory.</param>
    /// <param name="onDisk">Step of the newest checkpoint; -1: there is none. A newer one than all of them is gone on from instead.</param>
    /// <returns>Null: there is no such step.</returns>
    public static long? Of(IReadOnlyList<IReadOnlyCollection<long>> kept, long onDisk)
    {
        long[] common = [.. kept.Aggregate(kept[0].AsEnumerable(), (all, rank) => all.Intersect(rank)).Where(step => step >= onDisk)];
        return common.Length == 0 ? null : common.Max();
    }
}
