using System.Collections.Immutable;
using System.Diagnostics;
using System.Globalization;
using DeepSeekOps.ControlPlane.Clusters;
using DeepSeekOps.ControlPlane.Pipelines;
using DeepSeekOps.Decisions;
using DeepSeekOps.Decisions.Checkpoints;
using DeepSeekOps.Decisions.Gangs;
using DeepSeekOps.Decisions.Health;
using DeepSeekOps.Decisions.Recipes;
using DeepSeekOps.Decisions.Runs;
using DeepSeekOps.Decisions.Stages;
using Google.Protobuf.WellKnownTypes;
using Proto = DeepSeekOps.Contracts.Worker.V1;

namespace DeepSeekOps.ControlPlane.Api;

/// <summary>The worker's messages as records, and orders as messages. A message that makes no sense is refused here, in words.</summary>
internal static class WorkerMapping
{
    /// <summary>Beyond it float16, which keeps them, has no number; a layer would need as many experts.</summary>
    private const float RatioMax = 65_504;

    /// <summary>
    /// What one beat may carry. Agents keep the same limits (ReportBuffer, ReportLimits of the worker), so that nothing honest is refused.
    /// </summary>
    private const int SamplesMax = 2_000;
    private const int OthersMax = 200;
    private const int LoadsMax = 64;
    private const int TracesMax = 16;

    /// <summary>DeepSeek-V3 has 59 rows of 256; four times as many.</summary>
    private const int RatiosMax = 65_536;

    private const int RanksMax = 1_024;
    private const int SeriesMax = 100;
    private const int LaunchPartsMax = 16;

    /// <summary>A rank has nine of a launch, and 20 are kept of it at most: those of 32 and of the agent.</summary>
    private const int PartsMax = 1_024;

    private const int NoteLengthMax = 4_096;

    /// <summary>An agent keeps 64 lines of 300 characters; more is no news.</summary>
    private const int LastLinesMax = 64;

    private const int LineLengthMax = 512;
    private const int ErrorLengthMax = 16_384;
    private const int ShortLengthMax = 128;
    private const int CursorLengthMax = 65_536;

    public static AgentRegistration ToRecord(this Proto.RegisterRequest request)
    {
        var (stage, attempt) = Required(request.Attempt);
        Checked.AtMost(request.Ranks.Count, RanksMax, "ranks");
        return new AgentRegistration(
            Checked.Words(request.Version, ShortLengthMax), new NodeId(Checked.Name(request.Node, "node")),
            Checked.Name(request.AgentId, "agentId"),
            Checked.NotNegative(request.Pid, "pid"), stage, attempt, [.. request.Ranks.Select(ToRecord)])
        {
            WithoutContact = request.WithoutContact is { } away ? Checked.Span(away, "withoutContact") : null,
        };
    }

