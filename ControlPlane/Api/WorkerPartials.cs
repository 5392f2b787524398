using System.Collections.Immutable;
using System.Diagnostics;
using System.Globalization;
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
internal static class WorkerPartials
{
    /// <summary>Beyond it float16, which keeps them, has no number; a layer would need as many experts.</summary>
    private const float RatioMax = 65_504;

    /// <summary>
    /// What one beat may carry. Agents keep the same limits (ReportBuffer, ReportLimits of the worker), so that nothing honest is refused.
    /// </summary>
    private const int SamplesMax = 2_000;
    private const int OthersMax = 200;
    private const int LoadsMax = 64;

    /// <summary>DeepSeek-V3 has 59 rows of 256; four times as many.</summary>
    private const int RatiosMax = 65_536;

    private const int RanksMax = 1_024;
    private const int SeriesMax = 100;
    private const int LaunchPartsMax = 16;
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
        Door.AtMost(request.Ranks.Count, RanksMax, "ranks");
        return new AgentRegistration(
            Door.Words(request.Version, ShortLengthMax), new NodeId(Door.Name(request.Node, "node")), Door.Name(request.AgentId, "agentId"),
            Door.NotNegative(request.Pid, "pid"), stage, attempt, [.. request.Ranks.Select(ToRecord)])
        {
            WithoutContact = request.WithoutContact is { } away ? Door.Span(away, "withoutContact") : null,
        };
    }

    public static AgentBeat ToRecord(this Proto.HeartbeatRequest request)
    {
        var (stage, attempt) = Required(request.Attempt);
        Limited(request);
        return new AgentBeat(
            new NodeId(Door.Name(request.Node, "node")), Door.Name(request.AgentId, "agentId"), stage, attempt,
            Door.NotNegative(request.Sequence, "sequence"), [.. request.Ranks.Select(ToRecord)], [.. request.Samples.Select(ToRecord)],
            [.. request.Checkpoints.Select(made => made.ToRecord(stage))], [.. request.Evaluations.Select(ToRecord)],
            [.. request.Notes.Select(note => new WorkerNote(
                Door.Time(note.At, "notes.at"), Door.Words(note.Text, NoteLengthMax), Door.NotNegative(note.Attempt, "notes.attempt")))],
            request.LaunchSeconds.ToImmutableDictionary(part => Door.Name(part.Key, "launchSeconds"),
                part => Door.Seconds(part.Value, $"launchSeconds.{part.Key}")),
            [.. request.RefusedCheckpoints.Select(ToRecord)], [.. request.ExpertLoads.Select(ToRecord)])
        {
            Resumed = [.. request.Resumed.Select(resumed =>
                new ResumedFrom(Door.NotNegative(resumed.Attempt, "resumed.attempt"), resumed.Checkpoint?.ToRecord(stage))
                {
                    KeptStep = resumed.HasKeptStep ? Door.NotNegative(resumed.KeptStep, "resumed.keptStep") : null,
                })],
            LocalRestarts = [.. request.LocalRestarts.Select(restart => restart.ToRecord(request.Node))],
            PeerHost = request.PeerHost.Length == 0 ? "" : Door.Name(request.PeerHost, "peerHost"),
        };
    }

    private static void Limited(Proto.HeartbeatRequest request)
    {
        Door.AtMost(request.Ranks.Count, RanksMax, "ranks");
        Door.AtMost(request.Samples.Count, SamplesMax, "samples");
        Door.AtMost(request.Checkpoints.Count, OthersMax, "checkpoints");
        Door.AtMost(request.Evaluations.Count, OthersMax, "evaluations");
        Door.AtMost(request.Notes.Count, OthersMax, "notes");
        Door.AtMost(request.RefusedCheckpoints.Count, OthersMax, "refusedCheckpoints");
        Door.AtMost(request.Resumed.Count, OthersMax, "resumed");
        Door.AtMost(request.ExpertLoads.Count, LoadsMax, "expertLoads");
        Door.AtMost(request.LocalRestarts.Count, OthersMax, "localRestarts");
        Door.AtMost(request.LaunchSeconds.Count, LaunchPartsMax, "launchSeconds");
    }

    private static RefusedCheckpoint ToRecord(this Proto.RefusedCheckpoint refused) =>
        new(Door.Words(refused.Path, NoteLengthMax), Door.Words(refused.Reason, NoteLengthMax))
        {
            Attempt = Door.NotNegative(refused.Attempt, "refusedCheckpoints.attempt"), Digest = Door.Words(refused.Digest, ShortLengthMax),
        };

    public static (StageId Stage, int Attempt) Required(Proto.AttemptRef? attempt) => attempt is null
        ? throw Door.Invalid("attempt is missing: name run, stage and attempt.")
        : (Door.Stage(attempt.Run, attempt.Stage), Door.NotNegative(attempt.Attempt, "attempt"));

    public static RankSeen ToRecord(this Proto.RankStatus rank) => new(
        Door.NotNegative(rank.Rank, "ranks.rank"), Door.NotNegative(rank.Pid, "ranks.pid"), ToRecord(rank.State),
        Door.NotNegative(rank.Attempt, "ranks.attempt"), Door.NotNegative(rank.Step, "ranks.step"), Door.Words(rank.Phase, ShortLengthMax),
        Door.Span(rank.SinceProgress, "ranks.sinceProgress"), rank.HasExitCode ? rank.ExitCode : null,
        Door.Words(rank.Error, ErrorLengthMax), rank.CollectiveSequence)
    {
        Fault = Door.Words(rank.Fault, NoteLengthMax), LastLine = Door.Words(rank.LastLine, NoteLengthMax),
        MemoryKill = Door.Words(rank.MemoryKill, NoteLengthMax),
        LastLines = [.. rank.LastLines.TakeLast(LastLinesMax).Select(line => Door.Words(line, LineLengthMax))],
        LocalTry = Door.NotNegative(rank.LocalTry, "ranks.localTry"),
        Halted = rank.Halted,
        Broke = rank.NotFinite?.ToRecord(),
        SinceExit = rank.SinceExit is null ? null : Door.Span(rank.SinceExit, "ranks.sinceExit"),
        PeerPort = Door.Port(rank.PeerPort, "ranks.peerPort"),
        WaitsForGang = rank.WaitsForGang,
        BeganAt = rank.HasBeganAt ? Door.NotNegative(rank.BeganAt, "ranks.beganAt") : null,
        LostPeer = rank.HasLostPeer ? Door.NotNegative(rank.LostPeer, "ranks.lostPeer") : null,
    };

    private static NotFinite ToRecord(this Proto.NotFinite broke) => new(
        Door.Words(broke.What, NoteLengthMax), NotFinite.InWords(broke.Value), Door.NotNegative(broke.Step, "ranks.notFinite.step"),
        Door.NotNegative(broke.Batch, "ranks.notFinite.batch"),
        Door.NotNegative(broke.MicroBatch, "ranks.notFinite.microBatch"), Door.Words(broke.Data, NoteLengthMax), broke.LearningRate);

    private static LocalRestart ToRecord(this Proto.LocalRestart restart, string node) => new(
        new NodeId(node), Door.Time(restart.At, "localRestarts.at"), Door.NotNegative(restart.Attempt, "localRestarts.attempt"),
        Door.NotNegative(restart.LocalTry, "localRestarts.localTry"),
        restart.Ended?.ToRecord() ?? throw Door.Invalid("localRestarts.ended is missing: say how the rank ended."),
        Door.Span(restart.WithoutContact, "localRestarts.withoutContact"), Door.Words(restart.Reason, NoteLengthMax));

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
        Door.AtMost(sample.Extra.Count, SeriesMax, "samples.extra");
        return new StepSample(
            Door.NotNegative(sample.Step, "samples.step"), Door.Time(sample.At, "samples.at"), Door.Words(sample.Phase, ShortLengthMax),
            sample.Loss, sample.GradNorm,
            sample.LearningRate, Door.NotNegative(sample.Tokens, "samples.tokens"), Door.Seconds(sample.StepSeconds, "samples.stepSeconds"),
            Door.NotNegative(sample.Attempt, "samples.attempt"),
            sample.Extra.ToImmutableDictionary(one => Series(one.Key, "samples.extra"), one => one.Value));
    }

    private static string Series(string name, string field) => name.Length is > 0 and <= ShortLengthMax && !name.Any(char.IsControl) ? name
        : throw Door.Invalid($"{field} has the name '{Door.Shown(name)}'; 1 to {ShortLengthMax} characters without controls make one.");

    public static CheckpointMade ToRecord(this Proto.CheckpointReport made, StageId stage) => new(
        Door.NotNegative(made.Step, "checkpoints.step"), PathOf(made, stage), Door.NotNegative(made.Bytes, "checkpoints.bytes"),
        Door.Words(made.Digest, ShortLengthMax),
        Door.NotNegative(made.Tokens, "checkpoints.tokens"), made.Loss, Cursor(made.DataCursor), Door.Span(made.Stall, "checkpoints.stall"),
        Door.Span(made.Lag, "checkpoints.lag"), Door.Time(made.At, "checkpoints.at"), Door.NotNegative(made.Attempt, "checkpoints.attempt"),
        made.Final);

    /// <summary>
    /// Where the next stage and `dsops generate` will look: exactly where the stage's checkpoint of that step lies, and nowhere else.
    /// </summary>
    private static string PathOf(Proto.CheckpointReport made, StageId stage)
    {
        string right = string.Create(CultureInfo.InvariantCulture, $"{stage}/step-{made.Step:00000000}");
        return made.Path == right ? right
            : throw Door.Invalid($"checkpoints.path is '{Door.Shown(made.Path)}'; that of step {made.Step} is {right}.");
    }

    /// <summary>Cut, it would lead into other data.</summary>
    private static string Cursor(string text) => text.Length <= CursorLengthMax ? text
        : throw Door.Invalid($"checkpoints.dataCursor has {text.Length} characters; at most {CursorLengthMax} say where the data stands.");

    public static Evaluation ToRecord(this Proto.EvaluationReport report) => new(
        Series(report.Name, "evaluations.name"), report.Value, report.HasLow ? report.Low : null, report.HasHigh ? report.High : null,
        Door.NotNegative(report.Samples, "evaluations.samples"), Door.NotNegative(report.Step, "evaluations.step"),
        Door.Time(report.At, "evaluations.at"), Door.NotNegative(report.Attempt, "evaluations.attempt"));

    public static ExpertLoad ToRecord(this Proto.ExpertLoadReport load)
    {
        int experts = Door.NotNegative(load.Experts, "expertLoads.experts");
        Door.AtMost(load.Ratios.Count, RatiosMax, "expertLoads.ratios");
        int rows = experts == 0 ? 0 : load.Ratios.Count / experts;
        if (rows == 0 || rows * experts != load.Ratios.Count || load.MtpBlocks < 0 || load.MtpBlocks > rows)
        {
            throw Door.Invalid($"expertLoads has {load.Ratios.Count} ratios; {experts} experts make whole rows of it, the last "
                + $"{load.MtpBlocks} of MTP blocks.");
        }
        if (load.Ratios.FirstOrDefault(ratio => !(ratio >= 0 && ratio <= RatioMax), 0) is not 0f and var wrong)
        {
            throw Door.Invalid($"expertLoads.ratios has {wrong}; write an expert's tokens over the mean of its layer, 0 to {RatioMax}.");
        }
        return new ExpertLoad(
            Door.NotNegative(load.Step, "expertLoads.step"), Door.Time(load.At, "expertLoads.at"),
            Door.NotNegative(load.Attempt, "expertLoads.attempt"),
            Door.NotNegative(load.FirstLayer, "expertLoads.firstLayer"), load.MtpBlocks, experts, [.. load.Ratios]);
    }

    /// <param name="peersToken">What the ranks of a gang show each other, by gang and attempt.</param>
    public static Proto.WorkerReply ToProto(this WorkerReply reply, string checkpointRoot, Func<GangId, int, string> peersToken) => new()
    {
        Order = reply.Order.ToProto(checkpointRoot, peersToken),
        BeatEvery = Duration.FromTimeSpan(reply.BeatEvery),
        Acknowledged = reply.Acknowledged,
        Undecided = reply.Undecided,
        PinnedSteps = { reply.Pinned },
    };

    private static Proto.Order ToProto(this WorkerOrder order, string checkpointRoot, Func<GangId, int, string> peersToken) => order.Match(
        goOn: _ => new Proto.Order { Continue = new Proto.Continue() },
        start: start => new Proto.Order { Start = new Proto.Start { Assignment = start.Assignment.ToProto(checkpointRoot) } },
        save: save => new Proto.Order { SaveCheckpoint = new Proto.SaveCheckpoint { Reason = save.Reason } },
        rollBack: back => new Proto.Order
        {
            RollBack = new Proto.RollBack
            {
                Assignment = back.Assignment.ToProto(checkpointRoot), ToStep = back.ToStep, SkipSteps = back.SkipSteps,
                Reason = back.Reason,
            },
        },
        restart: restart => new Proto.Order
        {
            RestartRanks = new Proto.RestartRanks { Assignment = restart.Assignment.ToProto(checkpointRoot), Reason = restart.Reason },
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

    public static Proto.Assignment ToProto(this Assignment assignment, string checkpointRoot) => new()
    {
        Attempt = new Proto.AttemptRef { Run = assignment.Stage.Run, Stage = assignment.Stage.Stage, Attempt = assignment.Attempt },
        Ranks = { assignment.Ranks.Select(
            rank => new Proto.RankPlacement { Rank = rank.Rank, Node = rank.Node.Name, LocalRank = rank.LocalRank }) },
        WorldSize = assignment.WorldSize,
        Plan = TrainingPlans.ToProto(
            assignment.Pipeline, assignment.Stage.Stage, checkpointRoot, assignment.BeginFrom?.ToProto(),
            assignment.StudentFrom?.ToProto()),
        ResumeFrom = assignment.ResumeFrom?.ToProto(),
        RoundBegan = assignment.RoundBegan,
        Registrations = { assignment.Registrations },
        LeftOutBatches = { assignment.LeftOut },
        RolledBack = { assignment.LossActs.Select(act => new Proto.RolledBack { Attempt = act.Attempt, Step = act.ToStep }) },
        RateChanges = { assignment.LossActs.Where(act => act.RateFrom > 0).Select(
            act => new Proto.RateChange { FromStep = act.RateFrom, UntilStep = act.RateUntil, Factor = act.RateFactor }) },
        PinnedSteps = { assignment.Pinned },
    };

    public static Proto.CheckpointRef ToProto(this CheckpointRef checkpoint) => new()
    {
        Path = checkpoint.Path, Digest = checkpoint.Digest, Step = checkpoint.Step, Run = checkpoint.Run, Stage = checkpoint.Stage,
        Published = checkpoint.Published,
    };
}
