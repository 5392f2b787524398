using System.Collections.Immutable;
using DeepSeekOps.Contracts.Worker.V1;
using DeepSeekOps.ControlPlane.Clusters;
using DeepSeekOps.ControlPlane.Grains;
using DeepSeekOps.ControlPlane.Storage;
using DeepSeekOps.Decisions;
using DeepSeekOps.Decisions.Health;
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using LogLine = DeepSeekOps.ControlPlane.Storage.LogLine;
using Stages = DeepSeekOps.Decisions.Stages;

namespace DeepSeekOps.ControlPlane.Api;

/// <summary>Where agents report. No state here: an agent's stage answers.</summary>
/// <param name="checkpoints">Where checkpoints are kept, as the workers see it.</param>
internal sealed class WorkerGrpcService(
    IGrainFactory grains, LogStore logs, CheckpointRoot checkpoints, AccessKey key, ITrainingCluster cluster, TimeProvider clock)
    : WorkerService.WorkerServiceBase
{
    public const int Protocol = 1;

    private const int LogLinesMax = 10_000;
    private const int LogLineLengthMax = 16_384;

    public override async Task<WorkerReply> Register(RegisterRequest request, ServerCallContext context)
    {
        if (request.Protocol != Protocol)
        {
            throw new RpcException(new Status(
                StatusCode.FailedPrecondition,
                $"The agent speaks protocol {request.Protocol}, this control plane {Protocol}. Start agents from the same "
                    + "version as the control plane."));
        }
        var registration = request.ToRecord();
        var agent = AccessGuard.ClaimsOf(context);
        Fits(agent, registration.Stage, registration.Attempt, registration.Node);
        var reply = await grains.GetGrain<IStageGrain>(registration.Stage.ToString())
            .Register(registration with { Gang = agent.Gang.Number });
        return reply.ToProto(checkpoints, key.PeersToken, cluster.Drills is not null);
    }

    public override async Task<WorkerReply> Heartbeat(HeartbeatRequest request, ServerCallContext context)
    {
        var beat = request.NotAhead(clock.GetUtcNow()).ToRecord();
        var agent = AccessGuard.ClaimsOf(context);
        Fits(agent, beat.Stage, beat.Attempt, beat.Node);
        Fits(agent, beat);
        var reply = await grains.GetGrain<IStageGrain>(beat.Stage.ToString()).Heartbeat(beat with { Gang = agent.Gang.Number });
        return reply.ToProto(checkpoints, key.PeersToken, cluster.Drills is not null);
    }

    public override async Task<WorkerReply> ReportLogs(LogBatch request, ServerCallContext context)
    {
        var (stage, attempt) = WorkerMapping.Required(request.Attempt);
        var node = new NodeId(Checked.Name(request.Node, "node"));
        Fits(AccessGuard.ClaimsOf(context), stage, attempt, node);
        if (request.Lines.Count > LogLinesMax)
        {
            throw Checked.Invalid($"The batch has {request.Lines.Count} lines; send at most {LogLinesMax} at once.");
        }
        if (attempt > await grains.GetGrain<IStageGrain>(stage.ToString()).NewestAttempt())
        {
            throw new RpcException(new Status(StatusCode.NotFound, $"{stage} has no attempt {attempt} whose lines could be kept."));
        }
        ImmutableArray<LogLine> lines = [.. request.Lines.Select(ToRecord)];
        await logs.Append(
            stage, attempt, Checked.NotNegative(request.Rank, "rank"), node.Name, Checked.NotNegative(request.FirstLine, "firstLine"),
            lines, context.CancellationToken);
        return new WorkerReply
        {
            Order = new Order { Continue = new Continue() },
            BeatEvery = Duration.FromTimeSpan(Stages.WorkerOrders.BeatEvery),
        };
    }

    /// <summary>An agent speaks for its own node of its own gang; the attempts of a gang begin with its number.</summary>
    private static void Fits(AgentClaims agent, StageId stage, int attempt, NodeId node)
    {
        if (agent.Gang.Stage != stage || agent.Node != node || attempt < agent.Gang.Number)
        {
            throw new RpcException(new Status(StatusCode.PermissionDenied,
                $"This agent speaks for {agent.Gang} on {agent.Node.Name}; the message is of {stage} attempt {attempt} on {node.Name}."));
        }
    }

    /// <summary>
    /// What it brings is of the attempts that it has run: its gang's first to its present one. Samples may be of earlier ones, whose agent
    /// died before it had told them: of a step that is known already the first word stays.
    /// </summary>
    private static void Fits(AgentClaims agent, AgentBeat beat)
    {
        if (beat.Samples.FirstOrDefault(s => s.Attempt > beat.Attempt) is { } later)
        {
            throw new RpcException(new Status(StatusCode.PermissionDenied,
                $"This agent is at attempt {beat.Attempt} of {agent.Gang.Stage}; it cannot report of attempt {later.Attempt}."));
        }

        var attempts = beat.Checkpoints.Select(c => c.Attempt).Concat(beat.Evaluations.Select(e => e.Attempt))
            .Concat(beat.Notes.Select(n => n.Attempt)).Concat(beat.ExpertLoads.Select(l => l.Attempt))
            .Concat(beat.Ranks.Select(r => r.Attempt));
        if (attempts.FirstOrDefault(attempt => attempt < agent.Gang.Number || attempt > beat.Attempt, agent.Gang.Number) is var other
            && other != agent.Gang.Number)
        {
            throw new RpcException(new Status(StatusCode.PermissionDenied,
                $"This agent has run attempts {agent.Gang.Number} to {beat.Attempt} of {agent.Gang.Stage}; it cannot "
                    + $"report of attempt {other}."));
        }
    }

    private static LogLine ToRecord(Contracts.Worker.V1.LogLine line) => new(
        Checked.Time(line.At, "lines.at"), Checked.Words(line.Text, LogLineLengthMax), line.Error);
}