    public static AgentBeat ToRecord(this Proto.HeartbeatRequest request)
    {
        var (stage, attempt) = Required(request.Attempt);
        Limited(request);
        return new AgentBeat(
            new NodeId(Checked.Name(request.Node, "node")), Checked.Name(request.AgentId, "agentId"), stage, attempt,
            Checked.NotNegative(request.Sequence, "sequence"), [.. request.Ranks.Select(ToRecord)], [.. request.Samples.Select(ToRecord)],
            [.. request.Checkpoints.Select(made => made.ToRecord(stage))], [.. request.Evaluations.Select(ToRecord)],
            [.. request.Notes.Select(note => new WorkerNote(
                Checked.Time(note.At, "notes.at"), Checked.Words(note.Text, NoteLengthMax),
                Checked.NotNegative(note.Attempt, "notes.attempt"))
                {
                    FullDisk = Checked.Words(note.FullDisk, NoteLengthMax), Node = request.Node,
                    StoreAway = Checked.Words(note.StoreAway, NoteLengthMax),
                })],
            request.LaunchSeconds.ToImmutableDictionary(part => Checked.Name(part.Key, "launchSeconds"),
                part => Checked.Seconds(part.Value, $"launchSeconds.{part.Key}")),
            [.. request.RefusedCheckpoints.Select(ToRecord)], [.. request.ExpertLoads.Select(ToRecord)])
        {
            Resumed = [.. request.Resumed.Select(resumed =>
                new ResumedFrom(Checked.NotNegative(resumed.Attempt, "resumed.attempt"), resumed.Checkpoint?.ToRecord(stage))
                {
                    KeptStep = resumed.HasKeptStep ? Checked.NotNegative(resumed.KeptStep, "resumed.keptStep") : null,
                })],
            LocalRestarts = [.. request.LocalRestarts.Select(restart => restart.ToRecord(request.Node))],
            PeerHost = request.PeerHost.Length == 0 ? "" : Checked.Host(request.PeerHost, "peerHost"),
            Untold = Checked.NotNegative(request.Untold, "untold"),
            Traces = [.. request.Traces.Select(TraceMapping.ToRecord)],
            Reads = [.. request.Reads.Select(read => new CheckpointRead(
                Checked.NotNegative(read.Id, "reads.id"), Checked.NotNegative(read.Share, "reads.share"), request.Node,
                Checked.Words(read.Unreadable, NoteLengthMax)))],
            Stored = [.. request.StoredCheckpoints.Select(ToRecord)],
            Launch = request.Launch?.ToRecord(),
        };
    }

    /// <summary>Null: what it came with is no W3C traceparent, so that it belongs to no trace. No beat is refused for it.</summary>
    private static LaunchTold? ToRecord(this Proto.LaunchTold told) => !ActivityContext.TryParse(told.Traceparent, null, out var own) ? null
        : new LaunchTold(
            Checked.NotNegative(told.Attempt, "launch.attempt"), own.TraceId.ToHexString(), own.SpanId.ToHexString(),
            Checked.Span(told.Ago, "launch.ago"), Checked.Span(told.Took, "launch.took"),
            [.. told.Parts.Select(part => new LaunchPart(
                part.HasRank ? Checked.NotNegative(part.Rank, "launch.parts.rank") : null, Checked.Words(part.What, ShortLengthMax),
                Checked.Span(part.Ago, "launch.parts.ago"), Checked.Span(part.Took, "launch.parts.took")))]);

    private static void Limited(Proto.HeartbeatRequest request)
    {
        Checked.AtMost(request.Ranks.Count, RanksMax, "ranks");
        Checked.AtMost(request.Samples.Count, SamplesMax, "samples");
        Checked.AtMost(request.Checkpoints.Count, OthersMax, "checkpoints");
        Checked.AtMost(request.Evaluations.Count, OthersMax, "evaluations");
        Checked.AtMost(request.Notes.Count, OthersMax, "notes");
        Checked.AtMost(request.RefusedCheckpoints.Count, OthersMax, "refusedCheckpoints");
        Checked.AtMost(request.Resumed.Count, OthersMax, "resumed");
        Checked.AtMost(request.ExpertLoads.Count, LoadsMax, "expertLoads");
        Checked.AtMost(request.LocalRestarts.Count, OthersMax, "localRestarts");
        Checked.AtMost(request.LaunchSeconds.Count, LaunchPartsMax, "launchSeconds");
        Checked.AtMost(request.Traces.Count, TracesMax, "traces");
        Checked.AtMost(request.Reads.Count, OthersMax, "reads");
        Checked.AtMost(request.StoredCheckpoints.Count, OthersMax, "storedCheckpoints");
        Checked.AtMost(request.Launch?.Parts.Count ?? 0, PartsMax, "launch.parts");
    }

