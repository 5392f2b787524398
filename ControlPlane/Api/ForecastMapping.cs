using DeepSeekOps.Decisions.Planning;
using Google.Protobuf.WellKnownTypes;
using Proto = DeepSeekOps.Contracts.Ops.V1;

namespace DeepSeekOps.ControlPlane.Api;

/// <summary>A forecast on the wire; its JSON is that of `dsops plan --json`, which a test holds together.</summary>
internal static class ForecastMapping
{
    public static Proto.Forecast ToProto(this PipelineForecast forecast)
    {
        var proto = new Proto.Forecast
        {
            Name = forecast.Name, Parameters = forecast.Parameters, ActiveParameters = forecast.ActiveParameters,
            Stages = { forecast.Stages.Select(ToProto) }, Warnings = { forecast.Warnings }, Calibrated = { forecast.Calibrated },
        };
        Set(forecast.Days, v => proto.Days = v);
        Set(forecast.GpuHours, v => proto.GpuHours = v);
        Set(forecast.Dollars, v => proto.Dollars = v);
        return proto;
    }

    private static Proto.StageForecast ToProto(StageForecast stage)
    {
        var proto = new Proto.StageForecast
        {
            Name = stage.Name, Kind = stage.Kind, Nodes = stage.Nodes, Gpus = stage.Gpus, Steps = stage.Steps, Tokens = stage.Tokens,
            CheckpointBytes = stage.CheckpointBytes, CheckpointSeconds = stage.CheckpointSeconds, FlopsPerToken = stage.FlopsPerToken,
            LastStep = stage.LastStep is { } step ? ToProto(step) : null, Memory = stage.Memory is { } memory ? ToProto(memory) : null,
            Failures = stage.Failures is { } failures ? ToProto(failures) : null, Duration = stage.Duration?.ToDuration(),
            PhaseSeconds = { stage.PhaseSeconds },
        };
        Set(stage.Mfu, v => proto.Mfu = v);
        Set(stage.TokensPerDay, v => proto.TokensPerDay = v);
        Set(stage.Days, v => proto.Days = v);
        Set(stage.GpuHours, v => proto.GpuHours = v);
        Set(stage.Dollars, v => proto.Dollars = v);
        Set(stage.DollarsPerGpuHour, v => proto.DollarsPerGpuHour = v);
        Set(stage.DaysPerTrillionTokens, v => proto.DaysPerTrillionTokens = v);
        Set(stage.GpuHoursPerTrillionTokens, v => proto.GpuHoursPerTrillionTokens = v);
        return proto;
    }

    private static Proto.StepForecast ToProto(StepForecast step) => new()
    {
        Seconds = step.Seconds, BusySeconds = step.BusySeconds, BubbleSeconds = step.BubbleSeconds, BubbleShare = step.BubbleShare,
        OptimizerSeconds = step.OptimizerSeconds, DataParallel = step.DataParallel, Chunks = step.Chunks,
        AllToAllSeconds = step.AllToAllSeconds, NodeAllToAllSeconds = step.NodeAllToAllSeconds,
        PointToPointSeconds = step.PointToPointSeconds,
        Bubbles = new()
        {
            OneForwardOneBackward = step.Bubbles.OneForwardOneBackward, ZeroBubble = step.Bubbles.ZeroBubble,
            DualPipe = step.Bubbles.DualPipe, DualPipeV = step.Bubbles.DualPipeV,
        },
    };

    private static Proto.MemoryForecast ToProto(MemoryForecast memory) => new()
    {
        WeightsPerCopy = memory.WeightsPerCopy, Copies = memory.Copies, Weights = memory.Weights, Gradients = memory.Gradients,
        Optimizer = memory.Optimizer, Activations = memory.Activations, Buffers = memory.Buffers, Total = memory.Total,
        Capacity = memory.Capacity,
    };

    private static Proto.FailureForecast ToProto(FailureForecast failures)
    {
        var proto = new Proto.FailureForecast
        {
            MeanTimeBetween = failures.MeanTimeBetween.ToDuration(), ExpectedFailures = failures.ExpectedFailures,
            BestInterval = failures.BestInterval.ToDuration(), LostGpuHoursPerFailure = failures.LostGpuHoursPerFailure,
            Spares = failures.Spares,
        };
        Set(failures.Ettr, v => proto.Ettr = v);
        return proto;
    }

    /// <summary>A field that is not set is missing on the wire: there is no estimate, which is not the same as none.</summary>
    private static void Set(double? value, Action<double> into)
    {
        if (value is { } known)
        {
            into(known);
        }
    }
}
