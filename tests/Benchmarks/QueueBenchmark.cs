using System.Collections.Immutable;
using System.Diagnostics;
using DeepSeekOps.Decisions;
using DeepSeekOps.Decisions.Gangs;
using DeepSeekOps.Decisions.Placement;

namespace DeepSeekOps.Benchmarks;

/// <summary>
/// 15,000 workloads, all waiting from the start, replayed through a cluster of 256 nodes until the last has ended: each end asks
/// placement about everything that still waits. Kueue's CI replays as many at 43 a second.
/// </summary>
internal static class QueueBenchmark
{
    private const int Workloads = 15_000;
    private const double KueuePerSecond = 43;

    public static Task Run()
    {
        Table.Title($"queue: {Workloads:#,0} workloads of 1 to 16 nodes replayed on 256, everything queued at once");
        var random = new Random(1);
        var requests = Enumerable.Range(0, Workloads)
            .Select(i => Gangs.Of($"job-{i:00000}", 1 << random.Next(5), TimeSpan.FromMinutes(random.Next(5, 240)))).ToImmutableArray();
        var begun = Stopwatch.GetTimestamp();
        var (decisions, slowest, busy) = Replay(requests, Fabric.H800(256));
        var took = Stopwatch.GetElapsedTime(begun);
        Table.AtLeast("workloads from queue to end", Workloads / took.TotalSeconds, "workloads", KueuePerSecond, "Kueue's CI (43/s)");
        Table.Line("decisions", $"{decisions:#,0}", Table.Say($"slowest {slowest:0.0} ms"));
        Table.Line("nodes in use while there was work", Table.Say($"{busy:0.0 %}"));
        Starvation();
        return Task.CompletedTask;
    }

    private static (int Decisions, double SlowestMilliseconds, double Busy) Replay(ImmutableArray<GangRequest> requests,
        ImmutableArray<NodeSeen> nodes)
    {
        var waiting = requests.ToList();
        var held = new List<GangGrant>();
        var now = Gangs.Now;
        int decisions = 0;
        double slowest = 0, used = 0, offered = 0;
        while (waiting.Count > 0 || held.Count > 0)
        {
            long begun = Stopwatch.GetTimestamp();
            var answer = PlacementQueue.Decide(Gangs.Ask(nodes, [.. held], [.. waiting]) with { Now = now });
            slowest = Math.Max(slowest, Stopwatch.GetElapsedTime(begun).TotalMilliseconds);
            decisions++;
            var placed = answer.Placed.Select(p => p.Grant.Stage).ToHashSet();
            waiting.RemoveAll(w => placed.Contains(w.Stage));
            held.AddRange(answer.Placed.Select(p => p.Grant));
            var next = held.Min(h => h.ExpectedEnd)!.Value;
            if (waiting.Count > 0)
            {
                used += held.Sum(h => h.Nodes.Length) * (next - now).TotalSeconds;
                offered += nodes.Length * (next - now).TotalSeconds;
            }

            now = next;
            held.RemoveAll(h => h.ExpectedEnd <= now);
        }

        return (decisions, slowest, used / offered);
    }

    /// <summary>
    /// When a gang of all nodes starts behind a steady stream of small ones: by our queue, by plain FIFO, and by first fit without a
    /// promise.
    /// </summary>
    private static void Starvation()
    {
        var nodes = Fabric.H800(64);
        TimeSpan ours = StartOfBig(nodes, question => PlacementQueue.Decide(question));
        TimeSpan greedy = StartOfBig(nodes, question => PlacementQueue.Decide(question with
        {
            // Whoever fits goes first: the big gang comes last in every question.
            Waiting = [.. question.Waiting.Select(w => w.Nodes == nodes.Length ? w with { Priority = -1 } : w)],
        }));
        TimeSpan fifo = StartOfBig(nodes, FirstComeFirstServed);
        Table.Line("a gang of all 64 nodes behind small ones: starts after", Table.Say($"{ours.TotalMinutes:0} min"),
            greedy == TimeSpan.MaxValue ? "never within 48 h where whoever fits goes first"
                : Table.Say($"{greedy.TotalMinutes:0} min where whoever fits goes first"));
        Table.Line("…by plain FIFO, where all others wait behind it",
            fifo == TimeSpan.MaxValue ? "never within 48 h" : Table.Say($"{fifo.TotalMinutes:0} min"));
    }

    /// <summary>
    /// Asks for the oldest alone, and for the next only once that is placed: nobody overtakes, however well they would fit.
    /// </summary>
    private static PlacementAnswer FirstComeFirstServed(PlacementQuestion question)
    {
        var placed = ImmutableArray<PlacementDecision.Placed>.Empty;
        var held = question.Held;
        foreach (var request in question.Waiting.OrderBy(w => w.Since))
        {
            var answer = PlacementQueue.Decide(question with { Held = held, Waiting = [request] });
            if (answer.Placed.IsEmpty)
            {
                break;
            }

            held = held.AddRange(answer.Placed.Select(p => p.Grant));
            placed = placed.AddRange(answer.Placed);
        }

        return new PlacementAnswer(placed, [], new Dictionary<StageId, PlacementDecision.Pending>(), []);
    }

    private static TimeSpan StartOfBig(ImmutableArray<NodeSeen> nodes, Func<PlacementQuestion, PlacementAnswer> decide)
    {
        var random = new Random(2);
        var held = new List<GangGrant>();
        var waiting = new List<GangRequest>();
        var big = Gangs.Of("big", nodes.Length, TimeSpan.FromHours(10));
        for (var now = Gangs.Now; now < Gangs.Now + TimeSpan.FromHours(48); now += TimeSpan.FromMinutes(1))
        {
            if (now == Gangs.Now + TimeSpan.FromHours(1))
            {
                waiting.Add(big with { Since = now });
            }

            for (int i = 0; i < 2; i++)
            {
                waiting.Add(
                    Gangs.Of($"small-{now:O}-{i}", random.Next(1, 4), TimeSpan.FromMinutes(random.Next(5, 60))) with { Since = now });
            }

            held.RemoveAll(h => h.ExpectedEnd <= now);
            var answer = decide(Gangs.Ask(nodes, [.. held], [.. waiting]) with { Now = now });
            var placed = answer.Placed.Select(p => p.Grant.Stage).ToHashSet();
            if (placed.Contains(big.Stage))
            {
                return now - Gangs.Now - TimeSpan.FromHours(1);
            }

            held.AddRange(answer.Placed.Select(p => p.Grant));
            waiting.RemoveAll(w => placed.Contains(w.Stage));
        }

        return TimeSpan.MaxValue;
    }
}
