using System.Globalization;
using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.Dashboard.Streams;
using Grpc.Core;
using Microsoft.AspNetCore.Components;

namespace DeepSeekOps.Dashboard.Pages.RunDetail;

/// <summary>Recorded steps of a stage as a drawing, and the button that records more. Made anew for each stage, by its key.</summary>
public sealed partial class TracePanel : IDisposable
{
    private static readonly TimeSpan AskEvery = TimeSpan.FromMilliseconds(500);

    private readonly CancellationTokenSource gone = new();
    private List<Trace> kept = [];
    private Trace? trace;
    private Trace? under;
    private string? trouble;
    private bool loaded;

    [Inject] public required OpsService.OpsServiceClient Ops { get; init; }

    [Inject] public required TimeProvider Clock { get; init; }

    [Parameter, EditorRequired] public Run Run { get; set; } = new();

    [Parameter, EditorRequired] public Stage Stage { get; set; } = new();

    /// <summary>A simulated rank makes no calls that could be recorded.</summary>
    private bool Records => Stage.State == "running" && !Run.Simulated;

    public void Dispose()
    {
        gone.Cancel();
        gone.Dispose();
    }

    protected override async Task OnInitializedAsync()
    {
        if (RendererInfo.IsInteractive)
        {
            await Try(() => Load(null));
            loaded = true;
        }
    }

    private Task Choose(object? id) => Try(() => Load(long.Parse($"{id}", CultureInfo.InvariantCulture)));

    /// <param name="id">Null: the newest of the stage.</param>
    private async Task Load(long? id)
    {
        var list = await Ops.ListTracesAsync(new ListTracesRequest { Run = Run.Name }, Options());
        kept = [.. list.Traces.Where(t => t.Stage == Stage.Name)];
        trace = (id ?? kept.FirstOrDefault()?.Id) is not { } chosen ? null
            : await Ops.GetTraceAsync(new GetTraceRequest { Run = Run.Name, Id = chosen, WithoutSpans = true }, Options());
    }

    private Task Record() => Try(async () =>
    {
        under = await Ops.RecordTraceAsync(new RecordTraceRequest { Run = Run.Name, Stage = Stage.Name, Steps = 2 }, Options());
        var asked = new GetTraceRequest { Run = Run.Name, Stage = Stage.Name, Id = under.Id, WithoutSpans = true };
        while (under.State == TraceState.Recording)
        {
            StateHasChanged();
            await Task.Delay(AskEvery, Clock, gone.Token);
            under = await Ops.GetTraceAsync(asked, Options());
        }

        if (under.State == TraceState.Kept)
        {
            await Load(under.Id);
        }
        else
        {
            trouble = $"Nothing was recorded: {under.Reason}";
        }
    });

    /// <summary>What is drawn stays, whatever becomes of the next one.</summary>
    private async Task Try(Func<Task> work)
    {
        trouble = null;
        try
        {
            await work();
        }
        catch (RpcException) when (gone.IsCancellationRequested)
        {
            // Nobody looks any more.
        }
        catch (OperationCanceledException)
        {
            // As above, between two questions.
        }
        catch (RpcException refused)
        {
            trouble = Faults.InWords(refused);
        }
        finally
        {
            under = null;
        }
    }

    private CallOptions Options() => new(deadline: Faults.DeadlineFromNow(), cancellationToken: gone.Token);
}
