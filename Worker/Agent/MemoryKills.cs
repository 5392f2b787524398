using System.Globalization;

namespace DeepSeekOps.Worker.Agent;

/// <summary>
/// How often the kernel has killed for lack of memory where a rank runs. A kill looks like any other signal 9 to whoever waits for the
/// process; only these counters tell the two apart, and they are read before and after.
/// </summary>
/// <param name="root">What /proc and /sys lie under. Default: the machine's.</param>
internal sealed class MemoryKills(string root = "")
{
    private const string Counter = "oom_kill ";

    /// <summary>
    /// The whole machine's count is compared with one this old: the kill comes a while before the end of the process is seen, since its
    /// memory is taken back first. Older, and somebody else's kill would be taken for this one.
    /// </summary>
    private static readonly TimeSpan SeenAfter = TimeSpan.FromSeconds(5);

    private readonly Queue<(DateTimeOffset At, long Count)> _machine = new();
    private (string File, long Count)? _cgroup;

    /// <summary>While the process lives: its cgroup may be another at the next look.</summary>
    public void Look(int pid, DateTimeOffset now)
    {
        string? file = CgroupFile(pid);
        if (file is not null && file != _cgroup?.File)
        {
            _cgroup = Count(file) is { } count ? (file, count) : null;
        }

        if (Count($"{root}/proc/vmstat") is { } machine)
        {
            _machine.Enqueue((now, machine));
        }

        while (_machine.Count > 1 && now - _machine.Peek().At > SeenAfter)
        {
            _machine.Dequeue();
        }
    }

    /// <returns>"cgroup oom_kill went 3 → 4"; empty: nothing speaks for it.</returns>
    public string Evidence()
    {
        // Its own counter knows of every kill in it; only where it cannot be read the whole machine's has to do.
        if (_cgroup is var (file, before) && Count(file) is { } after)
        {
            return after > before ? Went("cgroup", before, after) : "";
        }

        return _machine.TryPeek(out var old) && Count($"{root}/proc/vmstat") is { } now && now > old.Count
            ? Went("the machine's", old.Count, now) : "";
    }

    private static string Went(string whose, long before, long after) =>
        string.Create(CultureInfo.InvariantCulture, $"{whose} oom_kill went {before} → {after}");

    /// <summary>Of version 2 where the process is in one with a counter, else of version 1.</summary>
    private string? CgroupFile(int pid)
    {
        foreach (string line in Lines($"{root}/proc/{pid}/cgroup"))
        {
            string[] parts = line.Split(':', 3);
            string? file = parts switch
            {
                ["0", "", var path] => $"{root}/sys/fs/cgroup{path.TrimEnd('/')}/memory.events",
                [_, var controllers, var path] when controllers.Split(',').Contains("memory") =>
                    $"{root}/sys/fs/cgroup/memory{path.TrimEnd('/')}/memory.oom_control",
                _ => null,
            };
            if (file is not null && File.Exists(file))
            {
                return file;
            }
        }

        return null;
    }

    private static long? Count(string file) => Lines(file).FirstOrDefault(l => l.StartsWith(Counter, StringComparison.Ordinal)) is { } line
        && long.TryParse(line.AsSpan(Counter.Length), NumberStyles.None, CultureInfo.InvariantCulture, out long count) ? count : null;

    private static string[] Lines(string file)
    {
        try
        {
            return File.ReadAllLines(file);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // Another user's, another kernel's, or gone with the process: then nothing speaks for lack of memory.
            return [];
        }
    }
}