    private static StoredTold ToRecord(Proto.StoredCheckpoint stored) => new(
        Checked.NotNegative(stored.Step, "storedCheckpoints.step"), Checked.Words(stored.Digest, ShortLengthMax),
        new StoredCopy(Checked.Words(stored.Uri, NoteLengthMax), Checked.Time(stored.At, "storedCheckpoints.at"),
            Checked.Span(stored.Lag, "storedCheckpoints.lag")));

    private static RefusedCheckpoint ToRecord(this Proto.RefusedCheckpoint refused) =>
        new(Checked.Words(refused.Path, NoteLengthMax), Checked.Words(refused.Reason, NoteLengthMax))
        {
            Attempt = Checked.NotNegative(refused.Attempt, "refusedCheckpoints.attempt"),
            Digest = Checked.Words(refused.Digest, ShortLengthMax),
        };

    public static (StageId Stage, int Attempt) Required(Proto.AttemptRef? attempt) => attempt is null
        ? throw Checked.Invalid("attempt is missing: name run, stage and attempt.")
        : (Checked.Stage(attempt.Run, attempt.Stage), Checked.NotNegative(attempt.Attempt, "attempt"));

    public static RankStatus ToRecord(this Proto.RankStatus rank) => new(
        Checked.NotNegative(rank.Rank, "ranks.rank"), Checked.NotNegative(rank.Pid, "ranks.pid"), ToRecord(rank.State),
        Checked.NotNegative(rank.Attempt, "ranks.attempt"), Checked.NotNegative(rank.Step, "ranks.step"),
        Checked.Words(rank.Phase, ShortLengthMax),
        Checked.Span(rank.SinceProgress, "ranks.sinceProgress"), rank.HasExitCode ? rank.ExitCode : null,
        Checked.Words(rank.Error, ErrorLengthMax), rank.CollectiveSequence)
    {
        Fault = Checked.Words(rank.Fault, NoteLengthMax), LastLine = Checked.Words(rank.LastLine, NoteLengthMax),
        MemoryKill = Checked.Words(rank.MemoryKill, NoteLengthMax),
        LastLines = [.. rank.LastLines.TakeLast(LastLinesMax).Select(line => Checked.Words(line, LineLengthMax))],
        LocalTry = Checked.NotNegative(rank.LocalTry, "ranks.localTry"),
        Halted = rank.Halted,
        Broke = rank.NotFinite?.ToRecord(),
        SinceExit = rank.SinceExit is null ? null : Checked.Span(rank.SinceExit, "ranks.sinceExit"),
        PeerPort = Checked.Port(rank.PeerPort, "ranks.peerPort"),
        WaitsForGang = rank.WaitsForGang,
        BeganAt = rank.HasBeganAt ? Checked.NotNegative(rank.BeganAt, "ranks.beganAt") : null,
        OwnSeconds = Measured(rank.OwnSeconds),
        WaitedSeconds = Measured(rank.WaitedSeconds),
        QueuedSeconds = Measured(rank.QueuedSeconds),
        LostPeer = rank.HasLostPeer ? Checked.NotNegative(rank.LostPeer, "ranks.lostPeer") : null,
    };

    /// <summary>Of a whole launch, which may be weeks. What is no time was not measured: no beat is refused for it.</summary>
    private static double Measured(double seconds) => double.IsFinite(seconds) && seconds > 0 ? seconds : 0;

    private static NotFinite ToRecord(this Proto.NotFinite broke) => new(
        Checked.Words(broke.What, NoteLengthMax), NotFinite.InWords(broke.Value), Checked.NotNegative(broke.Step, "ranks.notFinite.step"),
        Checked.NotNegative(broke.Batch, "ranks.notFinite.batch"),
        Checked.NotNegative(broke.MicroBatch, "ranks.notFinite.microBatch"), Checked.Words(broke.Data, NoteLengthMax), broke.LearningRate);

