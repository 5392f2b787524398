using System.Collections.Immutable;
using System.Diagnostics;
using DeepSeekOps.Contracts.Worker.V1;
using Google.Protobuf.WellKnownTypes;

namespace DeepSeekOps.Worker.Agent;

/// <summary>
/// What a node does for one launch, as its part of the recovery's trace: nothing is exported from here, it is told with the beats.
/// </summary>
/// <param name="Own">W3C traceparent of the agent's own span; its ranks' parts are below it.</param>
public sealed record LaunchTrace(int Attempt, string Own, DateTimeOffset HeardAt)
{
    /// <summary>Ours: a control plane that begins anew meanwhile still hears of it.</summary>
    public static readonly TimeSpan ToldFor = TimeSpan.FromMinutes(1);

    /// <summary>What is shorter was not waited for: an agent looks at its ranks as often as it hears of them.</summary>
    private static readonly TimeSpan Shortest = TimeSpan.FromMilliseconds(1);

    /// <summary>When nothing of an older launch was left. Null: something is.</summary>
    public DateTimeOffset? CleanAt { get; init; }

    /// <summary>Null: the launch is part of no trace, or what it came with is no W3C traceparent.</summary>
    public static LaunchTrace? Begin(int attempt, string traceparent, DateTimeOffset now) =>
        ActivityContext.TryParse(traceparent, null, out var order)
            ? new LaunchTrace(attempt, $"00-{order.TraceId}-{ActivitySpanId.CreateRandom()}-{(int)order.TraceFlags:x2}", now) : null;

    public LaunchTrace Look(ImmutableArray<RankSeen> ranks, DateTimeOffset now) =>
        CleanAt is not null || ranks.Any(r => r.Alive && !r.Standby && r.Attempt < Attempt) ? this : this with { CleanAt = now };

    /// <summary>Null: it has been told for long enough.</summary>
    public LaunchTold? ToTell(ImmutableArray<RankSeen> ranks, DateTimeOffset now)
    {
        var own = ranks.Where(r => !r.Standby && r.Attempt == Attempt && r.LocalTry == 0).ToList();
        var ended = own.Count > 0 && own.All(r => r.FirstStepAt is not null) ? own.Max(r => r.FirstStepAt) ?? now : now;
        if (now - ended > ToldFor)
        {
            return null;
        }

        var told = new LaunchTold
        {
            Attempt = Attempt, Traceparent = Own,
            Ago = Duration.FromTimeSpan(Between(HeardAt, now)), Took = Duration.FromTimeSpan(Between(HeardAt, ended)),
        };
        Add(null, "end what is left", HeardAt, CleanAt);
        foreach (var rank in own)
        {
            var launched = rank.LaunchedAt ?? HeardAt;
            Add(rank.Rank, "spawn", launched, rank.HelloAt);
            Add(rank.Rank, "load", Later(launched, rank.HelloAt), rank.ReadyAt);
            Add(rank.Rank, "wait for the gang", Later(launched, rank.ReadyAt), rank.ToldAt);
            foreach (var (what, since, took) in rank.Parts)
            {
                var began = (rank.BeganLaunchAt ?? launched) + since;
                Add(rank.Rank, what, began, began + took);
            }
        }

        return told;

        void Add(int? rank, string what, DateTimeOffset from, DateTimeOffset? to)
        {
            if (to is { } end && end - from >= Shortest)
            {
                var part = new LaunchPart
                {
                    What = what, Ago = Duration.FromTimeSpan(Between(from, now)), Took = Duration.FromTimeSpan(end - from),
                };
                if (rank is { } number)
                {
                    part.Rank = number;
                }

                told.Parts.Add(part);
            }
        }
    }

    private static DateTimeOffset Later(DateTimeOffset one, DateTimeOffset? other) => other > one ? other.Value : one;

    private static TimeSpan Between(DateTimeOffset from, DateTimeOffset to) => to > from ? to - from : TimeSpan.Zero;
}
