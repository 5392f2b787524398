namespace DeepSeekOps.Decisions.Recovery;

/// <summary>
/// The same fault of the program at the same place, without a new checkpoint between: another launch would end the same. The limit is
/// <see cref="Recipes.RecoveryPolicy.MaxSameFault"/>, of launches on one node and of nodes: two machines that break in one hour fail four
/// launches, two each, and a spare cures both; a program fails wherever it runs.
/// </summary>
internal static class SameFault
{
    internal static Rung Rung { get; } = new("the same fault again", Try,
        f => f.Failure.Signature.Length == 0 ? "it says nothing of the program"
            : $"not {f.Stage.Policy.MaxSameFault} launches on one node, or nodes, ended so");

    public static Remedy? Try(FailedAttempt failed)
    {
        var failure = failed.Failure;
        if (failure.Signature.Length == 0)
        {
            return null;
        }

        NodeId[] on = [failure.Node, .. failed.Restarts.Reverse().TakeWhile(r => r.Signature == failure.Signature).Select(r => r.Node)];
        var byNode = on.CountBy(n => n).ToList();
        return Math.Max(byNode.Count, byNode.Max(n => n.Value)) < failed.Stage.Policy.MaxSameFault ? null
            : new Remedy.GiveUp($"{on.Length} launches{(byNode.Count > 1 ? $" on {byNode.Count} nodes" : "")} ended by the same fault "
                + $"without a new checkpoint beyond step {failed.Stage.LaunchedFrom}: {failure.Sentence}");
    }
}
