using System.Collections.Immutable;

namespace DeepSeekOps.Decisions.Checkpoints;

/// <summary>
/// Which checkpoint an attempt goes on from, and what becomes of the others: the newest of what was told and what lies on the disk. Every
/// byte is verified by the rank that loads it, which tries the next older one where it has to; what it refuses is quarantined here.
/// </summary>
public static class CheckpointChoice
{
    /// <summary>A run of months makes thousands. What was dropped long ago is in the ledger and decides nothing.</summary>
    private const int DroppedRemembered = 16;

    private const string SetAside = "set aside by the retry from step ";

    /// <summary>Good ones after which the worker lets go of what a retry set aside; its CheckpointFolder.SavesUntilGone.</summary>
    private const int SavesUntilGone = 2;

    /// <summary>The newest that may be used. Null: none.</summary>
    public static StageCheckpoint? Newest(ImmutableArray<StageCheckpoint> checkpoints) =>
        checkpoints.Where(c => c.Usable).MaxBy(c => c.Made.Step);

    /// <summary>
    /// The one that the next attempt is to go on from. Where all were refused it is the newest of those: a person may have put it back,
    /// and if not, the rank says so and the stage fails, since only a person begins again at step 0. Null: there never was any.
    /// </summary>
    public static StageCheckpoint? ToResume(ImmutableArray<StageCheckpoint> checkpoints) =>
        Newest(checkpoints) ?? checkpoints.Where(Refused).MaxBy(c => c.Made.Step);

    /// <summary>The same in words.</summary>
    public static string FromWhere(ImmutableArray<StageCheckpoint> checkpoints) => ToResume(checkpoints) switch
    {
        null => "begins from step 0",
        { Usable: true } newest => $"goes on from step {newest.Made.Step}",
        var refused => $"looks again for the checkpoint of step {refused.Made.Step}, the newest of those that were refused",
    };

    /// <summary>
    /// What lies on the disk and was never told: the agent died with it, or could not say it. Only of this run, and of attempts since a
    /// person last began the stage anew; what an older round left is not gone on from.
    /// </summary>
    public static ImmutableArray<CheckpointMade> Untold(
        ImmutableArray<StageCheckpoint> checkpoints, StageFolder disk, ImmutableArray<string> registrations, int roundBegan)
    {
        var known = checkpoints.ToLookup(c => c.Made.Step, c => c.Made.Attempt);
        return
        [
            .. disk.Checkpoints.Where(c => registrations.Contains(c.Registration) && c.Made.Attempt > roundBegan
                && !known[c.Made.Step].Any(attempt => attempt >= c.Made.Attempt)).Select(c => c.Made).OrderBy(c => c.Step),
        ];
    }

