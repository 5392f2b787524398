namespace DeepSeekOps.Decisions.Drills;

/// <summary>What a drill's command saw of a control plane that was away, or could not write: it is not there to see it itself.</summary>
/// <param name="ToldAfter">From the fault to the first words about it. Null: there were none.</param>
/// <param name="Words">What was told.</param>
/// <param name="BackAt">When it answered, and could write, again. Null: not yet.</param>
public sealed record OutageSeen(TimeSpan? ToldAfter, string Words, DateTimeOffset? BackAt);

/// <summary>What the ledger has of the time since the fault.</summary>
/// <param name="Attempt">Of the stage now.</param>
/// <param name="Back">
/// What the timeline says of a gang that was without contact and is back; its first agent's word counts. Empty: nothing.
/// </param>
/// <param name="Newest">The newest step whose loss is written.</param>
/// <param name="NewestAt">When that step was made.</param>
/// <param name="Missing">Steps before it, since the fault, whose loss is not written.</param>
public sealed record OutageFacts(int Attempt, string Back, long Newest, DateTimeOffset? NewestAt, long Missing);
