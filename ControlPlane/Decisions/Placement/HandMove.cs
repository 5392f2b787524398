using System.Collections.Immutable;
using DeepSeekOps.Decisions.Gangs;

namespace DeepSeekOps.Decisions.Placement;

/// <summary>
/// A person put a waiting gang before others. It stays before those that it was put before, whoever of them starts or comes back; a
/// gang that comes later stands where its priority puts it. Once it runs
/// it does not give way to them either: or it would be stopped in the very tick in which it was placed. Quotas, groups, spares and
/// maintenance hold for it as for everybody.
/// </summary>
public sealed record HandMove(StageId Stage, ImmutableArray<StageId> Ahead, string Reason);

internal static class HandOrder
{
    /// <summary>All that a gang was put before by hand.</summary>
    public static ImmutableArray<StageId> Passed(StageId stage, ImmutableArray<HandMove> moves) =>
        [.. moves.Where(m => m.Stage == stage).SelectMany(m => m.Ahead).Distinct()];

    /// <summary>The queue with the moves made in the order in which they were asked for.</summary>
    public static List<GangRequest> Apply(List<GangRequest> queue, ImmutableArray<HandMove> moves)
    {
        foreach (var move in moves)
        {
            int from = queue.FindIndex(r => r.Stage == move.Stage);
            int to = from < 0 ? -1 : queue.FindIndex(r => move.Ahead.Contains(r.Stage));
            if (to >= 0 && to < from)
            {
                var moved = queue[from];
                queue.RemoveAt(from);
                queue.Insert(to, moved);
            }
        }

        return queue;
    }
}

/// <summary>A person's wish about the order, and what becomes of it.</summary>
public static class HandMoves
{
    /// <param name="order">Everybody who waits, as the queue stands.</param>
    /// <param name="before">Null: before everybody.</param>
    /// <returns>The moves with this one, or why it cannot be made.</returns>
    public static (ImmutableArray<HandMove> Moves, string? Refusal) Add(
        ImmutableArray<HandMove> moves, ImmutableArray<StageId> order, StageId stage, StageId? before, string reason)
    {
        int at = order.IndexOf(stage);
        int to = before is { } named ? order.IndexOf(named) : 0;
        if (at < 0 || to < 0)
        {
            string waiting = order.IsEmpty ? "nothing waits" : $"waiting: {string.Join(", ", order.Take(8))}";
            return (moves, $"{(at < 0 ? stage : before)} does not wait for nodes; {waiting}");
        }

        if (stage == before || at < to || (before is null && at == 0))
        {
            return (moves, before is null ? $"{stage} is already first" : $"{stage} is already ahead of {before}");
        }

        return (moves.RemoveAll(m => m.Stage == stage).Add(new HandMove(stage, order.RemoveRange(0, to).Remove(stage), reason)), null);
    }
}