    private static LocalRestart ToRecord(this Proto.LocalRestart restart, string node) => new(
        new NodeId(node), Checked.Time(restart.At, "localRestarts.at"), Checked.NotNegative(restart.Attempt, "localRestarts.attempt"),
        Checked.NotNegative(restart.LocalTry, "localRestarts.localTry"),
        restart.Ended?.ToRecord() ?? throw Checked.Invalid("localRestarts.ended is missing: say how the rank ended."),
        Checked.Span(restart.WithoutContact, "localRestarts.withoutContact"), Checked.Words(restart.Reason, NoteLengthMax));

    /// <summary>A state this version does not know is one of which nothing is known.</summary>
    private static RankState ToRecord(Proto.RankState state) => state switch
    {
        Proto.RankState.Starting => RankState.Starting,
        Proto.RankState.Training => RankState.Training,
        Proto.RankState.Saving => RankState.Saving,
        Proto.RankState.Done => RankState.Done,
        Proto.RankState.Exited => RankState.Exited,
        _ => RankState.Unknown,
    };

    /// <summary>A loss that is no number is news, not an error: the planner must see it.</summary>
    public static StepSample ToRecord(this Proto.StepSample sample)
    {
        Checked.AtMost(sample.Extra.Count, SeriesMax, "samples.extra");
        return new StepSample(
            Checked.NotNegative(sample.Step, "samples.step"), Checked.Time(sample.At, "samples.at"),
            Checked.Words(sample.Phase, ShortLengthMax),
            sample.Loss, sample.GradNorm,
            sample.LearningRate, Checked.NotNegative(sample.Tokens, "samples.tokens"),
            Checked.Seconds(sample.StepSeconds, "samples.stepSeconds"),
            Checked.NotNegative(sample.Attempt, "samples.attempt"),
            sample.Extra.ToImmutableDictionary(one => Series(one.Key, "samples.extra"), one => one.Value));
    }

    private static string Series(string name, string field) => name.Length is > 0 and <= ShortLengthMax && !name.Any(char.IsControl) ? name
        : throw Checked.Invalid(
            $"{field} has the name '{Checked.Shown(name)}'; 1 to {ShortLengthMax} characters without controls make one.");

    public static CheckpointMade ToRecord(this Proto.CheckpointReport made, StageId stage) => new(
        Checked.NotNegative(made.Step, "checkpoints.step"), PathOf(made, stage), Checked.NotNegative(made.Bytes, "checkpoints.bytes"),
        Checked.Words(made.Digest, ShortLengthMax),
        Checked.NotNegative(made.Tokens, "checkpoints.tokens"), made.Loss, Cursor(made.DataCursor),
        Checked.Span(made.Stall, "checkpoints.stall"),
        Checked.Span(made.Lag, "checkpoints.lag"), Checked.Time(made.At, "checkpoints.at"),
        Checked.NotNegative(made.Attempt, "checkpoints.attempt"),
        made.Final);

    /// <summary>
    /// Where the next stage and `dsops generate` will look: exactly where the stage's checkpoint of that step lies, and nowhere else.
    /// </summary>
    private static string PathOf(Proto.CheckpointReport made, StageId stage)
    {
        string right = string.Create(CultureInfo.InvariantCulture, $"{stage}/step-{made.Step:00000000}");
        return made.Path == right ? right
            : throw Checked.Invalid($"checkpoints.path is '{Checked.Shown(made.Path)}'; that of step {made.Step} is {right}.");
    }

    /// <summary>Cut, it would lead into other data.</summary>
    private static string Cursor(string text) => text.Length <= CursorLengthMax ? text
        : throw Checked.Invalid(
            $"checkpoints.dataCursor has {text.Length} characters; at most {CursorLengthMax} give the position in the data.");

    public static Evaluation ToRecord(this Proto.EvaluationReport report) => new(
        Series(report.Name, "evaluations.name"), report.Value,
        // Ends that are no numbers are no interval.
        report.HasLow && double.IsFinite(report.Low) ? report.Low : null,
        report.HasHigh && double.IsFinite(report.High) ? report.High : null,
        Checked.NotNegative(report.Samples, "evaluations.samples"), Checked.NotNegative(report.Step, "evaluations.step"),
        Checked.Time(report.At, "evaluations.at"), Checked.NotNegative(report.Attempt, "evaluations.attempt"));

