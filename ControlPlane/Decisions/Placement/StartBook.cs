using System.Collections.Immutable;
using DeepSeekOps.Decisions.Gangs;

namespace DeepSeekOps.Decisions.Placement;

/// <summary>What a gang that waits was told of its start when it first had an estimate.</summary>
/// <param name="At">When it was told.</param>
/// <param name="Likely">The estimate without a band.</param>
/// <param name="Earliest">Of the band as it was told, or would have been.</param>
/// <param name="Latest"><inheritdoc cref="Earliest"/></param>
/// <param name="Nodes">That it waits for.</param>
public sealed record StartTold(
    GangId Gang, int Nodes, DateTimeOffset At, DateTimeOffset Likely, DateTimeOffset Earliest, DateTimeOffset Latest);

/// <summary>How right a first estimate was.</summary>
/// <param name="Foreseen">The wait that was foreseen, in seconds.</param>
/// <param name="Ratio">The wait that it was, over the one that was foreseen.</param>
/// <param name="Nodes">That it waited for.</param>
public readonly record struct StartOutcome(double Foreseen, double Ratio, int Nodes)
{
    /// <summary>
    /// Ours: four times the nodes is as unlike as 2.7 times the wait. Large gangs wait for many ends, small ones fill gaps.
    /// </summary>
    public double Unlike(double foreseen, int nodes) =>
        Math.Abs(Math.Log(Foreseen / foreseen)) + (0.5 * Math.Abs(Math.Log2((double)Nodes / nodes)));
}

/// <summary>
/// Bands of start estimates by how right earlier ones were: of the starts whose foreseen wait and size were most like this one, nine of ten
/// lay within. Ends that are missed, gangs that are submitted later or go first, nodes that break: all of it is in what was measured, and
/// nothing of it has to be modelled (split conformal prediction: Vovk, Gammerman, Shafer, Algorithmic Learning in a Random World, 2005;
/// where the queue changes its habits the width follows what it held lately: Gibbs and Candès, arXiv 2106.00170, eq. 2).
/// </summary>
public sealed record StartBook
{
    /// <summary>Share of starts that should lie within their band.</summary>
    public const double Aim = 0.9;

    /// <summary>Of so many the fifth and the ninety-fifth percentile are known to about three percent.</summary>
    private const int Kept = 400;

    /// <summary>Of those that are kept, the ones most alike.</summary>
    private const int Alike = 100;

    /// <summary>Fewer say less than what the ends are said to be wrong by.</summary>
    private const int AtLeast = 20;

    /// <summary>By how much the share that may be missed moves with each start; the step that the paper takes.</summary>
    private const double Learning = 0.005;

    /// <summary>A ratio of a wait of seconds says nothing of one of hours.</summary>
    private static readonly TimeSpan ShortestForeseen = TimeSpan.FromMinutes(1);

    public ImmutableArray<StartTold> Told { get; init; } = [];

    /// <summary>Oldest first.</summary>
    public ImmutableArray<StartOutcome> Outcomes { get; init; } = [];

    /// <summary>The share that a band leaves out, as it was learnt.</summary>
    public double LeftOut { get; init; } = 1 - Aim;

    /// <summary>The estimate with the band that earlier ones had; the same one where too few are known.</summary>
    public StartEstimate Band(StartEstimate estimate, int nodes, DateTimeOffset now)
    {
        double foreseen = Foreseen(estimate.Likely, now);
        if (Outcomes.Length < AtLeast)
        {
            return estimate;
        }

        double[] ratios = [.. Outcomes.OrderBy(o => o.Unlike(foreseen, nodes)).Take(Alike).Select(o => o.Ratio).Order()];
        double low = Quantile(ratios, LeftOut / 2), high = Quantile(ratios, 1 - (LeftOut / 2));
        var (earliest, latest) = (now.AddSeconds(foreseen * low), now.AddSeconds(foreseen * high));
        return estimate with
        {
            Earliest = earliest,
            // What is most likely by the ends that are known stays what is told, within the band.
            Likely = estimate.Likely < earliest ? earliest : estimate.Likely > latest ? latest : estimate.Likely,
            Latest = latest,
            Basis = $"{estimate.Basis}; nine of ten lie within, by {Words.Count(ratios.Length, "earlier start", "earlier starts")} like it",
        };
    }

    /// <summary>Notes what those who wait are told first.</summary>
    public StartBook Tell(IEnumerable<(GangRequest Request, StartEstimate Estimate)> waiting, DateTimeOffset now)
    {
        var known = Told.Select(t => t.Gang).ToHashSet();
        var news = waiting.Where(w => known.Add(w.Request.Id))
            .Select(w => (w.Request, w.Estimate.Likely, Banded: Band(w.Estimate, w.Request.Nodes, now)))
            .Select(w => new StartTold(w.Request.Id, w.Request.Nodes, now, w.Likely, w.Banded.Earliest, w.Banded.Latest))
            .ToImmutableArray();
        return news.IsEmpty ? this : this with { Told = Told.AddRange(news) };
    }

    /// <summary>Those that hold nodes have started; those that neither hold nor wait are not waited for any more.</summary>
    public StartBook Seen(ImmutableArray<GangGrant> held, IReadOnlySet<GangId> waiting)
    {
        if (Told.All(t => waiting.Contains(t.Gang)))
        {
            return this;
        }

        var since = held.ToDictionary(h => h.Id, h => h.At);
        var next = Told.Where(t => since.ContainsKey(t.Gang)).Aggregate(this, (book, told) => book.Started(told, since[told.Gang]));
        return next with { Told = [.. Told.Where(t => waiting.Contains(t.Gang))] };
    }

    private StartBook Started(StartTold told, DateTimeOffset at)
    {
        double foreseen = Foreseen(told.Likely, told.At);
        bool within = at >= told.Earliest && at <= told.Latest;
        var outcomes = Outcomes.Add(new StartOutcome(foreseen, Math.Max(0, (at - told.At).TotalSeconds) / foreseen, told.Nodes));
        return this with
        {
            Outcomes = outcomes.Length > Kept ? outcomes.RemoveAt(0) : outcomes,
            LeftOut = Outcomes.Length < AtLeast ? LeftOut : Math.Clamp(LeftOut + (Learning * ((1 - Aim) - (within ? 0 : 1))), 0.01, 0.2),
        };
    }

    private static double Foreseen(DateTimeOffset likely, DateTimeOffset at) =>
        Math.Max(ShortestForeseen.TotalSeconds, (likely - at).TotalSeconds);

    /// <summary>Of ascending values, none of them made up: the one below which that share lies.</summary>
    private static double Quantile(double[] ascending, double share) =>
        ascending[Math.Clamp((int)Math.Ceiling(share * (ascending.Length + 1)) - 1, 0, ascending.Length - 1)];
}
