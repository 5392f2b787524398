using System.Collections.Immutable;
using System.Diagnostics;
using System.Globalization;
using DeepSeekOps.Decisions;
using DeepSeekOps.Decisions.Checkpoints;
using DeepSeekOps.Decisions.Gangs;
using DeepSeekOps.Decisions.Placement;
using Microsoft.Extensions.Options;

namespace DeepSeekOps.ControlPlane.Clusters.LocalProcess;

/// <summary>
/// Nodes are folders of the data directory, pods are `dsops-worker agent` processes in sessions of their own. All that it knows is in
/// the pods' folders and in /proc, so a control plane that was killed finds its agents again.
/// </summary>
public sealed partial class LocalProcessCluster : ITrainingCluster, IDisposable
{
    /// <summary>How long a node's reason still tells of an agent that died there.</summary>
    private static readonly TimeSpan RememberDeath = TimeSpan.FromMinutes(5);

    /// <summary>Between the end of a child and .NET having reaped it.</summary>
    private static readonly TimeSpan ReapTime = TimeSpan.FromSeconds(1);

    private static readonly TimeSpan FencePoll = TimeSpan.FromMilliseconds(20);

    private readonly LocalClusterOptions _options;
    private readonly TimeProvider _clock;
    private readonly string _nodesFolder;
    private readonly string _checkpointsFolder;
    private readonly SemaphoreSlim _changing = new(1, 1);
    private readonly Dictionary<string, Process> _children = new(StringComparer.Ordinal);
    private readonly HashSet<string> _unwritten = new(StringComparer.Ordinal);
    private readonly Dictionary<string, (string Reason, DateTimeOffset At, long Stamp)> _deaths = new(StringComparer.Ordinal);
    private readonly Dictionary<string, long> _askedToEnd = new(StringComparer.Ordinal);
    private Dictionary<string, LocalPod>? _pods;
    private bool _stopping;

    public LocalProcessCluster(IOptions<LocalClusterOptions> options, TimeProvider clock)
    {
        _options = options.Value;
        _clock = clock;
        _nodesFolder = Path.GetFullPath(Path.Combine(_options.DataDirectory, "nodes"));
        _checkpointsFolder = Path.GetFullPath(Path.Combine(_options.DataDirectory, "checkpoints"));
        DiskBallast.RemoveLeft(_checkpointsFolder);
    }

    public string Kind => "local";

    public bool Simulated => false;

    public Func<CancellationToken, Task<IGeneratingPod>> Generation => _ => Task.FromResult<IGeneratingPod>(GeneratingProcess.Start(
        WorkerProgram.Find(AppContext.BaseDirectory, Environment.GetEnvironmentVariable(WorkerProgram.Variable))));

    public NodeTesting Testing => new(async (node, cancellation) => await TestProcess.Run(
        WorkerProgram.Find(AppContext.BaseDirectory, Environment.GetEnvironmentVariable(WorkerProgram.Variable)),
        Path.Combine(_nodesFolder, node.Name), _options.SlotsPerNode, _clock, cancellation), Machines: false);

    public async Task<ClusterSnapshot> Observe(CancellationToken cancellation)
    {
        await _changing.WaitAsync(cancellation);
        try
        {
            var halted = Look();
            var shown = Pods.Where(p => p.Value.DeletedAt is null).Select(p => ToSeen(p.Value, halted)).ToImmutableArray();
            var ended = shown.Where(p => p.Phase == PodPhase.Exited).DistinctBy(p => p.Node).ToDictionary(p => p.Node.Name);
            var nodes = Enumerable.Range(0, _options.Nodes).Select(i => $"node-{i}")
                .Select(name => ToNode(name, ended.GetValueOrDefault(name))).ToImmutableArray();
            return new ClusterSnapshot(nodes, shown, _clock.GetUtcNow()) { Stopping = _stopping };
        }
        finally
        {
            _changing.Release();
        }
    }

    /// <summary>A folder on a network disk that hangs must not hold up a stage.</summary>
    private static readonly TimeSpan LookTime = TimeSpan.FromSeconds(5);

