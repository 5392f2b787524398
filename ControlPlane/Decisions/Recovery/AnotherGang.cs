namespace DeepSeekOps.Decisions.Recovery;

/// <summary>The node is lost or under suspicion: the stage goes elsewhere, and leaves it alone for a while.</summary>
public static class AnotherGang
{
    internal static Rung Rung { get; } = new("another gang", Try, f => $"{f.Failure.Node} is not suspect, and a new gang costs minutes");

    /// <summary>
    /// How long the node is avoided; then it has had time to be mended. Ours: long enough for a reboot and its checks, short enough that a
    /// small cluster has its node back the same day. Where no other node is free it is used all the same.
    /// </summary>
    public static TimeSpan AvoidFor { get; } = TimeSpan.FromHours(1);

    internal static Remedy? Try(FailedAttempt failed) =>
        failed.Failure.NodeIsSuspect ? new Remedy.AnotherGang(failed.Failure.Node, BackOff.Of(failed)) : null;
}
