namespace DeepSeekOps.Decisions.Gangs;

/// <summary>Which rank runs where.</summary>
public sealed record RankPlacement(int Rank, NodeId Node, int LocalRank);
