using System.Diagnostics;
using DeepSeekOps.Decisions.Drills;
using DeepSeekOps.Decisions.Planning;

namespace DeepSeekOps.ControlPlane.Clusters.Simulated;

/// <summary>Faults that a drill injects: those that a simulation has a machine for.</summary>
public sealed partial class SimulatedCluster
{
    public DrillHands? Drills => options.Drills ? new DrillHands((plan, _) => Task.FromResult(Strike(plan))) : null;

    private DrillStruck Strike(DrillPlan plan)
    {
        lock (holding)
        {
            var pod = gangs.Values.SelectMany(g => g.Pods)
                .FirstOrDefault(p => p.Gang.Stage == plan.Stage && p.Node.Name == plan.Node && p.ExitCode is null);
            if (pod is null)
            {
                return DrillStruck.Refused($"{plan.Stage} has no pod on {plan.Node} any more. Try again when the stage trains.");
            }

            switch (plan.Fault)
            {
                case DrillFault.KillAgent:
                    pod.Exit(128 + 9, "killed");
                    return new DrillStruck($"the simulated pod on {plan.Node} ends by signal 9");
                case DrillFault.KillNode:
                    Break(pod.Node, "no power", Now + Calibration.Repair.TotalSeconds);
                    return new DrillStruck($"the simulated node {plan.Node} breaks");
                case DrillFault.NotANumber:
                    gangs[pod.Gang].SpoilNextBatch();
                    return new DrillStruck("the next simulated step is NaN");
                case DrillFault.KillRank or DrillFault.Hang or DrillFault.Spike or DrillFault.CorruptCheckpoint or DrillFault.LoseContact
                    or DrillFault.Slow or DrillFault.KillControlPlane or DrillFault.DatabaseDown
                    or DrillFault.FillDisk:
                    return DrillStruck.Refused(
                        $"A simulated cluster has no process and no file for '{plan.Fault.NameOf()}'. It can be drilled with kill-agent, "
                        + "kill-node and nan; `dsops dev --drills` on local processes knows all.");
                default:
                    throw new UnreachableException($"fault {plan.Fault}");
            }
        }
    }
}
