using DeepSeekOps.Contracts.Ops.V1;

namespace DeepSeekOps.Contracts;

public static class StageRanks
{
    /// <summary>Ranks of its gang, those that are told one by one and those that are told by their state.</summary>
    public static int RankCount(this Stage stage) => stage.Ranks.Count + stage.RankGroups.Sum(group => group.Ranks);
}
