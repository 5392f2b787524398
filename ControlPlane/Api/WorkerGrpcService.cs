using System.Collections.Immutable;
using DeepSeekOps.Contracts.Worker.V1;
using DeepSeekOps.ControlPlane.Grains;
using DeepSeekOps.ControlPlane.Storage;
using DeepSeekOps.Decisions;
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using LogLine = DeepSeekOps.ControlPlane.Storage.LogLine;
using Stages = DeepSeekOps.Decisions.Stages;

namespace DeepSeekOps.ControlPlane.Api;

/// <summary>Where agents report. No state here: an agent's stage answers.</summary>
/// <param name="checkpoints">Where checkpoints are kept, as the workers see it.</param>
internal sealed class WorkerGrpcService(IGrainFactory grains, LogStore logs, CheckpointRoot checkpoints) : WorkerService.WorkerServiceBase
{
    public const int Protocol = 1;

    private const int LogLinesMax = 10_000;
    private const int LogLineLengthMax = 16_384;

    private static readonly TimeSpan BeatEvery = TimeSpan.FromSeconds(1);

    public override async Task<WorkerReply> Register(RegisterRequest request, ServerCallContext context)
    {
        if (request.Protocol != Protocol)
        {
            throw new RpcException(new Status(
                StatusCode.FailedPrecondition,
                $"The agent speaks protocol {request.Protocol}, this control plane {Protocol}. Start agents from the same version as the control plane."));
        }
        var registration = request.ToRecord();
        Fits(AccessGuard.ClaimsOf(context), registration.Stage, registration.Attempt, registration.Node);
        var reply = await grains.GetGrain<IStageGrain>(registration.Stage.ToString()).Register(registration);
        return reply.ToProto(checkpoints.Folder);
    }

    public override async Task<WorkerReply> Heartbeat(HeartbeatRequest request, ServerCallContext context)
    {
        var beat = request.ToRecord();
        Fits(AccessGuard.ClaimsOf(context), beat.Stage, beat.Attempt, beat.Node);
        var reply = await grains.GetGrain<IStageGrain>(beat.Stage.ToString()).Heartbeat(beat);
        return reply.ToProto(checkpoints.Folder);
    }

    public override async Task<WorkerReply> ReportLogs(LogBatch request, ServerCallContext context)
    {
        var (stage, attempt) = WorkerPartials.Required(request.Attempt);
        var node = new NodeId(Door.Name(request.Node, "node"));
        Fits(AccessGuard.ClaimsOf(context), stage, attempt, node);
        if (request.Lines.Count > LogLinesMax)
        {
            throw Door.Invalid($"The batch has {request.Lines.Count} lines; send at most {LogLinesMax} at once.");
        }
        ImmutableArray<LogLine> lines = [.. request.Lines.Select(ToRecord)];
        await logs.Append(
            stage, attempt, Door.NotNegative(request.Rank, "rank"), node.Name, Door.NotNegative(request.FirstLine, "firstLine"),
            lines, context.CancellationToken);
        return new WorkerReply
        {
            Order = new Stages.WorkerOrder.Continue().ToProto(checkpoints.Folder),
            BeatEvery = Duration.FromTimeSpan(BeatEvery),
        };
    }

    /// <summary>An agent speaks for its own node of its own gang; the attempts of a gang begin with its number.</summary>
    private static void Fits(AgentClaims agent, StageId stage, int attempt, NodeId node)
    {
        if (agent.Stage != stage || agent.Node != node || attempt < agent.Gang)
        {
            throw new RpcException(new Status(StatusCode.PermissionDenied,
                $"This agent speaks for {agent.Stage} gang {agent.Gang} on {agent.Node.Name}; the message is of {stage} attempt {attempt} on {node.Name}."));
        }
    }

    private static LogLine ToRecord(Contracts.Worker.V1.LogLine line) => new(
        Door.Time(line.At, "lines.at"), line.Text.Length > LogLineLengthMax ? line.Text[..LogLineLengthMax] : line.Text, line.Error);
}

/// <summary>Where checkpoints are kept, as the workers see it.</summary>
internal sealed record CheckpointRoot(string Folder);
