namespace DeepSeekOps.Decisions.Doctor;

/// <summary>What is known of this machine's clock.</summary>
/// <param name="Synchronised">Null: neither the kernel nor a service tells.</param>
/// <param name="By">Who says so: "the kernel", "systemd-timesyncd".</param>
public sealed record ClockFacts(bool? Synchronised, string By, TimeSpan? ErrorMax);

/// <summary>How far another clock is ahead of this machine's.</summary>
/// <param name="Uncertain">Half of the time that the answer took, and what its form leaves out.</param>
public sealed record ClockOffset(TimeSpan Ahead, TimeSpan Uncertain);

/// <summary>Whether clocks agree.</summary>
public static class ClockCheck
{
    /// <summary>
    /// Times of machines stand beside each other on timelines, where two seconds turn cause and effect around. Ours.
    /// </summary>
    private static readonly TimeSpan Shown = TimeSpan.FromSeconds(2);

    /// <summary>
    /// Ours, well below what others refuse: S3 a call that is 15 minutes off, a one-time code one of an hour; certificates and tokens that
    /// were made just now begin in the future.
    /// </summary>
    private static readonly TimeSpan Wrong = TimeSpan.FromSeconds(60);

    public static Finding Of(ClockFacts seen)
    {
        const string check = "clock.machine";
        return seen.Synchronised switch
        {
            null => Finding.NotKnown(check, "whether this machine's clock is kept right: neither its kernel nor a time service tells"),
            false => Finding.Warning(check, $"this machine's clock is not synchronised, says {seen.By}",
                "Start a time service: `timedatectl set-ntp true`, or chrony."),
            true => Finding.Ok(check, $"kept right, says {seen.By}"
                + (seen.ErrorMax is { } most && most > TimeSpan.Zero ? $", to {Words.Duration(most)}" : "")),
        };
    }

    /// <param name="whose">"the database", "the API server".</param>
    /// <param name="offset">Null: it did not tell its time.</param>
    public static Finding Of(string check, string whose, ClockOffset? offset)
    {
        if (offset is null)
        {
            return Finding.NotKnown(check, $"{whose} did not tell its time");
        }

        var off = offset.Ahead.Duration() - offset.Uncertain;
        string found = off <= TimeSpan.Zero ? $"{whose} has the time of this machine (within {Words.Duration(offset.Uncertain)})"
            : $"{whose} is {Words.Duration(offset.Ahead.Duration())} {(offset.Ahead > TimeSpan.Zero ? "ahead of" : "behind")} this machine";
        const string fix = "Set the clock that is wrong, and keep both by one time service (`chronyc tracking`, `timedatectl`).";
        return off >= Wrong ? Finding.Fault(check, found, fix) : off >= Shown ? Finding.Warning(check, found, fix)
            : Finding.Ok(check, found);
    }
}
