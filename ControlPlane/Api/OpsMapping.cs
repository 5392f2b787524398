using System.Diagnostics;
using DeepSeekOps.ControlPlane.Pipelines;
using DeepSeekOps.Decisions;
using DeepSeekOps.Decisions.Checkpoints;
using DeepSeekOps.Decisions.Health;
using DeepSeekOps.Decisions.Recipes;
using DeepSeekOps.Decisions.Runs;
using DeepSeekOps.Decisions.Stages;
using Google.Protobuf.WellKnownTypes;
using Proto = DeepSeekOps.Contracts.Ops.V1;

namespace DeepSeekOps.ControlPlane.Api;

/// <summary>Records as the messages that people and tools read.</summary>
internal static class OpsMapping
{
    /// <param name="price">Dollars of a GPU-hour. Null: not set.</param>
    public static Proto.Run ToProto(this RunView run, DateTimeOffset now, double? price = null) => new()
    {
        Name = run.Name, Team = run.Team, State = run.State, Reason = run.Reason, SubmittedAt = run.SubmittedAt.ToTimestamp(),
        EndedAt = run.EndedAt?.ToTimestamp(), Stages = { run.Stages.Select(stage => stage.ToProto(now, price)) },
        Pipeline = run.PipelineText, Parameters = run.Parameters, DeclaredBy = run.DeclaredBy,
        Simulated = run.Simulated, AsOf = Freshness.Told(run.AsOf, now)?.ToTimestamp(), Forecast = run.Forecast?.ToProto(),
        Cost = CostMapping.CostOf(run, price), Hold = run.Held?.ToProto(),
    };

    /// <param name="run">A summary.</param>
    public static Proto.RunSummary ToSummary(this RunView run, DateTimeOffset now) => new()
    {
        Name = run.Name, Team = run.Team, State = run.State, Reason = run.Reason, SubmittedAt = run.SubmittedAt.ToTimestamp(),
        EndedAt = run.EndedAt?.ToTimestamp(), Stages = { run.Stages.Select(stage => ToSummary(stage, now)) }, Parameters = run.Parameters,
        Simulated = run.Simulated,
        Forecast = run.Forecast?.ToProto(), AsOf = Freshness.Told(run.AsOf, now)?.ToTimestamp(),
    };

    private static Proto.RunForecast ToProto(this RunForecast forecast) => new()
    {
        Left = Duration.FromTimeSpan(forecast.Left), Low = Duration.FromTimeSpan(forecast.Low), High = Duration.FromTimeSpan(forecast.High),
        Basis = forecast.Basis,
    };

    private static Proto.StageSummary ToSummary(StageView stage, DateTimeOffset now)
    {
        var proto = new Proto.StageSummary
        {
            Name = stage.Name, Kind = stage.Kind, State = stage.State, Attempt = stage.Attempt, Step = stage.Step,
            TotalSteps = stage.TotalSteps,
            Tokens = stage.Tokens, TotalTokens = stage.TotalTokens,
            Remaining = stage.Remaining is { } left ? Duration.FromTimeSpan(left) : null,
            AsOf = Freshness.Told(stage.AsOf, now)?.ToTimestamp(),
        };
        Set(stage.Loss, value => proto.Loss = value);
        Set(stage.Mfu, value => proto.Mfu = value);
        Set(stage.TokensPerSecond, value => proto.TokensPerSecond = value);
        Set(stage.CheckpointStep, value => proto.CheckpointStep = value);
        return proto;
    }

    public static Proto.Stage ToProto(this StageView stage, DateTimeOffset now, double? price = null)
    {
        var proto = new Proto.Stage
        {
            Name = stage.Name, Kind = stage.Kind, State = stage.State, Reason = stage.Reason, Attempt = stage.Attempt, Step = stage.Step,
            TotalSteps = stage.TotalSteps, Tokens = stage.Tokens, TotalTokens = stage.TotalTokens, Phase = stage.Phase,
            Ranks = { stage.Ranks.Select(ToProto) }, RankGroups = { stage.FoldedRanks.Select(ToProto) },
            StartedAt = stage.StartedAt?.ToTimestamp(), EndedAt = stage.EndedAt?.ToTimestamp(),
            Remaining = stage.Remaining is { } left ? Duration.FromTimeSpan(left) : null,
            Evaluations = { stage.Evaluations.Select(ToProto) },
            RemainingLow = stage.Remaining is null || stage.Outlook is null ? null : Duration.FromTimeSpan(stage.Outlook.Low),
            RemainingHigh = stage.Remaining is null || stage.Outlook is null ? null : Duration.FromTimeSpan(stage.Outlook.High),
            RestartsByCause = { stage.RestartsByCause }, Wait = stage.Pending?.ToProto(), BeganFrom = stage.BeganFrom,
            AsOf = Freshness.Told(stage.AsOf, now)?.ToTimestamp(),
            Silence = stage.Silence?.Words ?? "", SilentFor = stage.Silence is { } silence ? Duration.FromTimeSpan(silence.For) : null,
            Cost = stage.Cost?.ToProto(stage.Name, price),
            VerifiedAt = stage.Trusted?.Trust?.At.ToTimestamp(), VerifiedBy = stage.Trusted?.Trust?.By ?? "",
        };
        Set(stage.Trusted?.Made.Step, value => proto.VerifiedStep = value);
        Set(stage.Loss, value => proto.Loss = value);
        Set(stage.Mfu, value => proto.Mfu = value);
        Set(stage.TokensPerSecond, value => proto.TokensPerSecond = value);
        Set(stage.GradNorm, value => proto.GradNorm = value);
        Set(stage.LearningRate, value => proto.LearningRate = value);
        Set(stage.CheckpointStep, value => proto.CheckpointStep = value);
        Set(stage.StoredStep, value => proto.StoredStep = value);
        return proto;
    }

