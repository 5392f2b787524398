namespace DeepSeekOps.Decisions.Gangs;

/// <summary>
/// The pods of one placement of a stage, and the nodes that they hold. Pods, tokens, grants and orders to a cluster are all named by it.
/// </summary>
/// <param name="Number">The attempt that asked for the nodes; later attempts in place keep it.</param>
public readonly record struct GangId(StageId Stage, int Number)
{
    public override string ToString() => $"{Stage} gang {Number}";
}
