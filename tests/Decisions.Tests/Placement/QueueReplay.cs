using System.Collections.Immutable;
using DeepSeekOps.Decisions.Gangs;
using DeepSeekOps.Decisions.Placement;

namespace DeepSeekOps.Decisions.Tests.Placement;

/// <summary>One gang that had to wait: what it was told first, and when it started.</summary>
internal sealed record WaitedFor(int Nodes, DateTimeOffset At, StartEstimate Told, DateTimeOffset Started)
{
    public bool Within => Started >= Told.Earliest && Started <= Told.Latest;

    public double Width => (Told.Latest - Told.Earliest).TotalSeconds;

    public double Wait => (Started - At).TotalSeconds;
}

/// <summary>
/// A seeded stream of gangs through the real queue of a cluster that is asked for a little more than it has: sizes of powers of two up to
/// the whole cluster, most of them small; work of two hours in the middle, some of a day; two teams, one of ten gangs urgent. What they say
/// they take is off by a tenth (lognormal), and by two percent of what is left once a tenth is trained; one of eight fails and takes up to
/// a twentieth longer, one of twenty is cancelled on its way. None of it comes from anybody's cluster.
/// </summary>
internal sealed class QueueReplay(int seed, int nodes, int jobs)
{
    private const double Load = 1.05;
    private static readonly DateTimeOffset Begin = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);
    private readonly Random random = new(seed);
    private readonly ImmutableArray<NodeSeen> cluster = Fabric.H800(nodes);
    private readonly PriorityQueue<Action, DateTimeOffset> ahead = new();
    private readonly Dictionary<GangId, (TimeSpan Takes, TimeSpan Stated)> work = [];
    private readonly Dictionary<GangId, (DateTimeOffset At, StartEstimate Estimate)> first = [];
    private readonly List<WaitedFor> waited = [];
    private GangBook book = GangBook.Empty;
    private DateTimeOffset now = Begin;

    /// <summary>As it learnt.</summary>
    public StartBook Starts { get; private set; } = new();

    public int Decisions { get; private set; }

    /// <returns>Those that had to wait and had an estimate, in the order of their starts.</returns>
    public IReadOnlyList<WaitedFor> Run()
    {
        var at = Begin;
        double nodeSeconds = 0;
        for (int i = 0; i < jobs; i++)
        {
            int size = Size();
            var takes = TimeSpan.FromHours(Math.Clamp(2 * Math.Exp(1.2 * Normal()), 0.1, 48));
            nodeSeconds += size * takes.TotalSeconds;
            var request = new GangRequest(new StageId($"job-{i:00000}", "pretrain"), 1, size, 8, random.Next(10) == 0 ? 200 : 100,
                $"team-{random.Next(2)}", at, ImmutableDictionary<NodeId, string>.Empty);
            work[request.Id] = (Real(takes), takes * Math.Exp(0.1 * Normal()));
            var (asked, when) = (request, at);
            ahead.Enqueue(() => Submit(asked), when);
            // The next comes when the cluster could have done, at this load, what was asked for until now.
            at = Begin + TimeSpan.FromSeconds(nodeSeconds / (nodes * Load));
            at += TimeSpan.FromSeconds(60 * -Math.Log(1 - random.NextDouble()));
        }

        while (ahead.TryDequeue(out var next, out var moment))
        {
            now = moment;
            next();
        }

        return waited;
    }

    private void Submit(GangRequest request)
    {
        var stated = work[request.Id].Stated;
        request = request with { Since = now, Expected = stated, ExpectedError = 0.1, ExpectedBasis = "the plan" };
        book = book.Asked(request);
        Decide(request);
    }

    private void Decide(GangRequest? news = null)
    {
        Decisions++;
        var question = new PlacementQuestion(new ClusterSnapshot(cluster, [], now), book.Held, book.Waiting, PlacementPolicy.Default, now);
        var answer = PlacementQueue.Decide(question);
        book = book.Granted(answer.Placed);
        foreach (var grant in answer.Placed.Select(p => p.Grant))
        {
            Start(grant);
        }

        Starts = Starts.Seen(book.Held, book.Waiting.Select(w => w.Id).ToHashSet());
        if (news is { } asked && answer.Pending.TryGetValue(asked.Stage, out var pending))
        {
            var eta = pending.Eta ?? StartEstimates.Forecast(question with
            {
                Held = question.Held.AddRange(answer.Placed.Select(p => p.Grant)),
                Waiting = question.Waiting.RemoveAll(w => !answer.Pending.ContainsKey(w.Stage)),
            }, answer).GetValueOrDefault(asked.Stage);
            if (eta is not null)
            {
                first[asked.Id] = (now, Starts.Band(eta, asked.Nodes, now));
                Starts = Starts.Tell([(asked, eta)], now);
            }
        }
    }

    private void Start(GangGrant grant)
    {
        if (first.Remove(grant.Id, out var told))
        {
            waited.Add(new WaitedFor(grant.Nodes.Length, told.At, told.Estimate, now));
        }

        var takes = work[grant.Id].Takes;
        ahead.Enqueue(() => End(grant.Id), now + takes);
        ahead.Enqueue(() => Measured(grant.Id, takes), now + (takes / 10));
    }

    /// <summary>Its pace is known: its end is foreseen to five percent of what is left.</summary>
    private void Measured(GangId gang, TimeSpan takes) => book = book with
    {
        Held = [.. book.Held.Select(h => h.Id == gang
            ? h with { ExpectedEnd = h.At + (takes / 10) + (takes * 0.9 * (1 + (0.02 * Normal()))), EndError = 0.02 } : h)],
    };

    private void End(GangId gang)
    {
        book = book.Released(gang, []);
        Decide();
    }

    private int Size()
    {
        int size = 1;
        while (size < nodes && random.NextDouble() < 0.6)
        {
            size *= 2;
        }

        return Math.Min(size, nodes);
    }

    private TimeSpan Real(TimeSpan takes) => random.Next(40) switch
    {
        < 5 => takes * (1 + (0.05 * random.NextDouble())),
        < 7 => takes * random.NextDouble(),
        _ => takes,
    };

    private double Normal() => Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble());
}
