namespace DeepSeekOps.Decisions.Recovery;

/// <summary>
/// The same fault of the program at the same place, without a new checkpoint between: another launch would end the same. The limit is
/// <see cref="Recipes.RecoveryPolicy.MaxSameFault"/>.
/// </summary>
internal static class SameFault
{
    public static Remedy? Try(FailedAttempt failed)
    {
        var failure = failed.Failure;
        int same = 1 + failed.Restarts.Reverse().TakeWhile(r => failure.Signature.Length > 0 && r.Signature == failure.Signature).Count();
        return failure.Signature.Length == 0 || same < failed.Stage.Policy.MaxSameFault ? null
            : new Remedy.GiveUp($"{same} launches ended by the same fault without a new checkpoint beyond step "
                + $"{failed.Stage.LaunchedFrom}: {failure.Sentence}");
    }
}
