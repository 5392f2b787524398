using System.Collections.Immutable;

namespace DeepSeekOps.Decisions.Health;

/// <summary>Something of a launch that is over.</summary>
/// <param name="Rank">Null: the node's agent did it.</param>
/// <param name="Ago">Since it began, by the agent's clock, when it was told.</param>
public sealed record LaunchPart(int? Rank, string What, TimeSpan Ago, TimeSpan Took);

/// <summary>What a node did for a launch, as its agent tells with its beats: its part of the recovery's trace.</summary>
/// <param name="Trace">W3C trace id of the order, as the agent gives it back.</param>
/// <param name="Span">The agent's own W3C span id in it.</param>
public sealed record LaunchTold(int Attempt, string Trace, string Span, TimeSpan Ago, TimeSpan Took, ImmutableArray<LaunchPart> Parts);

/// <summary>The same with the moment at which it was heard, by which it has its place in our time: clocks of nodes are not ours.</summary>
public sealed record LaunchHeard(LaunchTold Told, Instant At)
{
    /// <summary>What all of a machine's time may be set to, no part of a launch began before it was ordered.</summary>
    public (DateTimeOffset Began, TimeSpan Took) Placed(TimeSpan ago, TimeSpan took, DateTimeOffset ordered)
    {
        var began = ago < At.At - ordered ? At.At - ago : ordered;
        var left = At.At - began;
        left = left > TimeSpan.Zero ? left : TimeSpan.Zero;
        return (began, took < left ? took : left);
    }
}
