namespace DeepSeekOps.Decisions.Health;

/// <summary>
/// Whether our process has run all the time. What happens while it stands (a machine that sleeps, SIGSTOP, a paused virtual machine) is
/// nobody's silence: that time is not counted, and every grace begins anew after it, as with a new control plane.
/// </summary>
/// <param name="Looked">The newest look, as <see cref="Instant"/> tells time: without the breaks.</param>
/// <param name="AwakeSince">Since when there was no break and the wall clock was not set.</param>
/// <param name="Monotonic">The newest look by the clock that nobody sets, breaks and all.</param>
public sealed record Wakefulness(Instant Looked, Instant AwakeSince, TimeSpan Monotonic)
{
    /// <summary>
    /// Looks come each second. Five missed ones are no busy machine any more; less than the 10 s after which silence is spoken of.
    /// </summary>
    public static readonly TimeSpan Late = TimeSpan.FromSeconds(5);

    public static Wakefulness Begin(DateTimeOffset wall, TimeSpan monotonic)
    {
        var now = new Instant(wall, TimeSpan.Zero);
        return new Wakefulness(now, now, monotonic);
    }

    /// <returns>What is known now, and what there is to say of a break; null: nothing.</returns>
    public (Wakefulness Next, string? Note) Look(DateTimeOffset wall, TimeSpan monotonic)
    {
        var passed = monotonic > Monotonic ? monotonic - Monotonic : TimeSpan.Zero;
        var set = wall - Looked.At - passed;
        bool stood = passed > Late;
        bool moved = set.Duration() > Late;
        var now = new Instant(wall, Looked.Up + (stood ? TimeSpan.Zero : passed));
        string? note = stood ? $"stood still for {Words.Duration(passed)}: the machine slept, or its processes were stopped"
            : moved && set > TimeSpan.Zero ? $"found the clock {Words.Duration(set)} ahead: it was set, or the machine slept"
            : moved ? $"found the clock set back by {Words.Duration(set.Duration())}" : null;
        return (new Wakefulness(now, note is null ? AwakeSince : now, monotonic), note);
    }
}