    public static ExpertLoad ToRecord(this Proto.ExpertLoadReport load)
    {
        int experts = Checked.NotNegative(load.Experts, "expertLoads.experts");
        Checked.AtMost(load.Ratios.Count, RatiosMax, "expertLoads.ratios");
        int rows = experts == 0 ? 0 : load.Ratios.Count / experts;
        if (rows == 0 || rows * experts != load.Ratios.Count || load.MtpBlocks < 0 || load.MtpBlocks > rows)
        {
            throw Checked.Invalid($"expertLoads has {load.Ratios.Count} ratios; {experts} experts make whole rows of it, the last "
                + $"{load.MtpBlocks} of MTP blocks.");
        }
        if (load.Ratios.FirstOrDefault(ratio => !(ratio >= 0 && ratio <= RatioMax), 0) is not 0f and var wrong)
        {
            throw Checked.Invalid($"expertLoads.ratios has {wrong}; write an expert's tokens over the mean of its layer, 0 to {RatioMax}.");
        }
        return new ExpertLoad(
            Checked.NotNegative(load.Step, "expertLoads.step"), Checked.Time(load.At, "expertLoads.at"),
            Checked.NotNegative(load.Attempt, "expertLoads.attempt"),
            Checked.NotNegative(load.FirstLayer, "expertLoads.firstLayer"), load.MtpBlocks, experts, [.. load.Ratios]);
    }

    /// <param name="peersToken">What the ranks of a gang show each other, by gang and attempt.</param>
    /// <param name="allowsFaults">This cluster was started for drills.</param>
    public static Proto.WorkerReply ToProto(
        this WorkerReply reply, CheckpointRoot checkpoints, Func<GangId, int, string> peersToken, bool allowsFaults = false) => new()
        {
            Order = reply.Order.ToProto(checkpoints, peersToken, allowsFaults),
            BeatEvery = Duration.FromTimeSpan(reply.BeatEvery),
            Acknowledged = reply.Acknowledged,
            Undecided = reply.Undecided,
            PinnedSteps = { reply.Pinned },
            Faults = { allowsFaults ? reply.Faults.Select(ToProto) : [] },
            Trace = reply.Trace?.ToProto(),
            Read = reply.Read is { } read
                ? new Proto.ReadOrder { Id = read.Id, Path = read.Path, Digest = read.Digest, Share = read.Share, Of = read.Of } : null,
        };

    private static Proto.RankFault ToProto(RankFault fault)
    {
        var proto = new Proto.RankFault { Id = fault.Id, Attempt = fault.Attempt, Rank = fault.Rank };
        switch (fault.Kind)
        {
            case RankFaultKind.Rate:
                proto.Rate = new Proto.RateFault { Factor = fault.Factor, Steps = fault.Steps };
                break;
            case RankFaultKind.NotFinite:
                proto.Number = new Proto.NumberFault();
                break;
            case RankFaultKind.Slow:
                proto.Slow = new Proto.SlowFault { Factor = fault.Factor, Lasting = Duration.FromTimeSpan(fault.Lasting) };
                break;
            default:
                throw new UnreachableException($"fault {fault.Kind}");
        }

        return proto;
    }