    /// <summary>The one that a person wants to try, or why it cannot be tried.</summary>
    /// <param name="step">Null: the newest that may be used.</param>
    public static (StageCheckpoint? Chosen, string Reason) ToTry(StageId stage, ImmutableArray<StageCheckpoint> checkpoints, long? step)
    {
        var chosen = step is null ? Newest(checkpoints) : checkpoints.LastOrDefault(c => c.Made.Step == step);
        string because = chosen is { Reason.Length: > 0 } ? $": {chosen.Reason}" : "";
        return chosen switch
        {
            null when step is null =>
                (null, $"{stage} has no checkpoint that can be used yet; its first one can be tried as soon as it is durable."),
            null => (null, $"{stage} has no checkpoint of step {step}; `dsops checkpoints {stage.Run}` lists those there are."),
            { State: CheckpointState.Deleted } =>
                (null, $"The checkpoint of {stage} step {step} was deleted{because}. Choose a newer one."),
            { State: CheckpointState.Quarantined } =>
                (null, $"The checkpoint of {stage} step {step} was refused{because}. Choose another one."),
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
    /// and final ones, which are not counted. At least two, since the newest may turn out to be damaged; and the newest that was read
    /// whole, however many came after it.
    /// </summary>
    public static ImmutableArray<StageCheckpoint> Retain(ImmutableArray<StageCheckpoint> checkpoints, int keep)
    {
        int least = Math.Max(2, keep);
        var held = CheckpointReadings.Held(checkpoints, least + 1);
        var newest = checkpoints.Where(c => c.State == CheckpointState.Good && c != held).OrderByDescending(c => c.Made.Step).ToList();
        var good = newest.Skip(least).ToHashSet();
        // The store keeps as many of those that it has, which may be older while it lags behind.
        var stored = newest.Where(c => c.Stored is not null).Take(least).Where(good.Contains).ToHashSet();
        good.ExceptWith(stored);
        bool letGo = checkpoints.Any(c => Gone(c, checkpoints));
        if (good.Count == 0 && !letGo && stored.All(c => c.OnlyStored))
        {
            return checkpoints;
        }

        int forget = checkpoints.Count(c => c.State == CheckpointState.Deleted) - DroppedRemembered;
        return [.. checkpoints.Where(c => c.State != CheckpointState.Deleted || forget-- <= 0).Select(c =>
            stored.Contains(c) ? c with { OnlyStored = true }
            : good.Contains(c) ? c with { State = CheckpointState.Deleted, Reason = $"the newest {least} are kept" }
            : Gone(c, checkpoints)
                ? c with { State = CheckpointState.Deleted, Reason = $"{c.Reason}, and {SavesUntilGone} newer ones are good" }
            : c)];
    }

    /// <summary>Takes in that a copy is whole in the store; what was known of it stays.</summary>
    public static ImmutableArray<StageCheckpoint> TakeStored(ImmutableArray<StageCheckpoint> checkpoints, StoredTold told) =>
        checkpoints.FirstOrDefault(c => c.Usable && c.Made.Step == told.Step && c.Made.Digest == told.Digest)
            is { } known && known.Stored?.Uri != told.Copy.Uri
            ? checkpoints.Replace(known, known with { Stored = told.Copy }) : checkpoints;

    /// <summary>Steps of those that are kept against retention.</summary>
    public static ImmutableArray<long> Pinned(ImmutableArray<StageCheckpoint> checkpoints) =>
        [.. checkpoints.Where(c => c.State == CheckpointState.Pinned).Select(c => c.Made.Step)];

    /// <summary>Steps of those that the worker's retention leaves alone: the pinned, and the last that is trusted.</summary>
    public static ImmutableArray<long> LeftAlone(ImmutableArray<StageCheckpoint> checkpoints, int keep) =>
        CheckpointReadings.Held(checkpoints, keep) is { Made.Step: var held } ? [.. Pinned(checkpoints), held] : Pinned(checkpoints);

    /// <summary>The newest good one of before a step is kept, for as long as it may be needed.</summary>
    public static ImmutableArray<StageCheckpoint> Pin(ImmutableArray<StageCheckpoint> checkpoints, long before, string reason) =>
        checkpoints.LastOrDefault(c => c.Usable && c.Made.Step < before) is { State: CheckpointState.Good } chosen
            ? checkpoints.Replace(chosen, chosen with { State = CheckpointState.Pinned, Reason = reason }) : checkpoints;

    /// <summary>None is needed any more.</summary>
    public static ImmutableArray<StageCheckpoint> Unpin(ImmutableArray<StageCheckpoint> checkpoints) =>
        [.. checkpoints.Select(c => c.State == CheckpointState.Pinned ? c with { State = CheckpointState.Good, Reason = "" } : c)];

    /// <summary>Set aside by a retry, and trained past since.</summary>
    private static bool Gone(StageCheckpoint checkpoint, ImmutableArray<StageCheckpoint> all) =>
        checkpoint.State == CheckpointState.Quarantined
        && IsSetAside(checkpoint)
        && all.Count(c => c.Usable && c.Made.Attempt > checkpoint.Made.Attempt) >= SavesUntilGone;

    /// <summary>What a rank refused is not used again, unless a person puts it back.</summary>
    public static ImmutableArray<StageCheckpoint> Quarantine(ImmutableArray<StageCheckpoint> checkpoints, RefusedCheckpoint refused) =>
        [.. checkpoints.Select(
            c => c.Usable && refused.Means(c.Made) ? c with { State = CheckpointState.Quarantined, Reason = refused.Reason } : c)];

    /// <summary>
    /// Sets aside what a person wants done again: everything beyond a step. The one of that step comes back if an earlier retry had set it
    /// aside: a person may think better of it for as long as it lies on the disk.
    /// </summary>
    public static ImmutableArray<StageCheckpoint> SetAsideBeyond(ImmutableArray<StageCheckpoint> checkpoints, long step) =>
        [.. checkpoints.Select(c => c switch
        {
            { Usable: true } when c.Made.Step > step => c with { State = CheckpointState.Quarantined, Reason = $"{SetAside}{step}" },
            _ when c.Made.Step > step && Refused(c) => c with { Reason = $"{SetAside}{step}; {c.Reason}" },
            _ when c.Made.Step == step && IsSetAside(c) => c with
            {
                State = c.Made.Final ? CheckpointState.Final : CheckpointState.Good,
                Reason = "taken back by a retry",
            },
            _ => c,
        })];

    /// <summary>Steps that a person's retry may name: what may be used, and what an earlier retry set aside and is not gone yet.</summary>
    public static ImmutableArray<long> Named(ImmutableArray<StageCheckpoint> checkpoints) =>
        [.. checkpoints.Where(c => c.Usable || IsSetAside(c)).Select(c => c.Made.Step)];

    private static bool Refused(StageCheckpoint checkpoint) => checkpoint.State == CheckpointState.Quarantined && !IsSetAside(checkpoint);

    private static bool IsSetAside(StageCheckpoint checkpoint) =>
        checkpoint.State == CheckpointState.Quarantined && checkpoint.Reason.StartsWith(SetAside, StringComparison.Ordinal);
}
