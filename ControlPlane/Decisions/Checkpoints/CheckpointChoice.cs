using System.Collections.Immutable;
using System.Globalization;

namespace DeepSeekOps.Decisions.Checkpoints;

/// <summary>
/// Which checkpoint an attempt goes on from, and what becomes of the others. A digest is verified by the rank that loads it; what it
/// refuses is quarantined here, and the next older one is chosen.
/// </summary>
public static class CheckpointChoice
{
    /// <summary>A run of months makes thousands. What was dropped long ago is in the ledger and decides nothing.</summary>
    private const int DroppedRemembered = 16;

    private const string SetAside = "set aside by the retry from step ";

    /// <summary>The newest that may be used. Null: none; the stage begins from step 0.</summary>
    public static StageCheckpoint? Newest(ImmutableArray<StageCheckpoint> checkpoints) =>
        checkpoints.Where(c => c.Usable).MaxBy(c => c.Made.Step);

    /// <summary>The one that a person wants to try, or why it cannot be tried.</summary>
    /// <param name="step">Null: the newest that may be used.</param>
    public static (StageCheckpoint? Chosen, string Reason) ToTry(StageId stage, ImmutableArray<StageCheckpoint> checkpoints, long? step)
    {
        var chosen = step is null ? Newest(checkpoints) : checkpoints.LastOrDefault(c => c.Made.Step == step);
        string because = chosen is { Reason.Length: > 0 } ? $": {chosen.Reason}" : "";
        return chosen switch
        {
            null when step is null => (null, $"{stage} has no checkpoint that can be used yet; its first one can be tried as soon as it is durable."),
            null => (null, $"{stage} has no checkpoint of step {step}; `dsops checkpoints {stage.Run}` lists those there are."),
            { State: CheckpointState.Deleted } => (null, $"The checkpoint of {stage} step {step} was deleted{because}. Choose a newer one."),
            { State: CheckpointState.Quarantined } => (null, $"The checkpoint of {stage} step {step} was refused{because}. Choose another one."),
            _ => (chosen, ""),
        };
    }

    /// <summary>Takes in a durable one: it takes the place of an older one of the same step, whatever became of that.</summary>
    public static ImmutableArray<StageCheckpoint> Add(ImmutableArray<StageCheckpoint> checkpoints, CheckpointMade made, string lineage)
    {
        var state = made.Final ? CheckpointState.Final : CheckpointState.Good;
        string reason = made.Final ? "the stage's last one" : "";
        return [.. checkpoints.Where(c => c.Made.Step < made.Step), new StageCheckpoint(made, state, reason, lineage),
            .. checkpoints.Where(c => c.Made.Step > made.Step)];
    }

    /// <summary>
    /// The worker's own retention (CheckpointFolder.Retain; a test compares the two): the newest <paramref name="keep"/> stay, and pinned
    /// and final ones, which are not counted. At least two, since the newest may turn out to be damaged.
    /// </summary>
    public static ImmutableArray<StageCheckpoint> Retain(ImmutableArray<StageCheckpoint> checkpoints, int keep)
    {
        int least = Math.Max(2, keep);
        var good = checkpoints.Where(c => c.State == CheckpointState.Good).OrderByDescending(c => c.Made.Step).Skip(least).ToHashSet();
        if (good.Count == 0)
        {
            return checkpoints;
        }

        int forget = checkpoints.Count(c => c.State == CheckpointState.Deleted) - DroppedRemembered;
        return [.. checkpoints.Where(c => c.State != CheckpointState.Deleted || forget-- <= 0).Select(c => good.Contains(c)
            ? c with { State = CheckpointState.Deleted, Reason = $"the newest {least} are kept" } : c)];
    }

    /// <summary>
    /// What a rank refused is not used again. Where nothing older is left, the nearest one that a retry set aside comes back, as the
    /// worker itself takes it: a stage begins again only where it has no checkpoint at all.
    /// </summary>
    public static ImmutableArray<StageCheckpoint> Quarantine(ImmutableArray<StageCheckpoint> checkpoints, string path, string reason)
    {
        ImmutableArray<StageCheckpoint> left =
            [.. checkpoints.Select(c => c.Usable && c.Made.Path == path ? c with { State = CheckpointState.Quarantined, Reason = reason } : c)];
        // What was set aside for a beginning before the refused one has been trained anew since, and is gone.
        long? refused = checkpoints.FirstOrDefault(c => c.Usable && c.Made.Path == path)?.Made.Step;
        var back = left.Any(c => c.Usable) ? null : left.FirstOrDefault(c => c.State == CheckpointState.Quarantined && SetAsideFor(c) >= refused);
        return back is null ? left : left.Replace(back, back with
        {
            State = back.Made.Final ? CheckpointState.Final : CheckpointState.Good,
            Reason = "taken back: every earlier one was refused",
        });
    }

    /// <summary>Sets aside what a person wants done again: everything beyond a step.</summary>
    public static ImmutableArray<StageCheckpoint> SetAsideBeyond(ImmutableArray<StageCheckpoint> checkpoints, long step) =>
        [.. checkpoints.Select(c => c.Usable && c.Made.Step > step
            ? c with { State = CheckpointState.Quarantined, Reason = $"{SetAside}{step}" } : c)];

    private static long? SetAsideFor(StageCheckpoint checkpoint) => checkpoint.Reason.StartsWith(SetAside, StringComparison.Ordinal)
        && long.TryParse(checkpoint.Reason.AsSpan(SetAside.Length), CultureInfo.InvariantCulture, out long step) ? step : null;
}
