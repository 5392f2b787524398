using DeepSeekOps.Decisions.Planning;
using Proto = DeepSeekOps.Contracts.Ops.V1;

namespace DeepSeekOps.ControlPlane.Api;

/// <summary>A forecast on the wire.</summary>
internal static class ForecastPartials
{
    public static Proto.Forecast ToProto(this PipelineForecast forecast) => new()
    {
        Name = forecast.Name, Parameters = forecast.Parameters, ActiveParameters = forecast.ActiveParameters,
        Stages = { forecast.Stages.Select(ToProto) }, Warnings = { forecast.Warnings }, Calibrated = { forecast.Calibrated },
    };

    private static Proto.StageForecast ToProto(StageForecast stage)
    {
        var proto = new Proto.StageForecast
        {
            Name = stage.Name, Kind = stage.Kind, Nodes = stage.Nodes, Gpus = stage.Gpus, Steps = stage.Steps, Tokens = stage.Tokens,
            CheckpointBytes = stage.CheckpointBytes, CheckpointSeconds = stage.CheckpointSeconds, Mfu = stage.Mfu ?? 0,
            TokensPerDay = stage.TokensPerDay ?? 0, Days = stage.Days ?? 0, GpuHours = stage.GpuHours ?? 0, Dollars = stage.Dollars ?? 0,
        };
        if (stage.LastStep is { } step)
        {
            (proto.StepSeconds, proto.BusySeconds, proto.BubbleSeconds) = (step.Seconds, step.BusySeconds, step.BubbleSeconds);
            (proto.OptimizerSeconds, proto.DataParallel, proto.Chunks) = (step.OptimizerSeconds, step.DataParallel, step.Chunks);
            (proto.AllToAllSeconds, proto.PointToPointSeconds) = (step.AllToAllSeconds, step.PointToPointSeconds);
        }
        if (stage.Memory is { } memory)
        {
            (proto.WeightsBytes, proto.GradientsBytes, proto.OptimizerBytes) = (memory.Weights, memory.Gradients, memory.Optimizer);
            (proto.ActivationsBytes, proto.BuffersBytes, proto.CapacityBytes) = (memory.Activations, memory.Buffers, memory.Capacity);
        }
        if (stage.Failures is { } failures)
        {
            (proto.ExpectedFailures, proto.Spares) = (failures.ExpectedFailures, failures.Spares);
            proto.BestCheckpointMinutes = failures.BestInterval.TotalMinutes;
            if (failures.Ettr is { } ettr)
            {
                proto.Ettr = ettr;
            }
        }
        return proto;
    }
}
