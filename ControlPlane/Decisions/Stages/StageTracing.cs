using System.Collections.Immutable;
using System.Diagnostics;
using System.Globalization;
using DeepSeekOps.Decisions.Health;
using DeepSeekOps.Decisions.Placement;
using DeepSeekOps.Decisions.Recipes;
using DeepSeekOps.Decisions.Tracing;

namespace DeepSeekOps.Decisions.Stages;

public enum TraceState
{
    /// <summary>Ranks are asked, record, or tell.</summary>
    Recording = 0,
    /// <summary>It is in the ledger.</summary>
    Kept = 1,
    Failed = 2,
}

/// <summary>How far a recording is.</summary>
/// <param name="Id">0: there is none, and <paramref name="Reason"/> says why.</param>
/// <param name="Reason">In words, also while it is under way.</param>
public sealed record TraceView(long Id, TraceState State, string Reason);

/// <summary>
/// The recording of steps that a person asked for: one at a time, in memory only. Nothing of a stage is decided by it: whatever becomes of
/// it, the stage trains on.
/// </summary>
internal sealed class StageTracing
{
    /// <summary>Ranks that are named one by one where some are missing.</summary>
    private const int Named = 4;

    private readonly Dictionary<int, RankTrace> told = [];
    private TraceOrder? order;
    private TraceView? over;
    private Instant asked;
    private TimeSpan within;
    private ImmutableArray<string> nodes = [];
    private ParallelLayout layout = new();
    private Func<long, int>? contextOf;

    /// <summary>Complete, and in no ledger yet.</summary>
    public StageTrace? ToKeep { get; private set; }

    /// <summary>A recording that is under way is everybody's.</summary>
    public TraceView Ask(Stage stage, int steps, TimeSpan patience, long step, Instant now)
    {
        Look(stage, now);
        if (order is not null && over is null)
        {
            return View(stage, now)!;
        }

        if (stage.Phase is not Phase.Running { Gang: var gang })
        {
            return Refused($"{stage.Id} is {StageViews.NameOf(stage.Phase)}: it makes no steps that could be recorded. Ask again when it "
                + "trains.");
        }

        long total = stage.Wish.Work.TotalSteps;
        if (total > 0 && total - step <= steps)
        {
            return Refused(Text($"{stage.Id} is at step {step} of {total}: too near its end to record {steps} more."));
        }

        nodes = [.. gang.Nodes.SelectMany((_, place) => gang.RanksAt(place)).OrderBy(r => r.Rank).Select(r => r.Node.Name)];
        var pipeline = WorkerOrders.AssignmentOf(stage, gang, gang.Nodes[0]).LaidOut;
        var spec = pipeline.Stages.FirstOrDefault(s => s.Name == stage.Id.Stage);
        (layout, contextOf) = (spec is null ? new() : pipeline.ParallelismOf(spec), spec is null ? null : spec.Recipe.ContextOf);
        long id = Math.Max((order?.Id ?? 0) + 1, now.At.ToUnixTimeMilliseconds());
        order = TraceOrder.New(id, stage.Attempt, steps, nodes.Length, layout);
        (asked, within, over, ToKeep) = (now, patience, null, null);
        told.Clear();
        return View(stage, now)!;
    }

    /// <summary>What an agent of the attempt is told with its reply.</summary>
    public TraceOrder? For(AgentBeat beat) => over is null && ToKeep is null && beat.Attempt == order?.Attempt ? order : null;

    public void Take(Stage stage, AgentBeat beat, Instant now)
    {
        if (order is null || over is not null || ToKeep is not null)
        {
            return;
        }

        foreach (var trace in beat.Traces.Where(t => t.Id == order.Id && t.Attempt == order.Attempt && t.Rank < nodes.Length))
        {
            // A lost reply brings the sums once more, after the spans too.
            told[trace.Rank] = trace.Spans is null && told.TryGetValue(trace.Rank, out var known) ? known : trace;
        }

        if (told.Count < nodes.Length || told.Values.Any(t => t.Steps.IsEmpty))
        {
            return;
        }

        int slowest = StageTrace.SlowestOf(told.Values);
        order = order.Ranks.Contains(slowest) ? order : order with { Ranks = order.Ranks.Add(slowest) };
        if (order.Ranks.All(rank => told[rank].Spans is not null))
        {
            Complete(stage, now);
        }
    }

    public void Kept(long id)
    {
        if (ToKeep?.Id == id)
        {
            ToKeep = null;
            over = new TraceView(id, TraceState.Kept, "");
        }
    }

    /// <summary>Null: none was asked for since this process began.</summary>
    public TraceView? View(Stage stage, Instant now)
    {
        Look(stage, now);
        return order is null ? null : over ?? new TraceView(order.Id, TraceState.Recording, told.Count == 0
            ? Text($"the {Ranks(nodes.Length)} of {stage.Id} are asked to record {Steps(order.Steps)}")
            : Text($"{told.Count} of {Ranks(nodes.Length)} have sent {Steps(order.Steps)}"));
    }

    private void Look(Stage stage, Instant now)
    {
        if (order is null || over is not null || ToKeep is not null)
        {
            return;
        }

        bool gone = stage.Attempt != order.Attempt || stage.Phase is not Phase.Running;
        bool late = now.Since(asked) > within;
        if ((gone || late) && told.Count == nodes.Length)
        {
            // All sums are there; what is missing is how some of it looked.
            Complete(stage, now);
        }
        else if (gone)
        {
            over = new TraceView(order.Id, TraceState.Failed, Text(
                $"{stage.Id} is {StageViews.NameOf(stage.Phase)}, attempt {stage.Attempt}, before attempt {order.Attempt} had recorded ")
                + $"{Steps(order.Steps)}: {stage.Reason}. Ask again when it trains.");
        }
        else if (late)
        {
            over = new TraceView(order.Id, TraceState.Failed, Text(
                $"after {within.TotalSeconds:0} s {Missing()} had sent nothing of {Steps(order.Steps)}. ")
                + "A step may take longer, or a rank be stuck: see `dsops show`. Ask again with a longer --within.");
        }
    }

    private void Complete(Stage stage, Instant now) =>
        ToKeep = StageTrace.Of(order!, stage.Id, now.At, layout, told.Values, rank => nodes[rank], contextOf);

    private string Missing()
    {
        int[] missing = [.. Enumerable.Range(0, nodes.Length).Where(rank => !told.ContainsKey(rank))];
        string named = string.Join(", ", missing.Take(Named).Select(rank => Text($"rank {rank} on {nodes[rank]}")));
        return missing.Length <= Named ? named : Text($"{missing.Length} of {Ranks(nodes.Length)} ({named}, …)");
    }

    private static TraceView Refused(string why) => new(0, TraceState.Failed, why);

    private static string Steps(int count) => count == 1 ? "1 step" : Text($"{count} steps");

    private static string Ranks(int count) => count == 1 ? "1 rank" : Text($"{count} ranks");

    private static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
