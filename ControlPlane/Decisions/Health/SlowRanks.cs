using System.Collections.Immutable;

namespace DeepSeekOps.Decisions.Health;

/// <summary>What steps of a rank took between two beats, for each of them, in seconds.</summary>
/// <param name="At">When it was heard, by the clock that runs on.</param>
/// <param name="Own">Of its own work.</param>
/// <param name="Waited">Inside its gang's calls, most of which is waiting for others.</param>
/// <param name="Queued">For a core of its machine: in neither of the two.</param>
public readonly record struct RankPace(TimeSpan At, long Steps, double Own, double Waited, double Queued);

/// <summary>A rank's newest paces, oldest first.</summary>
/// <param name="Place">Ranks of one place hold the same layers and so do the same work: those are compared.</param>
/// <param name="Doing">Phase of its stage, in its own word.</param>
public sealed record PacedRank(int Rank, NodeId Node, int Place, string Doing, ImmutableArray<RankPace> Paces);

/// <summary>What one rank's steps take: medians of what is looked at.</summary>
public sealed record RankSeconds(int Rank, NodeId Node, double Own, double Waited, double Queued);

/// <summary>A rank that holds its gang up.</summary>
/// <param name="PeersOwn">The median of the others of its place.</param>
/// <param name="Steps">That were looked at.</param>
/// <param name="Seen">It, and others of its place: what is held against it.</param>
public sealed record SlowRank(RankSeconds Rank, string Doing, double PeersOwn, long Steps, ImmutableArray<RankSeconds> Seen)
{
    /// <summary>As incidents name it.</summary>
    public const string Cause = "rank slow";

    public double Times => Rank.Own / PeersOwn;

    /// <summary>
    /// By so many seconds each step of the gang is longer for it, at most: a rank whose part of a pipeline is the lighter one hides some of
    /// it behind the others.
    /// </summary>
    public double HeldUp => Rank.Own - PeersOwn;
}

/// <summary>Somebody looked, and enough was known.</summary>
/// <param name="Slowest">Null: no rank stands out.</param>
public sealed record SlowLook(SlowRank? Slowest)
{
    /// <summary>Seconds that the gang was held up by since the rank was named that is, or was last.</summary>
    public double HeldUp { get; init; }
}

/// <summary>
/// Which rank holds its gang up. A synchronous gang has one step time, so that says nothing of whom: what is compared is what each rank
/// takes for its own work, against others that do the same work in the same seconds. What slows a whole machine or job slows its
/// neighbours too, and names nobody; nor does a wait for a core, which a busy machine deals out as it likes.
/// </summary>
public static class SlowRanks
{
    /// <summary>
    /// So many times its peers' median is slow. NVRx takes 0.75 of the best, which is 1.33. Ranks of a healthy gang of 2 x 2 on two cores
    /// that thirty others wanted too differed by up to 1.12 (docs/decisions/0044): this is twice their noise, and half of what a rank
    /// slower by half shows.
    /// </summary>
    public const double Slower = 1.25;

    /// <summary>Until it is this near to its peers again it stays named: half of the way.</summary>
    private const double NoLonger = 1.12;

    /// <summary>
    /// Of the gang's longest own work; less is no loss that a job's own pace could be told by: at 2 % of a step six MLPerf runs of 256 to
    /// 5,120 GPUs gave no false alarm over ten steps, at 1 % fifteen.
    /// </summary>
    private const double WorkShare = 0.025;

    /// <summary>Ours: half of what a slow rank has to be named within.</summary>
    public static readonly TimeSpan Window = TimeSpan.FromSeconds(30);

    /// <summary>Of slow steps the window holds few: then it is longer. Three in each half, so that one odd step moves no median.</summary>
    public const int PacesLeast = 6;

    private const int PeersShown = 7;

    /// <param name="uneven">By so many times one rank of a place may have more to do than another by the plan: rows that cannot be dealt
    /// evenly.</param>
    /// <param name="named">The rank that was named last. Null: none.</param>
    /// <returns>Null: there are no two ranks of one place of which enough is known.</returns>
    public static SlowLook? Find(IReadOnlyList<PacedRank> ranks, double uneven, int? named)
    {
        var known = ranks.Where(r => r.Paces.Length >= PacesLeast).Select(Medians.Of).ToList();
        double longest = known.Select(k => k.Whole).DefaultIfEmpty(0).Max();
        SlowRank? slowest = null;
        bool compared = false;
        foreach (var place in known.GroupBy(k => k.Rank.Place).Where(g => g.Count() > 1).Select(g => g.ToList()))
        {
            compared = true;
            foreach (var one in place)
            {
                bool before = one.Rank.Rank == named;
                double margin = (before ? NoLonger : Slower) * uneven;
                var peers = place.Where(p => p.Rank.Rank != one.Rank.Rank).ToList();
                double own = Medians.Middle(peers.Select(p => p.Whole));
                // In both halves by itself: what lasted for less than half of the window is no pace.
                if (own > 0 && one.Whole > margin * own && one.Whole - own > WorkShare * longest
                    && one.Newer > margin * Medians.Middle(peers.Select(p => p.Newer))
                    && (before || one.Older > margin * Medians.Middle(peers.Select(p => p.Older)))
                    && one.Whole - own > (slowest?.HeldUp ?? 0))
                {
                    slowest = new SlowRank(one.Seconds, one.Rank.Doing, own, one.Rank.Paces.Sum(p => p.Steps),
                        [one.Seconds, .. peers.OrderByDescending(p => p.Whole).Take(PeersShown).Select(p => p.Seconds)]);
                }
            }
        }

        return compared ? new SlowLook(slowest) : null;
    }

    /// <summary>Of a rank's own work: over all that is looked at, and over each half of it.</summary>
    private sealed record Medians(PacedRank Rank, double Whole, double Older, double Newer)
    {
        public RankSeconds Seconds => new(Rank.Rank, Rank.Node, Whole, Middle(Rank.Paces.Select(p => p.Waited)),
            Middle(Rank.Paces.Select(p => p.Queued)));

        public static Medians Of(PacedRank rank)
        {
            int half = rank.Paces.Length / 2;
            return new Medians(rank, Middle(rank.Paces.Select(p => p.Own)), Middle(rank.Paces[..half].Select(p => p.Own)),
                Middle(rank.Paces[half..].Select(p => p.Own)));
        }

        public static double Middle(IEnumerable<double> of)
        {
            double[] sorted = [.. of.Order()];
            int half = sorted.Length / 2;
            return sorted.Length % 2 == 1 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
        }
    }
}
