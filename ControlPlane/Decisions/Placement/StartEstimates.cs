using System.Collections.Immutable;

namespace DeepSeekOps.Decisions.Placement;

/// <summary>When gangs that wait should start, with the band that the ends they wait for have.</summary>
public static class StartEstimates
{
    /// <summary>So many of the queue, and so many ends ahead: a page asks for it, and further ones are no forecast.</summary>
    private const int GangsAtMost = 32;
    private const int EndsAtMost = 48;

    /// <summary>
    /// It starts when the last of the ends has come that it waits for. Each may be off by its own share, early or late: any of them may be
    /// the last then.
    /// </summary>
    internal static StartEstimate? Of(Reservation reservation, DateTimeOffset now)
    {
        if (reservation.At is not { } at)
        {
            return null;
        }

        DateTimeOffset Last(int sign) => reservation.Ends.Where(e => e.ExpectedEnd > now)
            .Select(e => e.ExpectedEnd!.Value + ((e.ExpectedEnd.Value - now) * (sign * e.EndError))).DefaultIfEmpty(at).Max();
        string basis = reservation.Last is { } last
            ? $"{last.Stage} frees the last node, at an end from {Or(last.EndBasis, "what it said when it asked")}"
            : "the end of maintenance, as it is planned";
        var (early, late) = (Last(-1), Last(+1));
        return new StartEstimate(early < at ? early : at, at, late > at ? late : at, basis);
    }

    /// <summary>
    /// For those that have no reservation: the queue is played forward over the expected ends of what runs and of what starts meanwhile.
    /// Nothing that fails or is submitted later is in it, so it is a forecast of this queue and no promise.
    /// </summary>
    public static IReadOnlyDictionary<StageId, StartEstimate> Forecast(PlacementQuestion question, PlacementAnswer answer)
    {
        var starts = new Dictionary<StageId, StartEstimate>();
        var order = answer.Order.Select((stage, i) => (stage, i)).ToDictionary(o => o.stage, o => o.i);
        var waiting = question.Waiting.Where(w => order.ContainsKey(w.Stage)).OrderBy(w => order[w.Stage]).Take(GangsAtMost)
            .ToImmutableArray();
        var (held, now, error) = (question.Held, question.Now, 0.0);
        for (int end = 0; end < EndsAtMost && !waiting.IsEmpty; end++)
        {
            var ends = held.Where(h => h.ExpectedEnd is not null).Select(h => h.ExpectedEnd!.Value)
                .Concat(question.Policy.Maintenance.Select(w => w.Until)).Where(at => at > now);
            if (!ends.Any())
            {
                break;
            }

            now = ends.Min();
            error = held.Where(h => h.ExpectedEnd <= now).Select(h => h.EndError).Append(error).Max();
            held = held.RemoveAll(h => h.ExpectedEnd <= now);
            var next = PlacementQueue.Decide(question with { Held = held, Waiting = waiting, Now = now });
            foreach (var placed in next.Placed)
            {
                var band = (now - question.Now) * error;
                starts[placed.Grant.Stage] = new StartEstimate(now - band, now, now + band,
                    "the queue played forward over the expected ends of all gangs, whose worst error it takes");
            }

            held = held.AddRange(next.Placed.Select(p => p.Grant));
            waiting = waiting.RemoveAll(w => starts.ContainsKey(w.Stage));
        }

        return starts;
    }

    private static string Or(string text, string otherwise) => text.Length > 0 ? text : otherwise;
}