    private static Proto.RankGroup ToProto(RankGroup group) => new()
    {
        State = group.State.InWords(), Ranks = group.Ranks, Nodes = group.Nodes,
    };

    public static Proto.Rank ToProto(this RankView rank) => new()
    {
        Rank_ = rank.Rank, Node = rank.Node, Pid = rank.Pid, State = rank.State.InWords(), LastSeen = rank.LastSeen?.ToTimestamp(),
        AgentPid = rank.AgentPid,
        SeenAgo = rank.SeenAgo is { } ago ? Duration.FromTimeSpan(ago) : null,
    };

    public static string InWords(this RankState state) => state.Match(
        unknown: "unknown", starting: "starting", training: "training", saving: "saving", done: "done", exited: "exited");

    private static Proto.Evaluation ToProto(Evaluation evaluation)
    {
        var proto = new Proto.Evaluation
        {
            Name = evaluation.Name,
            Value = evaluation.Value,
            Samples = evaluation.Samples,
            Step = evaluation.Step,
        };
        Set(evaluation.Low, value => proto.Low = value);
        Set(evaluation.High, value => proto.High = value);
        return proto;
    }

    public static Proto.Event ToProto(this RunEvent happened, long number)
    {
        var proto = new Proto.Event
        {
            Number = number, At = happened.At.ToTimestamp(), Run = happened.Run, Stage = happened.Stage, Attempt = happened.Attempt,
            Kind = happened.Kind, Text = happened.Text, Node = happened.Node,
            Took = happened.Took is { } took ? Duration.FromTimeSpan(took) : null,
            Level = happened.Level switch
            {
                EventLevel.Info => "info",
                EventLevel.Warning => "warning",
                EventLevel.Error => "error",
                _ => throw new UnreachableException($"level {happened.Level}"),
            },
        };
        Set(happened.Step, value => proto.Step = value);
        return proto;
    }

    public static Proto.Checkpoint ToProto(this StageCheckpoint checkpoint, string run, string stage) => new()
    {
        Run = run, Stage = stage, Step = checkpoint.Made.Step, Attempt = checkpoint.Made.Attempt, Path = checkpoint.Made.Path,
        Bytes = checkpoint.Made.Bytes, Digest = checkpoint.Made.Digest, Tokens = checkpoint.Made.Tokens, Loss = checkpoint.Made.Loss,
        DataCursor = checkpoint.Made.DataCursor, At = checkpoint.Made.At.ToTimestamp(),
        Stall = Duration.FromTimeSpan(checkpoint.Made.Stall),
        Lag = Duration.FromTimeSpan(checkpoint.Made.Lag), Lineage = checkpoint.Lineage, Reason = checkpoint.Reason,
        VerifiedAt = checkpoint.Trust?.At.ToTimestamp(), VerifiedBy = checkpoint.Trust?.By ?? "", Unread = checkpoint.Unread?.Why ?? "",
        StoreUri = checkpoint.Stored?.Uri ?? "", StoredAt = checkpoint.Stored?.At.ToTimestamp(), OnlyStored = checkpoint.OnlyStored,
        StoreLag = checkpoint.Stored is { } stored ? Duration.FromTimeSpan(stored.Lag) : null,
        State = checkpoint.State switch
        {
            CheckpointState.Good => "good",
            CheckpointState.Final => "final",
            CheckpointState.Pinned => "pinned",
            CheckpointState.Quarantined => "quarantined",
            CheckpointState.Deleted => "deleted",
            _ => throw new UnreachableException($"state {checkpoint.State}"),
        },
    };

    public static Proto.Problem ToProto(this PipelineProblem problem) => new()
    {
        Severity = problem.Severity == ProblemSeverity.Error ? Proto.Severity.Error : Proto.Severity.Warning, Line = problem.Line,
        Column = problem.Column, Field = problem.Field, Value = problem.Value, Message = problem.Message, Fix = problem.Fix,
    };

    private static void Set<T>(T? value, Action<T> set)
        where T : struct
    {
        if (value is { } present)
        {
            set(present);
        }
    }
}
