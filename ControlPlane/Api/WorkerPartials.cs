using System.Collections.Immutable;
using System.Diagnostics;
using DeepSeekOps.ControlPlane.Pipelines;
using DeepSeekOps.Decisions;
using DeepSeekOps.Decisions.Checkpoints;
using DeepSeekOps.Decisions.Health;
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

    public static AgentRegistration ToRecord(this Proto.RegisterRequest request)
    {
        var (stage, attempt) = Required(request.Attempt);
        return new AgentRegistration(
            request.Version, new NodeId(Door.Name(request.Node, "node")), Door.Name(request.AgentId, "agentId"),
            Door.NotNegative(request.Pid, "pid"), stage, attempt, [.. request.Ranks.Select(ToRecord)])
        {
            WithoutContact = request.WithoutContact is { } away ? Door.Span(away, "withoutContact") : null,
        };
    }

    public static AgentBeat ToRecord(this Proto.HeartbeatRequest request)
    {
        var (stage, attempt) = Required(request.Attempt);
        return new AgentBeat(
            new NodeId(Door.Name(request.Node, "node")), Door.Name(request.AgentId, "agentId"), stage, attempt,
            Door.NotNegative(request.Sequence, "sequence"), [.. request.Ranks.Select(ToRecord)], [.. request.Samples.Select(ToRecord)],
            [.. request.Checkpoints.Select(ToRecord)], [.. request.Evaluations.Select(ToRecord)],
            [.. request.Notes.Select(note => new WorkerNote(Door.Time(note.At, "notes.at"), note.Text, Door.NotNegative(note.Attempt, "notes.attempt")))],
            request.LaunchSeconds.ToImmutableDictionary(),
            [.. request.RefusedCheckpoints.Select(ToRecord)], [.. request.ExpertLoads.Select(ToRecord)])
        {
            Resumed = [.. request.Resumed.Select(resumed =>
                new ResumedFrom(Door.NotNegative(resumed.Attempt, "resumed.attempt"), resumed.Checkpoint?.ToRecord()))],
            LocalRestarts = [.. request.LocalRestarts.Select(restart => restart.ToRecord(request.Node))],
        };
    }

    private static RefusedCheckpoint ToRecord(this Proto.RefusedCheckpoint refused) => new(refused.Path, refused.Reason)
    {
        Attempt = Door.NotNegative(refused.Attempt, "refusedCheckpoints.attempt"), Digest = refused.Digest,
    };

    public static (StageId Stage, int Attempt) Required(Proto.AttemptRef? attempt) => attempt is null
        ? throw Door.Invalid("attempt is missing: name run, stage and attempt.")
        : (Door.Stage(attempt.Run, attempt.Stage), Door.NotNegative(attempt.Attempt, "attempt"));

    public static RankSeen ToRecord(this Proto.RankStatus rank) => new(
        Door.NotNegative(rank.Rank, "ranks.rank"), Door.NotNegative(rank.Pid, "ranks.pid"), ToRecord(rank.State),
        Door.NotNegative(rank.Attempt, "ranks.attempt"), Door.NotNegative(rank.Step, "ranks.step"), rank.Phase,
        Door.Span(rank.SinceProgress, "ranks.sinceProgress"), rank.HasExitCode ? rank.ExitCode : null, rank.Error, rank.CollectiveSequence)
    {
        Fault = rank.Fault, LastLine = rank.LastLine, MemoryKill = rank.MemoryKill, LocalTry = Door.NotNegative(rank.LocalTry, "ranks.localTry"),
        Halted = rank.Halted,
    };

    private static LocalRestart ToRecord(this Proto.LocalRestart restart, string node) => new(
        new NodeId(node), Door.Time(restart.At, "localRestarts.at"), Door.NotNegative(restart.Attempt, "localRestarts.attempt"),
        Door.NotNegative(restart.LocalTry, "localRestarts.localTry"),
        restart.Ended?.ToRecord() ?? throw Door.Invalid("localRestarts.ended is missing: say how the rank ended."),
        Door.Span(restart.WithoutContact, "localRestarts.withoutContact"), restart.Reason);

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
    public static StepSample ToRecord(this Proto.StepSample sample) => new(
        Door.NotNegative(sample.Step, "samples.step"), Door.Time(sample.At, "samples.at"), sample.Phase, sample.Loss, sample.GradNorm,
        sample.LearningRate, Door.NotNegative(sample.Tokens, "samples.tokens"), sample.StepSeconds,
        Door.NotNegative(sample.Attempt, "samples.attempt"), sample.Extra.ToImmutableDictionary());

    public static CheckpointMade ToRecord(this Proto.CheckpointReport made) => new(
        Door.NotNegative(made.Step, "checkpoints.step"), made.Path, Door.NotNegative(made.Bytes, "checkpoints.bytes"), made.Digest,
        Door.NotNegative(made.Tokens, "checkpoints.tokens"), made.Loss, made.DataCursor, Door.Span(made.Stall, "checkpoints.stall"),
        Door.Span(made.Lag, "checkpoints.lag"), Door.Time(made.At, "checkpoints.at"), Door.NotNegative(made.Attempt, "checkpoints.attempt"), made.Final);

    public static Evaluation ToRecord(this Proto.EvaluationReport report) => new(
        report.Name, report.Value, report.HasLow ? report.Low : null, report.HasHigh ? report.High : null,
        Door.NotNegative(report.Samples, "evaluations.samples"), Door.NotNegative(report.Step, "evaluations.step"),
        Door.Time(report.At, "evaluations.at"), Door.NotNegative(report.Attempt, "evaluations.attempt"));

    public static ExpertLoad ToRecord(this Proto.ExpertLoadReport load)
    {
        int experts = Door.NotNegative(load.Experts, "expertLoads.experts");
        int rows = experts == 0 ? 0 : load.Ratios.Count / experts;
        if (rows == 0 || rows * experts != load.Ratios.Count || load.MtpBlocks < 0 || load.MtpBlocks > rows)
        {
            throw Door.Invalid($"expertLoads has {load.Ratios.Count} ratios; {experts} experts make whole rows of it, the last {load.MtpBlocks} of MTP blocks.");
        }
        if (load.Ratios.FirstOrDefault(ratio => !(ratio >= 0 && ratio <= RatioMax), 0) is not 0f and var wrong)
        {
            throw Door.Invalid($"expertLoads.ratios has {wrong}; write an expert's tokens over the mean of its layer, 0 to {RatioMax}.");
        }
        return new ExpertLoad(
            Door.NotNegative(load.Step, "expertLoads.step"), Door.Time(load.At, "expertLoads.at"), Door.NotNegative(load.Attempt, "expertLoads.attempt"),
            Door.NotNegative(load.FirstLayer, "expertLoads.firstLayer"), load.MtpBlocks, experts, [.. load.Ratios]);
    }

    public static Proto.WorkerReply ToProto(this WorkerReply reply, string checkpointRoot) => new()
    {
        Order = reply.Order.ToProto(checkpointRoot),
        BeatEvery = Duration.FromTimeSpan(reply.BeatEvery),
        Acknowledged = reply.Acknowledged,
        Undecided = reply.Undecided,
    };

    public static Proto.Order ToProto(this WorkerOrder order, string checkpointRoot) => order switch
    {
        WorkerOrder.Continue => new Proto.Order { Continue = new Proto.Continue() },
        WorkerOrder.Start start => new Proto.Order { Start = new Proto.Start { Assignment = start.Assignment.ToProto(checkpointRoot) } },
        WorkerOrder.SaveCheckpoint save => new Proto.Order { SaveCheckpoint = new Proto.SaveCheckpoint { Reason = save.Reason } },
        WorkerOrder.RollBack back => new Proto.Order
        {
            RollBack = new Proto.RollBack
            {
                Assignment = back.Assignment.ToProto(checkpointRoot), ToStep = back.ToStep, SkipSteps = back.SkipSteps, Reason = back.Reason,
            },
        },
        WorkerOrder.RestartRanks restart => new Proto.Order
        {
            RestartRanks = new Proto.RestartRanks { Assignment = restart.Assignment.ToProto(checkpointRoot), Reason = restart.Reason },
        },
        WorkerOrder.Stop stop => new Proto.Order
        {
            Stop = new Proto.Stop { Reason = stop.Reason, SaveWithin = stop.SaveWithin is { } within ? Duration.FromTimeSpan(within) : null },
        },
        _ => throw new UnreachableException($"order {order}"),
    };

    public static Proto.Assignment ToProto(this Assignment assignment, string checkpointRoot) => new()
    {
        Attempt = new Proto.AttemptRef { Run = assignment.Stage.Run, Stage = assignment.Stage.Stage, Attempt = assignment.Attempt },
        Ranks = { assignment.Ranks.Select(rank => new Proto.RankPlacement { Rank = rank.Rank, Node = rank.Node.Name, LocalRank = rank.LocalRank }) },
        WorldSize = assignment.Ranks.Length,
        RendezvousHost = assignment.RendezvousHost,
        RendezvousPort = assignment.RendezvousPort,
        Plan = TrainingPlans.ToProto(
            assignment.Pipeline, assignment.Stage.Stage, checkpointRoot, assignment.BeginFrom?.ToProto(), assignment.StudentFrom?.ToProto()),
        ResumeFrom = assignment.ResumeFrom?.ToProto(),
        RoundBegan = assignment.RoundBegan,
        Registrations = { assignment.Registrations },
    };

    public static Proto.CheckpointRef ToProto(this CheckpointRef checkpoint) => new()
    {
        Path = checkpoint.Path, Digest = checkpoint.Digest, Step = checkpoint.Step, Run = checkpoint.Run, Stage = checkpoint.Stage,
        Published = checkpoint.Published,
    };
}
