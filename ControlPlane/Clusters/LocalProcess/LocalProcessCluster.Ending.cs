using System.Collections.Immutable;

namespace DeepSeekOps.ControlPlane.Clusters.LocalProcess;

/// <summary>How processes of gangs, and of the whole cluster, are ended.</summary>
public sealed partial class LocalProcessCluster
{
    /// <summary>
    /// The clean end of `dsops dev`: agents may save, then everything ends. From now on nothing is started, and pods are shown as
    /// unknown, so that no planner takes the end of the whole for a failure of its parts. Call it while agents can still report.
    /// </summary>
    /// <returns>True when no process is left.</returns>
    public async Task<bool> Stop(string reason, CancellationToken cancellation)
    {
        ImmutableArray<ProcessIdentity> agents;
        await _changing.WaitAsync(cancellation);
        try
        {
            Look();
            _stopping = true;
            foreach (var (folder, pod) in Pods.Where(p => p.Value is { DeletedAt: null, EndedAt: null }).ToImmutableArray())
            {
                // Before the signal: should we die in between, the next start still knows that this was no failure.
                Note(folder, pod with { Stopped = true });
            }

            agents = Signal([.. Pods.Where(p => p.Value.DeletedAt is null)], ProcessTable.SigTerm, reason);
        }
        finally
        {
            _changing.Release();
        }

        // Others may look meanwhile. What an agent tells last is acknowledged by a tick, which looks at the cluster first: it would wait
        // for the agent's end, and the agent for its word, until the agent's patience is over (15 s).
        bool gone = await Gone(agents, _options.StopPatience, cancellation);
        await _changing.WaitAsync(cancellation);
        try
        {
            return await Killed(agents, gone, cancellation);
        }
        finally
        {
            _changing.Release();
        }
    }

    /// <summary>Signals, waits, and kills what is left: the agents and all processes of their sessions.</summary>
    private async Task<bool> End(
        ImmutableArray<KeyValuePair<string, LocalPod>> pods, int signal, TimeSpan patience, string reason, CancellationToken cancellation)
    {
        var agents = Signal(pods, signal, reason);
        return await Killed(agents, await Gone(agents, patience, cancellation), cancellation);
    }

    private ImmutableArray<ProcessIdentity> Signal(ImmutableArray<KeyValuePair<string, LocalPod>> pods, int signal, string reason)
    {
        foreach (var (folder, pod) in pods.Where(p => p.Value.EndedAt is null))
        {
            Note(folder, pod with { Reason = reason });
        }

        var agents = pods.Select(p => p.Value.Agent).OfType<ProcessIdentity>().ToImmutableArray();
        foreach (var agent in agents)
        {
            ProcessTable.Signal(agent, signal);
        }

        return agents;
    }

    /// <param name="gone">They ended in time, and nothing of them is left to kill.</param>
    private async Task<bool> Killed(ImmutableArray<ProcessIdentity> agents, bool gone, CancellationToken cancellation)
    {
        if (!gone)
        {
            foreach (var process in agents.SelectMany(a => ProcessTable.SessionOf(a)))
            {
                ProcessTable.Signal(process, ProcessTable.SigKill);
            }

            gone = await Gone(agents, _options.FencePatience, cancellation);
        }

        Look();
        return gone;
    }

    private async Task<bool> Gone(ImmutableArray<ProcessIdentity> agents, TimeSpan patience, CancellationToken cancellation)
    {
        long began = _clock.GetTimestamp();
        using var poll = new PeriodicTimer(FencePoll, _clock);
        var seen = ImmutableHashSet<ProcessIdentity>.Empty;
        while (true)
        {
            var left = agents.SelectMany(a => ProcessTable.SessionOf(a)).ToImmutableHashSet();
            seen = seen.Union(left);
            if (left.IsEmpty)
            {
                // Agents that we started are reaped by .NET; ranks that lost their agent may have become our children.
                foreach (var orphan in seen.Except(agents))
                {
                    ProcessTable.Reap(orphan);
                }

                return true;
            }

            if (_clock.GetElapsedTime(began) > patience)
            {
                return false;
            }

            await poll.WaitForNextTickAsync(cancellation);
        }
    }
}
