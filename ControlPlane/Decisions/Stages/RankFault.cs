using DeepSeekOps.Decisions.Health;

namespace DeepSeekOps.Decisions.Stages;

/// <summary>What a rank is asked to do wrong.</summary>
public enum RankFaultKind
{
    /// <summary>The learning rate of the next steps is multiplied.</summary>
    Rate = 0,
    /// <summary>A gradient of the next step is NaN.</summary>
    NotFinite = 1,
    /// <summary>It sleeps beside its own work for a while.</summary>
    Slow = 2,
}

/// <summary>A fault that a drill injects inside a rank. Where a cluster does not allow it the rank does nothing.</summary>
/// <param name="Id">It is told with several replies, and is one fault.</param>
/// <param name="Attempt">Of the ranks that it is for; later ones are left alone.</param>
public sealed record RankFault(string Id, int Attempt, int Rank, RankFaultKind Kind, double Factor, int Steps)
{
    /// <summary>Of a fault that passes with time.</summary>
    public TimeSpan Lasting { get; init; }

    /// <summary>Beats come each second, and one may be lost.</summary>
    public static readonly TimeSpan ToldFor = TimeSpan.FromSeconds(5);
}

/// <summary>Faults that a stage's agents are to hear of now.</summary>
internal sealed class RankFaults
{
    private readonly List<(RankFault Fault, Instant Asked)> asked = [];

    public void Add(RankFault fault, Instant now) => asked.Add((fault, now));

    public IEnumerable<RankFault> For(AgentBeat beat, Instant now)
    {
        asked.RemoveAll(f => now.Since(f.Asked) > RankFault.ToldFor);
        return asked.Select(f => f.Fault).Where(f => beat.Ranks.Any(r => r.Rank == f.Rank && r.Attempt == f.Attempt));
    }
}
