using System.Collections.Immutable;
using System.Diagnostics;
using DeepSeekOps.ControlPlane.Clusters.LocalProcess;
using DeepSeekOps.Decisions;
using DeepSeekOps.Decisions.Gangs;
using DeepSeekOps.Decisions.Placement;
using Microsoft.Extensions.Options;
using Xunit;

namespace DeepSeekOps.ControlPlane.Tests.Clusters;

/// <summary>With the built worker program: agents are real processes, whose standbys are ranks that train nothing.</summary>
public sealed class LocalProcessClusterTests : IAsyncDisposable
{
    private static readonly StageId Stage = new("mini", "pretrain");

    private readonly string _folder = Directory.CreateTempSubdirectory("dsops-cluster-").FullName;
    private readonly List<LocalProcessCluster> _clusters = [];

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    public async ValueTask DisposeAsync()
    {
        foreach (var cluster in _clusters)
        {
            await cluster.FenceAllBut(_ => Task.FromResult<ImmutableHashSet<GangId>>([]), CancellationToken.None);
            cluster.Dispose();
        }

        Directory.Delete(_folder, recursive: true);
    }

    [Fact]
    public async Task A_gang_is_created_once_and_when_it_is_deleted_no_process_of_it_is_left()
    {
        var cluster = Open();
        await cluster.CreatePods(Gang(1), Cancelled);
        var pod = Assert.Single((await cluster.Observe(Cancelled)).Pods);
        Assert.Equal((PodPhase.Running, "node-0"), (pod.Phase, pod.Node.Name));
        await cluster.CreatePods(Gang(1), Cancelled);
        Assert.Equal(pod.Pid, Assert.Single((await cluster.Observe(Cancelled)).Pods).Pid);

        var processes = await AgentAndStandby(Pid(pod));
        Assert.True(await cluster.DeletePods(Gang(1).Id, [], "test", Cancelled));
        Assert.All(processes, p => Assert.False(ProcessTable.Alive(p)));
        var after = await cluster.Observe(Cancelled);
        Assert.Empty(after.Pods);
        Assert.All(after.Nodes, n => Assert.Equal(NodeHealth.Ready, n.Health));
        Assert.True(await cluster.DeletePods(Gang(1).Id, [], "again", Cancelled));
    }

    /// <summary>A folder in the way of the record refuses to be written as a full disk does, also for root.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Where_nothing_can_be_written_what_runs_is_ended_all_the_same_and_written_down_later(bool all)
    {
        var cluster = Open();
        await cluster.CreatePods(Gang(1), Cancelled);
        var processes = await AgentAndStandby(Pid(Assert.Single((await cluster.Observe(Cancelled)).Pods)));
        string folder = Path.Combine(_folder, "nodes", "node-0", "pods", "mini.pretrain.1");
        Directory.CreateDirectory(Path.Combine(folder, ".pod.json.tmp"));
        await Assert.ThrowsAnyAsync<UnauthorizedAccessException>(async () =>
        {
            Directory.CreateDirectory(Path.Combine(_folder, "nodes", "node-0", "pods", "mini.pretrain.2", ".pod.json.tmp"));
            await cluster.CreatePods(Gang(2), Cancelled);
        });
        Assert.Single((await cluster.Observe(Cancelled)).Pods);

        Assert.True(all ? await cluster.Stop("test", Cancelled) : await cluster.DeletePods(Gang(1).Id, [], "test", Cancelled));
        Assert.All(processes, p => Assert.False(ProcessTable.Alive(p)));
        Assert.Null(LocalPod.Read(folder)!.EndedAt);
        Directory.Delete(Path.Combine(folder, ".pod.json.tmp"));
        await cluster.Observe(Cancelled);
        Assert.NotNull(LocalPod.Read(folder)!.EndedAt);
        Assert.Equal(all, LocalPod.Read(folder)!.Stopped);
    }

