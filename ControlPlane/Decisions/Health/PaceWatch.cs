using System.Collections.Immutable;

namespace DeepSeekOps.Decisions.Health;

/// <summary>
/// What the ranks of one stage took for their steps, as their agents tell it, and whom <see cref="SlowRanks"/> names by it. Memory only:
/// a new control plane learns it within a window.
/// </summary>
public sealed class PaceWatch
{
    /// <summary>Thousands of ranks are compared, and a window is not another one after a second.</summary>
    private static readonly TimeSpan LookEvery = TimeSpan.FromSeconds(5);

    /// <summary>As in <see cref="FaultDetector"/>: what is older says nothing of now.</summary>
    private static readonly TimeSpan Fresh = TimeSpan.FromSeconds(10);

    private readonly Dictionary<int, Heard> ranks = [];
    private int attempt;
    private SlowLook? known;
    private TimeSpan? lookedAt;
    private TimeSpan? pricedUntil;
    private double owed;

    public void Take(AgentBeat beat, WatchedStage stage, Instant now)
    {
        if (stage.Attempt != attempt)
        {
            Begin(stage.Attempt);
        }

        foreach (var rank in beat.Ranks)
        {
            if (rank.Attempt == attempt && rank.OwnSeconds > 0 && rank.State is RankState.Training or RankState.Saving)
            {
                Take(rank, beat.Node, now.Up);
            }
        }
    }

    /// <summary>What is known now; null: too little, or training stands still.</summary>
    public SlowLook? Look(WatchedStage stage, Instant now)
    {
        if (stage.Attempt != attempt)
        {
            Begin(stage.Attempt);
        }

        if (lookedAt is { } last && now.Up - last < LookEvery)
        {
            return known;
        }

        lookedAt = now.Up;
        var (places, uneven) = stage.Peers;
        var fresh = ranks.Where(r => now.Up - r.Value.HeardAt <= Fresh)
            .Select(r => new PacedRank(r.Key, r.Value.Node, r.Key / places, r.Value.Doing, r.Value.Within(now.Up))).ToList();
        var look = SlowRanks.Find(fresh, uneven, known?.Slowest?.Rank.Rank);
        known = look is null ? null : look with { HeldUp = Price(look, now.Up) };
        return known;
    }

    /// <summary>Seconds by which the gang was held up and that nobody has taken yet.</summary>
    public double TakeHeldUp()
    {
        double taken = owed;
        owed = 0;
        return taken;
    }

    /// <summary>From the window that it is named by until it is no longer; never the same step twice.</summary>
    private double Price(SlowLook look, TimeSpan now)
    {
        if (look.Slowest is not { } slow)
        {
            // The window in which it came back was slow at its beginning, and is left out: too little is told, not too much.
            pricedUntil = null;
            return known?.HeldUp ?? 0;
        }

        var from = pricedUntil ?? TimeSpan.MinValue;
        double seconds = ranks[slow.Rank.Rank].Within(now).Where(p => p.At > from).Sum(p => p.Steps) * slow.HeldUp;
        pricedUntil = now;
        owed += seconds;
        return (known is { Slowest: not null } before ? before.HeldUp : 0) + seconds;
    }

    private void Take(RankStatus rank, NodeId node, TimeSpan now)
    {
        var heard = ranks.GetValueOrDefault(rank.Rank);
        // Whoever was launched again counts from the beginning.
        if (heard is null || heard.LocalTry != rank.LocalTry || rank.Step < heard.Step || rank.OwnSeconds < heard.Own)
        {
            ranks[rank.Rank] = new Heard(node, rank, now);
            return;
        }

        heard.Take(rank, now);
    }

    private void Begin(int next)
    {
        attempt = next;
        ranks.Clear();
        (known, lookedAt, pricedUntil) = (null, null, null);
    }

    private sealed class Heard(NodeId node, RankStatus first, TimeSpan now)
    {
        private readonly Queue<RankPace> paces = new();
        private double waited = first.WaitedSeconds;
        private double queued = first.QueuedSeconds;

        public NodeId Node => node;

        public string Doing { get; private set; } = first.Doing;

        public int LocalTry => first.LocalTry;

        public long Step { get; private set; } = first.Step;

        public double Own { get; private set; } = first.OwnSeconds;

        public TimeSpan HeardAt { get; private set; } = now;

        public void Take(RankStatus rank, TimeSpan now)
        {
            HeardAt = now;
            long steps = rank.Step - Step;
            if (steps <= 0)
            {
                return;
            }

            paces.Enqueue(new RankPace(now, steps, (rank.OwnSeconds - Own) / steps, (rank.WaitedSeconds - waited) / steps,
                (rank.QueuedSeconds - queued) / steps));
            (Step, Own, waited, queued, Doing) = (rank.Step, rank.OwnSeconds, rank.WaitedSeconds, rank.QueuedSeconds, rank.Doing);
            while (paces.Count > SlowRanks.PacesLeast && now - paces.Peek().At > SlowRanks.Window)
            {
                paces.Dequeue();
            }
        }

        /// <summary>The window's, and where it holds too few the newest of before.</summary>
        public ImmutableArray<RankPace> Within(TimeSpan until)
        {
            ImmutableArray<RankPace> all = [.. paces];
            int inside = all.Count(p => until - p.At <= SlowRanks.Window);
            return all[^Math.Min(all.Length, Math.Max(inside, SlowRanks.PacesLeast))..];
        }
    }
}
