using System.Globalization;
using DeepSeekOps.Decisions.Drills;

namespace DeepSeekOps.ControlPlane.Clusters.LocalProcess;

/// <summary>Faults that a drill injects: signals to processes of its own pods, and damage to a checkpoint's files.</summary>
public sealed partial class LocalProcessCluster
{
    private const int SigStop = 19;
    private const int SigCont = 18;

    public DrillHands? Drills => _options.Drills ? new DrillHands(Strike) : null;

    private async Task<DrillStruck> Strike(DrillPlan plan, CancellationToken cancellation)
    {
        await _changing.WaitAsync(cancellation);
        try
        {
            Look();
            var pod = Pods.Values.FirstOrDefault(
                p => p.Id.Stage == plan.Stage && p.Node == plan.Node && p is { DeletedAt: null, EndedAt: null });
            return pod?.Agent is not { } agent || !ProcessTable.Alive(agent)
                ? DrillStruck.Refused($"The agent of {plan.Stage} on {plan.Node} has just ended by itself. Try again when it trains.")
                : plan.Fault switch
                {
                    DrillFault.KillRank => ToRank(plan, agent, ProcessTable.SigKill, "SIGKILL"),
                    DrillFault.Hang => ToRank(plan, agent, SigStop, "SIGSTOP"),
                    DrillFault.KillAgent => KillAgent(plan, agent),
                    DrillFault.KillNode => KillNode(plan, agent),
                    DrillFault.LoseContact => LoseContact(plan, agent),
                    DrillFault.CorruptCheckpoint => await CorruptNewest(plan, cancellation),
                    DrillFault.FillDisk => FillDisk(plan),
                    DrillFault.KillControlPlane or DrillFault.DatabaseDown =>
                        throw new System.Diagnostics.UnreachableException("the command that asks for it does it"),
                    DrillFault.NotANumber or DrillFault.Spike or DrillFault.Slow => new DrillStruck("") { InsideRank = true },
                    _ => throw new System.Diagnostics.UnreachableException($"fault {plan.Fault}"),
                };
        }
        finally
        {
            _changing.Release();
        }
    }

    private static DrillStruck ToRank(DrillPlan plan, ProcessIdentity agent, int signal, string name)
    {
        // Only what its agent started is struck, whatever a view says of pids.
        if (ProcessTable.SessionOf(agent).FirstOrDefault(p => p.Pid == plan.Pid && p != agent) is not { } rank)
        {
            return DrillStruck.Refused(
                $"Rank {plan.Rank} on {plan.Node} (pid {plan.Pid}) has just ended by itself. Try again when the stage trains.");
        }

        ProcessTable.Signal(rank, signal);
        return new DrillStruck($"{name} to rank {plan.Rank} on {plan.Node} (pid {rank.Pid})");
    }

    private static DrillStruck KillAgent(DrillPlan plan, ProcessIdentity agent)
    {
        ProcessTable.Signal(agent, ProcessTable.SigKill);
        return new DrillStruck($"SIGKILL to the agent on {plan.Node} (pid {agent.Pid})");
    }

    private static DrillStruck KillNode(DrillPlan plan, ProcessIdentity agent)
    {
        var all = ProcessTable.SessionOf(agent);
        foreach (var process in all)
        {
            ProcessTable.Signal(process, ProcessTable.SigKill);
        }

        return new DrillStruck($"SIGKILL to the agent on {plan.Node} (pid {agent.Pid}) and all that it started, {all.Length} processes");
    }

    private DrillStruck LoseContact(DrillPlan plan, ProcessIdentity agent)
    {
        ProcessTable.Signal(agent, SigStop);
        _ = Wake();
        return new DrillStruck(string.Create(CultureInfo.InvariantCulture,
            $"SIGSTOP to the agent on {plan.Node} (pid {agent.Pid}) for {DrillPlan.SilentFor.TotalSeconds:0} s"));

        async Task Wake()
        {
            await Task.Delay(DrillPlan.SilentFor, _clock);
            ProcessTable.Signal(agent, SigCont);
        }
    }

    private DrillStruck FillDisk(DrillPlan plan)
    {
        string folder = Path.Combine(_checkpointsFolder, plan.Stage.Run, plan.Stage.Stage);
        var struck = DiskBallast.Fill(folder, Path.GetFullPath(_options.DataDirectory), out var full);
        if (full is not null)
        {
            _ = Empty(full);
        }

        return struck;

        async Task Empty(DiskBallast ballast)
        {
            await Task.Delay(DrillPlan.FullFor, _clock);
            ballast.Remove();
        }
    }

    /// <summary>
    /// All agents of the gang end first: a rank that lives would make a newer checkpoint, or go on from what it has in memory, and nobody
    /// would ever look at the damaged one. Until this returns nothing is started.
    /// </summary>
    private async Task<DrillStruck> CorruptNewest(DrillPlan plan, CancellationToken cancellation)
    {
        var pods = Pods.Values.Where(p => p.Id.Stage == plan.Stage && p is { DeletedAt: null, EndedAt: null, Agent: not null }).ToList();
        foreach (var process in pods.SelectMany(p => ProcessTable.SessionOf(p.Agent!)))
        {
            ProcessTable.Signal(process, ProcessTable.SigKill);
        }

        await Gone([.. pods.Select(p => p.Agent!)], _options.FencePatience, cancellation);
        var (newest, file, what) = CheckpointDamage.Do(
            Path.Combine(_checkpointsFolder, plan.Stage.Run, plan.Stage.Stage), plan.Draw);
        string path = $"{plan.Stage}/{newest}";
        return new DrillStruck($"{what} {path}/{file}; SIGKILL to {pods.Count} agents and their ranks, so that it is gone on from")
        {
            Checkpoint = path,
            File = file,
        };
    }
}
