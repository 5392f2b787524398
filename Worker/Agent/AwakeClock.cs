using System.Globalization;

namespace DeepSeekOps.Worker.Agent;

/// <summary>
/// The agent's time for durations: no clock that can be set, and it stands while the agent stands. A machine that sleeps, SIGSTOP or a
/// paused virtual machine stop the ranks too, so what passed meanwhile is nobody's silence.
/// </summary>
internal sealed class AwakeClock
{
    /// <summary>The agent's loop turns ten times a second. Five seconds without a turn are no busy machine any more.</summary>
    public static readonly TimeSpan Late = TimeSpan.FromSeconds(5);

    private readonly TimeProvider _clock;
    private long _looked;
    private DateTimeOffset _wall;
    private DateTimeOffset _counted;

    public AwakeClock(TimeProvider clock)
    {
        _clock = clock;
        _looked = clock.GetTimestamp();
        _wall = _counted = clock.GetUtcNow();
    }

    /// <summary>Begins at the wall clock's time and is compared with itself only. Stamps for people come from the wall clock.</summary>
    public DateTimeOffset Now => _counted + Counted(_clock.GetElapsedTime(_looked));

    /// <summary>Call it at each turn of the loop.</summary>
    /// <returns>What there is to say of a break; null: nothing.</returns>
    public string? Look()
    {
        long stamp = _clock.GetTimestamp();
        var passed = _clock.GetElapsedTime(_looked, stamp);
        var wall = _clock.GetUtcNow();
        var set = wall - _wall - passed;
        (_looked, _wall, _counted) = (stamp, wall, _counted + Counted(passed));
        return passed > Late ? $"stood still for {Words(passed)}: the machine slept, or its processes were stopped; nothing is ended for it"
            : set > Late ? $"found its clock {Words(set)} ahead: it was set, or the machine slept; nothing is ended for it"
            : -set > Late ? $"found its clock set back by {Words(-set)}; nothing is ended for it" : null;
    }

    private static TimeSpan Counted(TimeSpan passed) => passed > Late ? TimeSpan.Zero : passed;

    /// <summary>"2.3 s", "4 min", "5.2 h".</summary>
    public static string Words(TimeSpan span) => span.TotalSeconds switch
    {
        < 100 => string.Create(CultureInfo.InvariantCulture, $"{span.TotalSeconds:0.#} s"),
        < 6000 => string.Create(CultureInfo.InvariantCulture, $"{span.TotalMinutes:0} min"),
        _ => string.Create(CultureInfo.InvariantCulture, $"{span.TotalHours:0.#} h"),
    };
}