    [Fact]
    public async Task A_control_plane_that_comes_after_a_crash_finds_the_agent_and_keeps_it()
    {
        await Open().CreatePods(Gang(1), Cancelled);
        var next = Open();
        var pod = Assert.Single((await next.Observe(Cancelled)).Pods);
        Assert.Equal(PodPhase.Running, pod.Phase);
        Assert.Empty(await next.FenceAllBut(_ => Task.FromResult<ImmutableHashSet<GangId>>([Gang(1).Id]), Cancelled));
        await next.CreatePods(Gang(1), Cancelled);
        Assert.Equal(pod.Pid, Assert.Single((await next.Observe(Cancelled)).Pods).Pid);

        Assert.Single(await next.FenceAllBut(_ => Task.FromResult<ImmutableHashSet<GangId>>([]), Cancelled));
        Assert.Empty((await next.Observe(Cancelled)).Pods);
        Assert.Null(ProcessTable.Identify(Pid(pod)));
    }

    [Fact]
    public async Task An_agent_whose_start_was_not_written_down_is_found_by_its_command_line()
    {
        await Open().CreatePods(Gang(1), Cancelled);
        string folder = Path.Combine(_folder, "nodes", "node-0", "pods", "mini.pretrain.1");
        var pod = LocalPod.Read(folder) ?? throw new InvalidOperationException("no pod.json");
        (pod with { Agent = null }).Write(folder);

        var seen = Assert.Single((await Open().Observe(Cancelled)).Pods);
        Assert.Equal((PodPhase.Running, pod.Agent?.Pid), (seen.Phase, seen.Pid));
    }

    [Fact]
    public void A_process_that_becomes_another_program_is_found_at_every_moment()
    {
        string mark = Path.Combine(_folder, "mark");
        using var restless = Process.Start("sh", ["-c", "exec sh -c \"$1\" \"$0\" \"$1\"", mark, "exec sh -c \"$1\" \"$0\" \"$1\""]);
        try
        {
            for (int look = 0; look < 300; look++)
            {
                Assert.Single(ProcessTable.WithArgument(mark));
            }
        }
        finally
        {
            restless.Kill();
            restless.WaitForExit();
        }
    }

    [Fact]
    public async Task A_killed_agent_is_seen_with_its_signal_and_its_node_serves_again_once_it_is_fenced()
    {
        var cluster = Open();
        await cluster.CreatePods(Gang(1), Cancelled);
        var processes = await AgentAndStandby(Pid(Assert.Single((await cluster.Observe(Cancelled)).Pods)));
        ProcessTable.Signal(processes[0], ProcessTable.SigKill);
        await Until(() => !ProcessTable.Alive(processes[0]));

        var seen = await cluster.Observe(Cancelled);
        var pod = Assert.Single(seen.Pods);
        Assert.Equal((PodPhase.Exited, 137), (pod.Phase, pod.ExitCode));
        Assert.Contains("signal 9", pod.Reason, StringComparison.Ordinal);
        Assert.Equal((NodeHealth.NotReady, Gang(1).Id), (seen.Nodes[0].Health, seen.Nodes[0].OutUntilGone));
        Assert.Equal((NodeHealth.Ready, NodeHealth.Ready), (seen.Nodes[1].Health, seen.Without(Gang(1).Id).Nodes[0].Health));
        Assert.Equal(NodeHealth.NotReady, seen.Without(Gang(2).Id).Nodes[0].Health);

        Assert.True(await cluster.DeletePods(Gang(1).Id, [], "the agent was lost", Cancelled));
        Assert.All(processes, p => Assert.False(ProcessTable.Alive(p)));
        var node = (await cluster.Observe(Cancelled)).Nodes[0];
        Assert.Equal((NodeHealth.Ready, null), (node.Health, node.OutUntilGone));
        Assert.Contains("signal 9", node.Reason, StringComparison.Ordinal);
        await cluster.CreatePods(Gang(2), Cancelled);
        Assert.Equal(PodPhase.Running, Assert.Single((await cluster.Observe(Cancelled)).Pods).Phase);
    }