    private static Proto.Order ToProto(
        this WorkerOrder order, CheckpointRoot checkpoints, Func<GangId, int, string> peersToken, bool allowsFaults) => order.Match(
        goOn: _ => new Proto.Order { Continue = new Proto.Continue() },
        start: start => new Proto.Order { Start = new Proto.Start { Assignment = start.Assignment.ToProto(checkpoints, allowsFaults) } },
        save: save => new Proto.Order { SaveCheckpoint = new Proto.SaveCheckpoint { Reason = save.Reason } },
        rollBack: back => new Proto.Order
        {
            RollBack = new Proto.RollBack
            {
                Assignment = back.Assignment.ToProto(checkpoints, allowsFaults), ToStep = back.ToStep, SkipSteps = back.SkipSteps,
                Reason = back.Reason,
            },
        },
        restart: restart => new Proto.Order
        {
            RestartRanks = new Proto.RestartRanks
            {
                Assignment = restart.Assignment.ToProto(checkpoints, allowsFaults), Reason = restart.Reason,
            },
        },
        form: form => new Proto.Order
        {
            Form = new Proto.Form
            {
                Attempt = form.Roster.Attempt,
                Roster = form.Roster.ToProto(peersToken(form.Roster.Gang, form.Roster.Attempt)),
            },
        },
        stop: stop => new Proto.Order
        {
            Stop = new Proto.Stop
            {
                Reason = stop.Reason,
                SaveWithin = stop.SaveWithin is { } within ? Duration.FromTimeSpan(within) : null,
            },
        });

    private static Proto.GangRoster ToProto(this Roster roster, string token) => new()
    {
        Gang = roster.Gang.ToString(), Term = roster.Attempt, Token = token,
        Members = { roster.Members.Select(m => new Proto.GangMember { Rank = m.Rank, Host = m.Host, Port = m.Port }) },
    };

    public static Proto.Assignment ToProto(this Assignment assignment, CheckpointRoot checkpoints, bool allowsFaults = false) => new()
    {
        AllowsFaults = allowsFaults,
        Attempt = new Proto.AttemptRef { Run = assignment.Stage.Run, Stage = assignment.Stage.Stage, Attempt = assignment.Attempt },
        Ranks = { assignment.Ranks.Select(
            rank => new Proto.RankPlacement { Rank = rank.Rank, Node = rank.Node.Name, LocalRank = rank.LocalRank }) },
        WorldSize = assignment.WorldSize,
        Plan = Placed(
            TrainingPlans.ToProto(
                assignment.LaidOut, assignment.Stage.Stage, checkpoints.Folder, assignment.BeginFrom?.ToProto(),
                assignment.StudentFrom?.ToProto()),
            assignment, checkpoints.Store),
        ResumeFrom = assignment.ResumeFrom?.ToProto(),
        RoundBegan = assignment.RoundBegan,
        Registrations = { assignment.Registrations },
        LeftOutBatches = { assignment.LeftOut },
        RolledBack = { assignment.LossActs.Select(act => new Proto.RolledBack { Attempt = act.Attempt, Step = act.ToStep }) },
        RateChanges = { assignment.LossActs.Where(act => act.RateFrom > 0).Select(
            act => new Proto.RateChange { FromStep = act.RateFrom, UntilStep = act.RateUntil, Factor = act.RateFactor }) },
        PinnedSteps = { assignment.Pinned },
        Traceparent = assignment.Traceparent,
    };

    private static Proto.TrainingPlan Placed(Proto.TrainingPlan plan, Assignment assignment, StoreAccess stores)
    {
        plan.Layout.Nodes = assignment.Nodes;
        var pipeline = assignment.LaidOut;
        plan.CheckpointStore = stores.For(pipeline.CheckpointsOf(pipeline.Stage(assignment.Stage.Stage)).Store) is not { } store ? null
            : new Proto.CheckpointStore
            {
                Uri = store.Uri, Endpoint = store.Endpoint, Region = store.Region, PathStyle = store.PathStyle,
            };
        return plan;
    }

    public static Proto.CheckpointRef ToProto(this CheckpointRef checkpoint) => new()
    {
        Path = checkpoint.Path, Digest = checkpoint.Digest, Step = checkpoint.Step, Run = checkpoint.Run, Stage = checkpoint.Stage,
        Published = checkpoint.Published,
    };
}
