using DeepSeekOps.ControlPlane.Storage;
using DeepSeekOps.Decisions.Stages;
using DeepSeekOps.Decisions.Tracing;
using DeepSeekOps.Recipes.Pipelining;
using Google.Protobuf.WellKnownTypes;
using Ops = DeepSeekOps.Contracts.Ops.V1;
using Worker = DeepSeekOps.Contracts.Worker.V1;

namespace DeepSeekOps.ControlPlane.Api;

/// <summary>Recorded steps: what ranks tell, and what people are shown.</summary>
internal static class TraceMapping
{
    /// <summary>Of one rank: what an order allows at most (TraceOrder).</summary>
    private const int SpansMax = 16_384;

    private const int NameLengthMax = 200;
    private const int ClockLengthMax = 128;

    public static Worker.TraceOrder ToProto(this TraceOrder order) => new()
    {
        Id = order.Id, Attempt = order.Attempt, Steps = order.Steps, SpansMax = order.SpansMax, Ranks = { order.Ranks },
    };

    public static RankTrace ToRecord(Worker.RankTrace told)
    {
        Checked.AtMost(told.Steps.Count, TraceOrder.StepsMax, "traces.steps");
        Checked.AtMost(told.TogetherNanoseconds.Count, TraceOrder.StepsMax + 1, "traces.togetherNanoseconds");
        return new RankTrace(
            Checked.NotNegative(told.Id, "traces.id"), Checked.NotNegative(told.Attempt, "traces.attempt"),
            Checked.NotNegative(told.Rank, "traces.rank"), Checked.Words(told.Clock, ClockLengthMax), [.. told.Steps.Select(ToRecord)],
            [.. told.TogetherNanoseconds])
        {
            Spans = told.Spans is { } spans ? ToRecord(spans) : null,
        };
    }

    private static RankStep ToRecord(Worker.RecordedStep step)
    {
        if (step.EndedNanoseconds < step.BeganNanoseconds || step.PassesEndedNanoseconds < step.PassesBeganNanoseconds)
        {
            throw Checked.Invalid("traces.steps has one that ended before it began.");
        }

        return new RankStep(
            Checked.NotNegative(step.Step, "traces.steps.step"), step.BeganNanoseconds, step.EndedNanoseconds,
            step.PassesBeganNanoseconds, step.PassesEndedNanoseconds, Seconds(step.Busy, "busy"), Seconds(step.Collectives, "collectives"),
            Seconds(step.Sends, "sends"), Seconds(step.Waits, "waits"))
        {
            Forward = Seconds(step.Forward, "forward"), Backward = Seconds(step.Backward, "backward"),
            Weights = Seconds(step.Weights, "weights"),
        };
    }

    private static double Seconds(double value, string field) => Checked.Seconds(value, $"traces.steps.{field}");

    private static RankSpans ToRecord(Worker.RecordedSpans spans)
    {
        int count = spans.Name.Count;
        Checked.AtMost(count, SpansMax, "traces.spans");
        Checked.AtMost(spans.Names.Count, count, "traces.spans.names");
        if (spans.BeganMicroseconds.Count != count || spans.TookMicroseconds.Count != count
            || spans.Name.Any(n => n < 0 || n >= spans.Names.Count))
        {
            throw Checked.Invalid($"traces.spans has {count} spans: each has a name that is there, a begin and a length.");
        }

        return new RankSpans(
            spans.FromNanoseconds, [.. spans.Names.Select(n => Checked.Words(n, NameLengthMax))], [.. spans.Name],
            [.. spans.BeganMicroseconds.Select(b => (long)b)], [.. spans.TookMicroseconds.Select(t => (long)t)],
            Checked.NotNegative(spans.LeftOut, "traces.spans.leftOut"));
    }

    public static Ops.Trace ToProto(this KeptTrace kept, string run) => new()
    {
        Id = kept.Id, Run = run, Stage = kept.Stage, Attempt = kept.Attempt, At = kept.At.ToTimestamp(), FirstStep = kept.FirstStep,
        Steps = kept.Steps, Ranks = kept.Ranks, State = Ops.TraceState.Kept,
    };

    /// <summary>One that is under way, or failed.</summary>
    public static Ops.Trace ToProto(this TraceView view, string run, string stage) => new()
    {
        Id = view.Id, Run = run, Stage = stage, Reason = view.Reason,
        State = view.State == TraceState.Failed ? Ops.TraceState.Failed : Ops.TraceState.Recording,
    };

    public static Ops.Trace ToProto(this StageTrace trace, bool withSpans) => new()
    {
        Id = trace.Id, Run = trace.Stage.Run, Stage = trace.Stage.Stage, Attempt = trace.Attempt, At = trace.At.ToTimestamp(),
        FirstStep = trace.FirstStep, Steps = trace.Steps, Ranks = trace.Ranks, State = Ops.TraceState.Kept,
        Simulated = trace.Simulated, StepSeconds = trace.StepSeconds, Parts = ToProto(trace.Parts), FormulaSeconds = trace.Formula,
        Schedule = trace.Layout.Pipeline > 1 ? trace.Layout.Schedule.Name() : "", Slowest = trace.Slowest,
        Drawn = { trace.Drawn.Select(rank => ToProto(rank, withSpans)) },
        Places = { trace.Places.Select(p => new Ops.TracePlace { Pipeline = p.Pipeline, Ranks = p.Ranks, Parts = ToProto(p.Parts) }) },
        Clocks =
        {
            trace.Clocks.Select(c => new Ops.TraceClock
            {
                Nodes = { c.Nodes }, OffsetNanoseconds = c.Nanoseconds, ErrorNanoseconds = c.ErrorNanoseconds,
            }),
        },
    };

    private static Ops.TraceParts ToProto(StepParts parts) => new()
    {
        Compute = parts.Compute, Collectives = parts.Collectives, Sends = parts.Sends, Waits = parts.Waits, Bubble = parts.Bubble,
    };

    private static Ops.TraceRank ToProto(TracedRank rank, bool withSpans)
    {
        var made = new Ops.TraceRank
        {
            Rank = rank.Rank, Node = rank.Node, Pipeline = rank.Place.Pipeline, Data = rank.Place.Data, Expert = rank.Place.Expert,
            Parts = ToProto(rank.Parts),
            Spans = !withSpans || rank.Spans is not { } spans ? null : new Ops.TraceSpans
            {
                FromNanoseconds = spans.From, Names = { spans.Names }, Name = { spans.Name },
                BeganMicroseconds = { spans.Began.Select(b => (uint)b) }, TookMicroseconds = { spans.Took.Select(t => (uint)t) },
                LeftOut = spans.LeftOut,
            },
        };
        if (rank.Place.Context is { } part)
        {
            made.Context = part;
        }
        return made;
    }
}