    public async Task<StageFolder?> LookAtCheckpoints(StageId stage, CancellationToken cancellation)
    {
        try
        {
            return await Task.Run(() => CheckpointShelf.Read(_checkpointsFolder, stage), cancellation)
                .WaitAsync(LookTime, _clock, cancellation);
        }
        catch (Exception e) when (e is TimeoutException or IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    public async Task CreatePods(GangGrant gang, CancellationToken cancellation)
    {
        await _changing.WaitAsync(cancellation);
        try
        {
            if (_stopping)
            {
                return;
            }

            Look();
            foreach (var node in gang.Nodes)
            {
                Create(gang.Id, node.Name);
            }
        }
        finally
        {
            _changing.Release();
        }
    }

    public async Task<bool> DeletePods(GangId gang, ImmutableArray<NodeId> nodes, string reason, CancellationToken cancellation)
    {
        await _changing.WaitAsync(cancellation);
        try
        {
            Look();
            var pods = Pods.Where(p => p.Value.Id == gang && p.Value.DeletedAt is null
                && (nodes.IsEmpty || nodes.Contains(new NodeId(p.Value.Node)))).ToImmutableArray();
            bool gone = await End(pods, ProcessTable.SigUsr1, _options.FencePatience, reason, cancellation);
            foreach (var (folder, _) in pods.Where(_ => gone))
            {
                Note(folder, Pods[folder] with { DeletedAt = _clock.GetUtcNow() });
            }

            Tidy();
            return gone;
        }
        finally
        {
            _changing.Release();
        }
    }

    /// <summary>A copied data directory remembers agents of the original, which are none of its own.</summary>
    public static void Forget(string dataDirectory, DateTimeOffset now)
    {
        foreach (var (folder, pod) in LocalPod.ReadAll(Path.Combine(dataDirectory, "nodes")).Where(p => p.Pod.DeletedAt is null))
        {
            (pod with { DeletedAt = now, Reason = "this directory was copied: the agent belongs to the original" }).Write(folder);
        }
    }

    public void Dispose()
    {
        foreach (var child in _children.Values)
        {
            child.Dispose();
        }

        _changing.Dispose();
    }

    /// <summary>Folders of pods that are over hold their logs, and are not kept for ever.</summary>
    private void Tidy()
    {
        foreach (string folder in PodFolders.Over(Pods, _options.PodFoldersFor, _clock.GetUtcNow()))
        {
            if (PodFolders.Remove(folder))
            {
                Pods.Remove(folder);
            }
        }
    }

    private Dictionary<string, LocalPod> Pods =>
        _pods ??= LocalPod.ReadAll(_nodesFolder).ToDictionary(p => p.Folder, p => p.Pod, StringComparer.Ordinal);

    private void Create(GangId gang, string node)
    {
        var pod = new LocalPod
        {
            Run = gang.Stage.Run, Stage = gang.Stage.Stage, Gang = gang.Number, Node = node, CreatedAt = _clock.GetUtcNow(),
        };
        string folder = Path.Combine(_nodesFolder, node, "pods", pod.FolderName);
        if (Pods.TryGetValue(folder, out var existing) && existing.DeletedAt is null)
        {
            return;
        }

        string program = WorkerProgram.Find(AppContext.BaseDirectory, Environment.GetEnvironmentVariable(WorkerProgram.Variable));
        // Written before the start: if we die in between, the folder is known and its agent found by its command line.
        Save(folder, pod);
        var start = new ProcessStartInfo("/bin/sh")
        {
            WorkingDirectory = Directory.GetCurrentDirectory(),
            RedirectStandardInput = true,
        };
        // The shell becomes the agent and keeps its number. .NET copies its first three handles as it starts: redirected only
        // later, the agent would hold our output open after our death, and whoever reads that to its end would wait for ever.
        string[] arguments =
        [
            "-c", "umask 077; log=$1; shift; exec \"$@\" >>\"$log\" 2>&1", "dsops-agent", Path.Combine(folder, AgentOutput.FileName),
            .. WorkerProgram.Command(program), "agent", "--node", node, "--run", gang.Stage.Run, "--stage", gang.Stage.Stage,
            "--gang", gang.Number.ToString(CultureInfo.InvariantCulture), "--pod-dir", folder,
            "--control-file", Path.GetFullPath(Path.Combine(_options.DataDirectory, "control-plane.json")),
            .. _options.AgentArguments,
        ];
        foreach (string argument in arguments)
        {
            start.ArgumentList.Add(argument);
        }

        // Not an argument: everybody may read a command line, its environment only its own user.
        start.Environment[WorkerProgram.TokenVariable] = _options.TokenOf(gang, new NodeId(node));
        var process = Process.Start(start) ?? throw new InvalidOperationException($"{program} did not start");
        process.StandardInput.Close();
        _children[folder] = process;
        Note(folder, pod with { Agent = ProcessTable.Identify(process.Id) });
    }

    /// <summary>Brings what we know up to what is: agents that ended, and those whose start we did not live to write down.</summary>
    /// <returns>Agents that live and are stopped.</returns>
    private HashSet<ProcessIdentity> Look()
    {
        var halted = new HashSet<ProcessIdentity>();
        foreach (string folder in _unwritten.Where(Pods.ContainsKey).ToImmutableArray())
        {
            Note(folder, Pods[folder]);
        }

        var now = _clock.GetUtcNow();
        foreach (var (folder, pod) in Pods.Where(p => p.Value.DeletedAt is null && p.Value.EndedAt is null).ToImmutableArray())
        {
            var agent = pod.Agent ?? ProcessTable.WithArgument(folder).FirstOrDefault();
            if (agent is not null && ProcessTable.Look(agent) is var life and not Life.Gone)
            {
                if (life == Life.Halted)
                {
                    halted.Add(agent);
                }

                if (pod.Agent is null)
                {
                    Note(folder, pod with { Agent = agent });
                }

                continue;
            }

            int? exitCode = _children.TryGetValue(folder, out var child) && child.WaitForExit(ReapTime) ? child.ExitCode : null;
            string how = exitCode switch
            {
                null => "ended while nobody watched",
                > 128 => $"was ended by signal {exitCode - 128}",
                _ => $"ended with exit code {exitCode}",
            };
            string reason = pod.Reason.Length > 0 ? pod.Reason : $"agent of {pod.Id} {how}; see {folder}/agent.log";
            var said = exitCode is 0 ? [] : AgentOutput.AfterItsOwn(folder);
            Note(folder, pod with { Agent = agent, ExitCode = exitCode, Reason = reason, EndedAt = now, Said = said });
            if (!_stopping && exitCode is not 0)
            {
                _deaths[pod.Node] = (reason, now, _clock.GetTimestamp());
            }
        }

        return halted;
    }

    /// <summary>Nothing is begun that is not written down.</summary>
    private void Save(string folder, LocalPod pod)
    {
        pod.Write(folder);
        Pods[folder] = pod;
    }

    /// <summary>
    /// What has happened, or happens now whether it can be written or not: a full disk keeps no process from being ended. It is written as
    /// soon as it can be.
    /// </summary>
    private void Note(string folder, LocalPod pod)
    {
        Pods[folder] = pod;
        try
        {
            pod.Write(folder);
            _unwritten.Remove(folder);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            _unwritten.Add(folder);
        }
    }

    private PodSeen ToSeen(LocalPod pod, HashSet<ProcessIdentity> halted) => new(
        pod.Id, new NodeId(pod.Node),
        (_stopping, pod) switch
        {
            (true, _) => PodPhase.Unknown,
            (_, { EndedAt: not null, Stopped: true }) => PodPhase.Stopped,
            (_, { EndedAt: not null }) => PodPhase.Exited,
            (_, { Agent: null }) => PodPhase.Pending,
            _ => PodPhase.Running,
        },
        pod.Agent?.Pid, pod.ExitCode, pod.Reason)
    {
        Said = pod.Said.IsDefault ? [] : pod.Said,
        Halted = pod is { EndedAt: null, Agent: { } agent } && halted.Contains(agent),
    };

    /// <param name="ended">The first pod on it that is over.</param>
    private NodeSeen ToNode(string name, PodSeen? ended)
    {
        var (health, reason, until) = (_stopping, ended) switch
        {
            (true, _) => (NodeHealth.NotReady, "the local cluster is stopping", default(GangId?)),
            // Until its gang is deleted, which makes certain that nothing of it runs.
            (_, { ExitCode: not 0 } dead) => (NodeHealth.NotReady, dead.Reason, dead.Gang),
            _ when _deaths.TryGetValue(name, out var death) && _clock.GetElapsedTime(death.Stamp) < RememberDeath =>
                (NodeHealth.Ready, $"ready again; at {death.At:HH:mm:ss} UTC {death.Reason}", null),
            _ => (NodeHealth.Ready, "ready", null),
        };
        return new NodeSeen(new NodeId(name), health, reason, _options.SlotsPerNode, ImmutableDictionary<string, string>.Empty)
        {
            OutUntilGone = until,
        };
    }
}
