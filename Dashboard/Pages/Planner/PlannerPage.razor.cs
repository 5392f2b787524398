using System.Collections.Immutable;
using System.Globalization;
using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.Dashboard.Streams;
using Grpc.Core;
using Microsoft.AspNetCore.Components;

namespace DeepSeekOps.Dashboard.Pages.Planner;

/// <summary>Sliders over the code of `dsops plan`: each movement is a pipeline file, and its forecast the answer.</summary>
public sealed partial class PlannerPage
{
    private static readonly ImmutableArray<string> Gpus = ["h800", "h100", "h200", "a100"];

    private WhatIf at = new();
    private Forecast? forecast;
    private string? trouble;
    private long answers;

    [Inject] public required OpsService.OpsServiceClient Ops { get; init; }

    private StageForecast? stage => forecast?.Stages.FirstOrDefault();

    protected override Task OnInitializedAsync() => RendererInfo.IsInteractive ? Take(at) : Task.CompletedTask;

    /// <summary>Answers may overtake each other: only that to the newest question counts.</summary>
    private async Task Take(WhatIf next)
    {
        at = next;
        try
        {
            var answer = await Ops.ForecastPipelineAsync(new CheckPipelineRequest { Text = next.Text }, deadline: Faults.DeadlineFromNow());
            if (ReferenceEquals(at, next))
            {
                (forecast, trouble) = (answer, null);
                answers++;
            }
        }
        catch (RpcException fault)
        {
            trouble = Faults.InWords(fault);
        }
    }

    private Task TakeZero(ChangeEventArgs chosen) => Take(at with { Zero = int.Parse($"{chosen.Value}", CultureInfo.InvariantCulture) });

    private Task TakeTokens(ChangeEventArgs typed) => Take(at with { TrillionTokens = Number(typed, 0.01, 100, at.TrillionTokens) });

    private Task TakePrice(ChangeEventArgs typed) => Take(at with { DollarsPerGpuHour = Number(typed, 0.01, 100, at.DollarsPerGpuHour) });

    private static double Number(ChangeEventArgs typed, double least, double most, double otherwise) =>
        double.TryParse(typed.Value?.ToString(), CultureInfo.InvariantCulture, out double value) && double.IsFinite(value)
            ? Math.Clamp(value, least, most) : otherwise;
}
