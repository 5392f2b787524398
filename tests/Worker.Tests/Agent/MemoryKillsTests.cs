using DeepSeekOps.Worker.Agent;
using Xunit;

namespace DeepSeekOps.Worker.Tests.Agent;

/// <summary>The kernel's files as both versions of cgroups write them, in a folder that the test may change.</summary>
public sealed class MemoryKillsTests : IDisposable
{
    private static readonly DateTimeOffset Now = DateTimeOffset.UnixEpoch;
    private readonly string root = Directory.CreateTempSubdirectory("dsops-memory-").FullName;

    [Theory]
    [InlineData("9:name=systemd:/\n4:memory:/pod/rank\n0::/\n", "sys/fs/cgroup/memory/pod/rank/memory.oom_control",
        "oom_kill_disable 0\nunder_oom 0\n")]
    [InlineData("0::/pod/rank\n", "sys/fs/cgroup/pod/rank/memory.events", "low 0\nhigh 7\nmax 12\noom 1\n")]
    public void A_counter_that_went_up_while_the_rank_lived_is_evidence(string cgroup, string file, string before)
    {
        Write("proc/42/cgroup", cgroup);
        Write(file, before + "oom_kill 3\n");
        var kills = new MemoryKills(root);
        kills.Look(42, Now);
        Assert.Equal("", kills.Evidence());
        Write(file, before + "oom_kill 4\n");
        Assert.Equal("cgroup oom_kill went 3 → 4", kills.Evidence());
    }

    [Fact]
    public void A_rank_that_is_moved_to_another_cgroup_is_held_against_that_ones_counter()
    {
        Write("sys/fs/cgroup/a/memory.events", "oom_kill 9\n");
        Write("sys/fs/cgroup/b/memory.events", "oom_kill 1\n");
        var kills = new MemoryKills(root);
        Write("proc/42/cgroup", "0::/a\n");
        kills.Look(42, Now);
        Write("proc/42/cgroup", "0::/b\n");
        kills.Look(42, Now);
        Assert.Equal("", kills.Evidence());
        Write("sys/fs/cgroup/b/memory.events", "oom_kill 2\n");
        Assert.Equal("cgroup oom_kill went 1 → 2", kills.Evidence());
    }

    [Fact]
    public void Without_a_cgroup_the_machines_counter_speaks_for_the_last_seconds_only()
    {
        var kills = new MemoryKills(root);
        Write("proc/vmstat", "pgfault 1\noom_kill 5\n");
        kills.Look(42, Now);
        Write("proc/vmstat", "pgfault 1\noom_kill 6\n");
        kills.Look(42, Now.AddSeconds(2));
        Assert.Equal("the machine's oom_kill went 5 → 6", kills.Evidence());
        kills.Look(42, Now.AddSeconds(8));
        Assert.Equal("", kills.Evidence());
    }

    [Fact]
    public void Where_nothing_can_be_read_nothing_is_said()
    {
        var kills = new MemoryKills(root);
        kills.Look(42, Now);
        Assert.Equal("", kills.Evidence());
    }

    public void Dispose() => Directory.Delete(root, recursive: true);

    private void Write(string path, string text)
    {
        string file = Path.Combine(root, path);
        Directory.CreateDirectory(Path.GetDirectoryName(file)!);
        File.WriteAllText(file, text);
    }
}
