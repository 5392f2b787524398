using System.Diagnostics;
using DeepSeekOps.Contracts.Worker.V1;

namespace DeepSeekOps.Worker.Agent;

/// <summary>
/// The kinds of what agents and ranks hear, each with its place. Whoever hears one has a word for every kind: a further one has no place
/// here, which WireKindTests finds by its name, and with its place no caller compiles that does not know it. What only a newer program
/// says arrives as none.
/// </summary>
internal static class WireKinds
{
    /// <summary>What the control plane tells an agent.</summary>
    public static T Match<T>(
        this Order? order, Func<T> none, Func<Continue, T> goOn, Func<Start, T> start, Func<SaveCheckpoint, T> save,
        Func<RollBack, T> rollBack, Func<RestartRanks, T> restart, Func<Form, T> form, Func<Stop, T> stop) =>
        (order ??= new Order()).KindCase switch
        {
            Order.KindOneofCase.None => none(),
            Order.KindOneofCase.Continue => goOn(order.Continue),
            Order.KindOneofCase.Start => start(order.Start),
            Order.KindOneofCase.SaveCheckpoint => save(order.SaveCheckpoint),
            Order.KindOneofCase.RollBack => rollBack(order.RollBack),
            Order.KindOneofCase.RestartRanks => restart(order.RestartRanks),
            Order.KindOneofCase.Form => form(order.Form),
            Order.KindOneofCase.Stop => stop(order.Stop),
            var kind => throw NoPlace(kind),
        };

    /// <summary>What an agent tells its rank.</summary>
    public static T Match<T>(
        this RankOrder order, Func<T> none, Func<RankLaunch, T> launch, Func<RankSave, T> save, Func<RankStop, T> stop,
        Func<RankRegroup, T> regroup, Func<RankFault, T> fault, Func<RankPins, T> pins, Func<TraceOrder, T> trace,
        Func<RankPrepare, T> prepare) => order.KindCase switch
        {
            RankOrder.KindOneofCase.None => none(),
            RankOrder.KindOneofCase.Launch => launch(order.Launch),
            RankOrder.KindOneofCase.Save => save(order.Save),
            RankOrder.KindOneofCase.Stop => stop(order.Stop),
            RankOrder.KindOneofCase.Regroup => regroup(order.Regroup),
            RankOrder.KindOneofCase.Fault => fault(order.Fault),
            RankOrder.KindOneofCase.Pins => pins(order.Pins),
            RankOrder.KindOneofCase.Trace => trace(order.Trace),
            RankOrder.KindOneofCase.Prepare => prepare(order.Prepare),
            var kind => throw NoPlace(kind),
        };

    /// <summary>
    /// What a rank tells its agent: first what is of the process, then what the control plane hears of, last what no agent asks for.
    /// </summary>
    public static T Match<T>(
        this RankReport report, Func<T> none,
        Func<RankHello, T> hello, Func<RankReady, T> ready, Func<RankProgress, T> progress, Func<RankPulse, T> pulse,
        Func<RankDone, T> done, Func<RankFailed, T> failed, Func<RankLeftGang, T> leftGang, Func<RankPrepared, T> prepared,
        Func<StepSample, T> sample, Func<CheckpointReport, T> checkpoint, Func<EvaluationReport, T> evaluation,
        Func<ExpertLoadReport, T> expertLoad, Func<ResumedFrom, T> resumed, Func<RefusedCheckpoint, T> refused, Func<WorkerNote, T> note,
        Func<RankTrace, T> trace, Func<StoredCheckpoint, T> stored, Func<RankPart, T> part,
        Func<ReferencePart, T> reference, Func<CollectiveTimes, T> collectives, Func<BenchFigures, T> bench,
        Func<FormingTimes, T> forming) => report.KindCase switch
        {
            RankReport.KindOneofCase.None => none(),
            RankReport.KindOneofCase.Hello => hello(report.Hello),
            RankReport.KindOneofCase.Ready => ready(report.Ready),
            RankReport.KindOneofCase.Progress => progress(report.Progress),
            RankReport.KindOneofCase.Pulse => pulse(report.Pulse),
            RankReport.KindOneofCase.Done => done(report.Done),
            RankReport.KindOneofCase.Failed => failed(report.Failed),
            RankReport.KindOneofCase.LeftGang => leftGang(report.LeftGang),
            RankReport.KindOneofCase.Prepared => prepared(report.Prepared),
            RankReport.KindOneofCase.Sample => sample(report.Sample),
            RankReport.KindOneofCase.Checkpoint => checkpoint(report.Checkpoint),
            RankReport.KindOneofCase.Evaluation => evaluation(report.Evaluation),
            RankReport.KindOneofCase.ExpertLoad => expertLoad(report.ExpertLoad),
            RankReport.KindOneofCase.Resumed => resumed(report.Resumed),
            RankReport.KindOneofCase.Refused => refused(report.Refused),
            RankReport.KindOneofCase.Note => note(report.Note),
            RankReport.KindOneofCase.Trace => trace(report.Trace),
            RankReport.KindOneofCase.Stored => stored(report.Stored),
            RankReport.KindOneofCase.Part => part(report.Part),
            RankReport.KindOneofCase.Reference => reference(report.Reference),
            RankReport.KindOneofCase.Collectives => collectives(report.Collectives),
            RankReport.KindOneofCase.Bench => bench(report.Bench),
            RankReport.KindOneofCase.Forming => forming(report.Forming),
            var kind => throw NoPlace(kind),
        };

    private static UnreachableException NoPlace<T>(T kind)
        where T : struct, Enum => new($"{typeof(T).DeclaringType?.Name} {kind} has no place in {nameof(WireKinds)}");
}
