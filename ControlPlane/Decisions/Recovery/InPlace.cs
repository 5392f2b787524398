namespace DeepSeekOps.Decisions.Recovery;

/// <summary>
/// The last rung takes every failure: the pods are there and warm, so a restart costs seconds where a new gang costs minutes.
/// </summary>
internal static class InPlace
{
    internal static Rung Rung { get; } = new("in place", Try, _ => "it takes what no other rung does");

    public static Remedy? Try(FailedAttempt failed) => new Remedy.InPlace(BackOff.Of(failed));
}
