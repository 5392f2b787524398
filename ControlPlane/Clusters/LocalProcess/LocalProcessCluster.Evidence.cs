using System.Collections.Immutable;
using DeepSeekOps.Decisions;
using DeepSeekOps.Decisions.Gangs;
using DeepSeekOps.Decisions.Pods;

namespace DeepSeekOps.ControlPlane.Clusters.LocalProcess;

public sealed partial class LocalProcessCluster
{
    /// <summary>An agent that died before it was heard can tell nothing itself: its file does.</summary>
    public async Task<ImmutableArray<PodEvidence>> EvidenceOf(GangId gang, CancellationToken cancellation)
    {
        await _changing.WaitAsync(cancellation);
        try
        {
            Look();
            return
            [
                .. Pods.Where(p => p.Value.Id == gang && p.Value is { EndedAt: not null, Stopped: false }).Select(p => new PodEvidence(
                    gang, new NodeId(p.Value.Node), p.Value.FolderName, p.Value.ExitCode, p.Value.Reason,
                    AgentOutput.Tail(Path.Combine(p.Key, AgentOutput.FileName)), [], p.Value.EndedAt ?? _clock.GetUtcNow())),
            ];
        }
        finally
        {
            _changing.Release();
        }
    }
}
