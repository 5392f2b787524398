using DeepSeekOps.Contracts.Worker.V1;

namespace DeepSeekOps.Worker.Agent;

/// <summary>
/// Steps that are recorded: ranks hand over all they have, the agent passes on their sums, and the spans of those that are asked for.
/// </summary>
internal sealed partial class NodeAgent
{
    /// <summary>To whom the newest order was handed on, by slot and launch.</summary>
    private readonly HashSet<(int Slot, int Attempt, int LocalTry)> _traceTold = [];

    /// <summary>Spans of the newest order that nobody has asked for yet, by rank.</summary>
    private readonly Dictionary<int, RankTrace> _traceKept = [];

    private long _traceId;

    /// <summary>Each rank is told once; with every reply it is seen whose spans are wanted by now.</summary>
    private void HandOn(TraceOrder? order)
    {
        if (order is null)
        {
            // It is over, whatever became of it.
            _traceKept.Clear();
            return;
        }

        if (order.Id != _traceId)
        {
            _traceId = order.Id;
            _traceTold.Clear();
            _traceKept.Clear();
        }

        foreach (var rank in _ranks.Where(r => r is { Alive: true, Told: true, LeftGang: false } && r.Attempt == order.Attempt))
        {
            if (_traceTold.Add((rank.Slot, rank.Attempt, rank.LocalTry)))
            {
                Send(rank.Slot, new RankOrder { Trace = order });
            }
        }

        foreach (int wanted in order.Ranks)
        {
            if (_traceKept.Remove(wanted, out var trace))
            {
                _reports.Add(trace);
                _contact.Urgent = true;
            }
        }
    }

    private void TakeTrace(RankTrace trace, int attempt)
    {
        trace.Attempt = attempt;
        if (trace.Id != _traceId)
        {
            return;
        }

        var sums = trace.Clone();
        sums.Spans = null;
        _reports.Add(sums);
        _traceKept[trace.Rank] = trace;
    }
}
