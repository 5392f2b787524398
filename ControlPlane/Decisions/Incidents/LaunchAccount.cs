using System.Collections.Immutable;
using DeepSeekOps.Decisions.Gangs;
using DeepSeekOps.Decisions.Health;

namespace DeepSeekOps.Decisions.Incidents;

/// <summary>Something of a launch that is over, in our time.</summary>
public sealed record SharePart(string What, DateTimeOffset Began, TimeSpan Took);

/// <summary>What an agent, or one rank, did for a launch.</summary>
/// <param name="Rank">Null: the node's agent.</param>
/// <param name="Span">Its W3C span id, which its agent has chosen. Empty: a rank's.</param>
public sealed record LaunchShare(
    string Node, int? Rank, string Span, DateTimeOffset Began, TimeSpan Took, ImmutableArray<SharePart> Parts);

/// <summary>One part of a launch over all ranks that told of it.</summary>
/// <param name="Rank">Which took longest.</param>
public sealed record RankSpread(string What, int Ranks, TimeSpan Median, TimeSpan Longest, int Rank);

/// <summary>
/// What nodes and ranks did for the launch that ended an incident. Bounded: of a large gang the rank that failed and the slowest of each
/// part are kept, with their agents; of all the others it says how many they were and how long they took.
/// </summary>
public sealed record LaunchAccount(int Attempt, ImmutableArray<LaunchShare> Shares, ImmutableArray<RankSpread> Spreads)
{
    /// <summary>The end of a launch, as a rank tells it.</summary>
    public const string FirstStep = "first step";

    /// <summary>
    /// Ours: the ranks of one node, all of which a person can look through; a launch has six parts, each with one slowest.
    /// </summary>
    public const int RanksKept = 8;

    /// <summary>Parts of one share: twice what an agent of today tells.</summary>
    public const int PartsKept = 16;

    /// <summary>Different names of parts over a gang: what forged ones could fill a record with.</summary>
    public const int SpreadsKept = 16;

    /// <summary>
    /// Ours: an agent tells of a first step at once, and of all else with a beat each second; five of them are more than a lost one.
    /// </summary>
    public static readonly TimeSpan WaitedFor = TimeSpan.FromSeconds(5);

    /// <summary>Somebody has told, and others that are to tell still have not.</summary>
    public static bool Waits(Incident incident, GangGrant gang, int attempt, IEnumerable<AgentVitals> agents)
    {
        var told = Of(incident, attempt, agents);
        return told.Count > 0 && !gang.Nodes.Select((node, at) => told.TryGetValue(node, out var heard)
            && gang.RanksAt(at).All(r => heard.Told.Parts.Any(p => p.Rank == r.Rank && p.What == FirstStep))).All(whole => whole);
    }

    /// <summary>Null: nobody told of a launch that is part of this incident's trace.</summary>
    public static LaunchAccount? Fold(Incident incident, GangGrant gang, int attempt, IEnumerable<AgentVitals> agents)
    {
        var told = Of(incident, attempt, agents);
        var ordered = incident.Diagnosis?.At ?? incident.OpenedAt;
        var shares = gang.Nodes.SelectMany((node, at) => told.TryGetValue(node, out var heard)
            ? SharesOf(node, heard, [.. gang.RanksAt(at).Select(r => r.Rank)], ordered) : []).ToList();
        var ranks = shares.Where(s => s.Rank is not null).ToList();
        var spreads = ranks.SelectMany(s => s.Parts.Select(p => (Rank: s.Rank ?? 0, Part: p))).GroupBy(p => p.Part.What)
            .Select(g => Spread(g.Key, [.. g.OrderBy(p => p.Part.Took).ThenByDescending(p => p.Rank)]))
            .OrderByDescending(s => s.Ranks).ThenByDescending(s => s.Longest).Take(SpreadsKept).ToList();
        var kept = new[] { incident.Diagnosis?.Rank ?? -1 }.Concat(spreads.OrderByDescending(s => s.Longest).Select(s => s.Rank))
            .Concat(ranks.OrderBy(s => s.Rank).Select(s => s.Rank ?? 0))
            .Where(r => ranks.Any(s => s.Rank == r)).Distinct().Take(RanksKept).ToHashSet();
        var nodes = ranks.Where(s => kept.Contains(s.Rank ?? -1)).Select(s => s.Node).ToHashSet();
        if (shares.Where(s => s.Rank is null).MaxBy(s => s.Took) is not { } slowest)
        {
            return null;
        }

        nodes.Add(slowest.Node);
        return new LaunchAccount(
            attempt, [.. shares.Where(s => s.Rank is { } rank ? kept.Contains(rank) : nodes.Contains(s.Node))],
            // In the order in which they come in a launch.
            [.. spreads.OrderBy(s => ranks.SelectMany(r => r.Parts).Where(p => p.What == s.What).Min(p => p.Began))]);
    }

    private static Dictionary<NodeId, LaunchHeard> Of(Incident incident, int attempt, IEnumerable<AgentVitals> agents) => agents
        .Where(a => a.Launch is { } heard && heard.Told.Attempt == attempt && incident.TraceId.Length > 0
            && heard.Told.Trace == incident.TraceId)
        .ToDictionary(a => a.Node, a => a.Launch!);

    private static IEnumerable<LaunchShare> SharesOf(
        NodeId node, LaunchHeard heard, ImmutableArray<int> ranks, DateTimeOffset ordered)
    {
        var (began, took) = heard.Placed(heard.Told.Ago, heard.Told.Took, ordered);
        yield return new LaunchShare(node.Name, null, heard.Told.Span, began, took, Parts(null));
        foreach (int rank in ranks)
        {
            if (Parts(rank) is { Length: > 0 } parts)
            {
                var from = parts.Min(p => p.Began);
                yield return new LaunchShare(node.Name, rank, "", from, parts.Max(p => p.Began + p.Took) - from, parts);
            }
        }

        ImmutableArray<SharePart> Parts(int? of) =>
        [
            .. heard.Told.Parts.Where(p => p.Rank == of && p.What.Length > 0).Take(PartsKept).Select(p =>
            {
                var (at, lasted) = heard.Placed(p.Ago, p.Took, ordered);
                return new SharePart(p.What, at, lasted);
            }).OrderBy(p => p.Began),
        ];
    }

    private static RankSpread Spread(string what, List<(int Rank, SharePart Part)> shortestFirst) => new(
        what, shortestFirst.Count, shortestFirst[shortestFirst.Count / 2].Part.Took, shortestFirst[^1].Part.Took, shortestFirst[^1].Rank);
}
