namespace DeepSeekOps.Decisions.Health;

/// <summary>
/// When something that is written by the wall clock began by the clock that nobody sets. What began before this control plane has its age
/// from what is written, once; from then on the wall clock may be set as it likes.
/// </summary>
/// <param name="What">Tells one beginning from the next.</param>
internal sealed record Began(string What, TimeSpan Up)
{
    public static Began PhaseOf(WatchedStage stage, Began? known, Instant now) =>
        Of($"{stage.Phase} {stage.Attempt} {stage.Round}", stage.PhaseSince, known, now);

    public static Began IncidentOf(WatchedStage stage, Began? known, Instant now) =>
        Of($"{stage.IncidentNoticedAt?.UtcTicks}", stage.IncidentNoticedAt, known, now);

    public TimeSpan AgeAt(Instant now) => now.Up > Up ? now.Up - Up : TimeSpan.Zero;

    private static Began Of(string what, DateTimeOffset? written, Began? known, Instant now)
    {
        if (known?.What == what)
        {
            return known;
        }

        var age = written is { } at && at < now.At ? now.At - at : TimeSpan.Zero;
        return new Began(what, now.Up - age);
    }
}