    [Fact]
    public async Task An_agent_that_the_kernel_has_stopped_runs_and_is_seen_as_halted_at_once()
    {
        var cluster = Open();
        await cluster.CreatePods(Gang(1), Cancelled);
        var agent = ProcessTable.Identify(Pid(Assert.Single((await cluster.Observe(Cancelled)).Pods)))!;
        Assert.False(Assert.Single((await cluster.Observe(Cancelled)).Pods).Halted);
        ProcessTable.Signal(agent, 19);
        await Until(() => ProcessTable.Look(agent) is Life.Halted);
        var pod = Assert.Single((await cluster.Observe(Cancelled)).Pods);
        Assert.Equal((PodPhase.Running, true), (pod.Phase, pod.Halted));
        ProcessTable.Signal(agent, 18);
        await Until(() => ProcessTable.Look(agent) is not Life.Halted);
        Assert.True(await cluster.DeletePods(Gang(1).Id, [], "test", Cancelled));
    }

    [Fact]
    public async Task A_pid_that_was_given_to_another_process_is_not_killed()
    {
        using var stranger = Process.Start("sleep", "60");
        try
        {
            var real = ProcessTable.Identify(stranger.Id) ?? throw new InvalidOperationException("sleep did not start");
            var pod = new LocalPod
            {
                Run = Stage.Run, Stage = Stage.Stage, Gang = 1, Node = "node-0", CreatedAt = TimeProvider.System.GetUtcNow(),
                Agent = real with { StartTicks = real.StartTicks - 1 },
            };
            pod.Write(Path.Combine(_folder, "nodes", "node-0", "pods", pod.FolderName));
            var cluster = Open();
            Assert.Equal(PodPhase.Exited, Assert.Single((await cluster.Observe(Cancelled)).Pods).Phase);
            Assert.True(await cluster.DeletePods(Gang(1).Id, [], "test", Cancelled));
            Assert.True(ProcessTable.Alive(real));
        }
        finally
        {
            stranger.Kill();
            await stranger.WaitForExitAsync(CancellationToken.None);
        }
    }

    [Fact]
    public async Task After_the_clean_stop_nothing_runs_nothing_is_started_and_no_pod_looks_failed()
    {
        var cluster = Open();
        await cluster.CreatePods(Gang(1), Cancelled);
        int pid = Pid(Assert.Single((await cluster.Observe(Cancelled)).Pods));
        Assert.True(await cluster.Stop("dsops dev was stopped", Cancelled));
        Assert.Null(ProcessTable.Identify(pid));
        await cluster.CreatePods(Gang(2), Cancelled);
        var seen = await cluster.Observe(Cancelled);
        Assert.Equal(PodPhase.Unknown, Assert.Single(seen.Pods).Phase);

        var next = Assert.Single((await Open().Observe(Cancelled)).Pods);
        Assert.Equal((PodPhase.Stopped, "dsops dev was stopped"), (next.Phase, next.Reason));
    }

    /// <summary>What an agent tells last is acknowledged by a tick, and a tick looks at the cluster.</summary>
    [Fact]
    public async Task While_agents_have_their_last_word_the_cluster_can_be_looked_at()
    {
        var cluster = Open();
        await cluster.CreatePods(Gang(1), Cancelled);
        var agent = ProcessTable.Identify(Pid(Assert.Single((await cluster.Observe(Cancelled)).Pods)))!;
        ProcessTable.Signal(agent, 19); // SIGSTOP: it says nothing until it is woken
        // A SIGTERM that comes before the stop has taken hold ends a program that is not yet ready to hear it.
        await Until(() => ProcessTable.Look(agent) is Life.Halted);
        var stop = cluster.Stop("test", Cancelled);
        Assert.True((await cluster.Observe(Cancelled).WaitAsync(TimeSpan.FromSeconds(20), Cancelled)).Stopping);
        Assert.False(stop.IsCompleted);
        ProcessTable.Signal(agent, 18);
        Assert.True(await stop);
        Assert.False(ProcessTable.Alive(agent));
    }

