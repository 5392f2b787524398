using System.Collections.Immutable;
using DeepSeekOps.Decisions.Gangs;
using DeepSeekOps.Decisions.Placement;

namespace DeepSeekOps.ControlPlane.Clusters.LocalProcess;

/// <summary>Pods that a crash has left and nobody wants.</summary>
public sealed partial class LocalProcessCluster
{
    public async Task<ImmutableArray<PodSeen>> FenceAllBut(
        Func<CancellationToken, Task<ImmutableHashSet<GangId>>> wanted, CancellationToken cancellation)
    {
        await _changing.WaitAsync(cancellation);
        try
        {
            Look();
            var ended = ImmutableArray.CreateBuilder<PodSeen>();
            var there = Pods.Where(p => p.Value.DeletedAt is null).ToImmutableArray();
            var kept = await wanted(cancellation);
            foreach (var left in there.Where(p => !kept.Contains(p.Value.Id)))
            {
                if (await AskToEnd(left, cancellation))
                {
                    ended.Add(ToSeen(Pods[left.Key], []));
                    Note(left.Key, Pods[left.Key] with { DeletedAt = _clock.GetUtcNow() });
                }
            }

            return ended.ToImmutable();
        }
        finally
        {
            _changing.Release();
        }
    }

    /// <summary>A leftover may save first, as at the end of the whole; others need not wait. True: nothing of it runs any more.</summary>
    private async Task<bool> AskToEnd(KeyValuePair<string, LocalPod> left, CancellationToken cancellation)
    {
        if (!_askedToEnd.TryGetValue(left.Key, out long asked))
        {
            _askedToEnd[left.Key] = asked = _clock.GetTimestamp();
            Note(left.Key, left.Value with { Reason = "left over from an earlier start; nothing needs it" });
            if (left.Value.Agent is { } agent)
            {
                ProcessTable.Signal(agent, ProcessTable.SigTerm);
            }
        }

        return await Gone([.. new[] { left.Value.Agent }.OfType<ProcessIdentity>()], _options.FencePatience, cancellation)
            || (_clock.GetElapsedTime(asked) > _options.StopPatience
                && await End([left], ProcessTable.SigUsr1, _options.FencePatience, left.Value.Reason, cancellation));
    }
}