    /// <summary>What its own lines tell of its ranks is not what ended it.</summary>
    [Fact]
    public async Task What_an_agent_printed_as_it_broke_is_its_pods_word_and_evidence()
    {
        var cluster = Open("--nonsense");
        await cluster.CreatePods(Gang(1), Cancelled);
        PodSeen? pod = null;
        await Until(() => (pod = Assert.Single(cluster.Observe(Cancelled).GetAwaiter().GetResult().Pods)).Phase == PodPhase.Exited);
        Assert.Contains("--nonsense", pod!.Said[0], StringComparison.Ordinal);
        var evidence = Assert.Single(await cluster.EvidenceOf(Gang(1).Id, Cancelled));
        Assert.Contains("--nonsense", evidence.LogTail, StringComparison.Ordinal);
        Assert.Equal(pod.ExitCode, evidence.ExitCode);

        string folder = Path.Combine(_folder, "written");
        Directory.CreateDirectory(folder);
        await File.WriteAllTextAsync(Path.Combine(folder, AgentOutput.FileName),
            "2026-11-27T23:16:16.170Z rank 0 ended: CUDA out of memory\nUnhandled exception. System.E: x\n   at A.B()\n", Cancelled);
        Assert.Equal(["Unhandled exception. System.E: x", "   at A.B()"], AgentOutput.AfterItsOwn(folder));
        Assert.Empty(AgentOutput.AfterItsOwn(Path.Combine(_folder, "none")));
    }

    [Fact]
    public void A_worker_program_that_is_missing_is_told_with_the_places_and_the_fix()
    {
        var error = Assert.Throws<FileNotFoundException>(() => WorkerProgram.Find("/nowhere/ControlPlane/release/", null));
        Assert.Contains("/nowhere/Worker/release/dsops-worker.dll", error.Message, StringComparison.Ordinal);
        Assert.Contains("dotnet build -c Release Worker", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_worker_program_that_is_named_and_not_there_is_told_and_no_other_taken()
    {
        var error = Assert.Throws<FileNotFoundException>(() => WorkerProgram.Find(AppContext.BaseDirectory, "/nowhere/worker"));
        Assert.Contains("DSOPS_WORKER is '/nowhere/worker', and no file is there.", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_worker_program_that_is_named_comes_first_and_runs_by_itself_where_it_is_no_assembly()
    {
        string named = Path.GetTempFileName();
        Assert.Equal(named, WorkerProgram.Find(AppContext.BaseDirectory, named));
        Assert.Equal([named], WorkerProgram.Command(named));
        Assert.Equal([WorkerProgram.DotnetHost(), "/opt/dsops-worker.dll"], WorkerProgram.Command("/opt/dsops-worker.dll"));
        File.Delete(named);
    }

    private static GangGrant Gang(int number) => new(Stage, number, [new NodeId("node-0")], 1, TimeProvider.System.GetUtcNow());

    private static int Pid(PodSeen pod) => pod.Pid ?? throw new InvalidOperationException("the pod has no process");

    private static async Task<ImmutableArray<ProcessIdentity>> AgentAndStandby(int pid)
    {
        var agent = ProcessTable.Identify(pid) ?? throw new InvalidOperationException("the agent is gone");
        await Until(() => ProcessTable.SessionOf(agent).Length == 2);
        return [agent, .. ProcessTable.SessionOf(agent).Where(p => p != agent)];
    }

    /// <summary>Polls the process table, which tells nobody of its changes.</summary>
    private static async Task Until(Func<bool> condition)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(Cancelled);
        limit.CancelAfter(TimeSpan.FromMinutes(5));
        using var poll = new PeriodicTimer(TimeSpan.FromMilliseconds(20));
        while (!condition())
        {
            await poll.WaitForNextTickAsync(limit.Token);
        }
    }

    private LocalProcessCluster Open(params string[] more)
    {
        var own = new DirectoryInfo(AppContext.BaseDirectory.TrimEnd('/'));
        string rank = Path.Combine(own.Parent?.Parent?.FullName ?? "/", "TestRank", own.Name, "TestRank.dll");
        var options = new LocalClusterOptions { DataDirectory = _folder, AgentArguments = ["--rank-program", rank, .. more] };
        var cluster = new LocalProcessCluster(Options.Create(options), TimeProvider.System);
        _clusters.Add(cluster);
        return cluster;
    }
}
