using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.Dashboard.Streams;
using DeepSeekOps.Dashboard.Words;
using Grpc.Core;
using Microsoft.AspNetCore.Components;
using Microsoft.AspNetCore.Components.Routing;

namespace DeepSeekOps.Dashboard.Pages.Try;

/// <summary>A prompt to a checkpoint. All that is set stands in the address, so a reload or a colleague finds it as it was.</summary>
public sealed partial class TryPage : IAsyncDisposable
{
    /// <summary>Pauses in typing after which the address follows.</summary>
    private static readonly TimeSpan TypingPause = TimeSpan.FromMilliseconds(400);

    private readonly HashSet<string> written = [];
    private Ask ask = Ask.Read("");
    private TextInTheMaking text = null!;
    private Subscription<ListRunsReply>? stream;
    private IReadOnlyList<RunSummary>? runs;
    private RunSummary? elsewhere;
    private IReadOnlyList<Checkpoint>? checkpoints;
    private ITimer? typing;
    private string? trouble;
    private string? listTrouble;
    private string? listed;

    [Inject] public required OpsService.OpsServiceClient Ops { get; init; }

    [Inject] public required TimeProvider Clock { get; init; }

    [Inject] public required NavigationManager Navigation { get; init; }

    /// <summary>One that the address names may lie beyond the list's first page.</summary>
    private RunSummary? run => runs?.FirstOrDefault(r => r.Name == ask.Run) ?? (elsewhere?.Name == ask.Run ? elsewhere : null)
        ?? (ask.Run.Length == 0 && runs is [var newest, ..] ? newest : null);

    /// <summary>Unless told, the furthest stage that has something to try.</summary>
    private StageSummary? stage => run?.Stages.FirstOrDefault(s => s.Name == ask.Stage)
        ?? (ask.Stage.Length == 0 ? run?.Stages.LastOrDefault(s => s.HasCheckpointStep) ?? run?.Stages.FirstOrDefault() : null);

    private string runName => run?.Name ?? ask.Run;

    private string stageName => stage?.Name ?? ask.Stage;

    private bool chat => ask.Chat ?? (stage is not null && StageKind.Of(stage.Kind).Answers);

    private IEnumerable<Checkpoint> ofStage => (checkpoints ?? []).Where(c => c.Stage == stageName);

    /// <summary>Why there is nothing to ask, before anybody asks; null: a checkpoint is chosen and can be tried.</summary>
    private string? cannot =>
        run is null ? $"There is no run named {ask.Run}. Choose another one."
        : stage is null ? $"{runName} has no stage named {ask.Stage}. Choose another one."
        : run.Simulated ? "This run is simulated: its checkpoints have no weights. Train on a local cluster to try one."
        : listTrouble ?? (checkpoints is null ? null : WhyNot());

    private bool CanGenerate => cannot is null && checkpoints is not null && ask.Problem is null && !text.Making;

    private string hint =>
        text.Making ? ""
            : cannot is null && ask.Problem is { } problem && (ask.Prompt.Length > 0 || problem.Contains('\'', StringComparison.Ordinal))
                ? problem
        : "Ctrl-Enter generates";

    protected override void OnInitialized()
    {
        text = new TextInTheMaking(Ops, () => InvokeAsync(StateHasChanged));
        ReadAddress(Navigation.Uri);
        Navigation.LocationChanged += Moved;
        if (RendererInfo.IsInteractive)
        {
            stream = Subscription.Begin(stop => Ops.WatchRuns(new ListRunsRequest(), cancellationToken: stop), Show, Clock);
        }
    }

    private Task Show(IReadOnlyList<ListRunsReply> news) => InvokeAsync(async () =>
    {
        trouble = stream?.Trouble;
        runs = news.Count > 0 ? [.. news[^1].Runs] : runs;
        await List();
        StateHasChanged();
    });

    private async Task Find()
    {
        if (runs is null || ask.Run.Length == 0 || runs.Any(r => r.Name == ask.Run))
        {
            return;
        }

        try
        {
            var found = await Ops.ListRunsAsync(new ListRunsRequest { Search = $"name={ask.Run}" }, deadline: Faults.DeadlineFromNow());
            elsewhere = found.Runs.FirstOrDefault(r => r.Name == ask.Run);
        }
        catch (RpcException fault)
        {
            trouble = Faults.InWords(fault);
        }
    }

    /// <summary>Asked for again when the run has a newer checkpoint.</summary>
    private async Task List()
    {
        await Find();
        string newest = run is null ? ""
            : run.Name + '/' + string.Join(';', run.Stages.Select(s => $"{s.Name}:{s.CheckpointStep}:{s.State}"));
        if (run is null || newest == listed)
        {
            return;
        }

        if (listed?.StartsWith(run.Name + '/', StringComparison.Ordinal) != true)
        {
            checkpoints = null;
        }

        listed = newest;
        try
        {
            var reply = await Ops.ListCheckpointsAsync(new ListCheckpointsRequest { Run = run.Name }, deadline: Faults.DeadlineFromNow());
            // Answers may overtake each other: only that to the newest question counts.
            if (listed == newest)
            {
                (checkpoints, listTrouble) = ([.. reply.Checkpoints], null);
            }
        }
        catch (RpcException fault)
        {
            (listTrouble, listed) = (Faults.InWords(fault), null);
        }
    }

    private string? WhyNot()
    {
        if (ask.Step.Length == 0)
        {
            return ofStage.Any(c => c.CanBeTried()) ? null
                : $"{stageName} has no checkpoint yet. Its first one can be tried as soon as it is durable.";
        }

        var chosen = ofStage.LastOrDefault(c => $"{c.Step}" == ask.Step);
        string because = chosen is { Reason.Length: > 0 } ? $": {chosen.Reason}" : "";
        return chosen switch
        {
            null => $"{stageName} has no checkpoint of step {ask.Step}. Choose another one.",
            { State: "deleted" } => $"The checkpoint of step {ask.Step} was deleted{because}. Choose a newer one.",
            { State: "quarantined" } => $"The checkpoint of step {ask.Step} was refused{because}. Choose another one.",
            _ => null,
        };
    }

    /// <summary>Another stage has other steps, and may want another form of prompt.</summary>
    private async Task Pick((string Run, string Stage, string Step) picked)
    {
        ask = ask with { Run = picked.Run, Stage = picked.Stage, Step = picked.Step };
        WriteAddress();
        await List();
    }

    /// <summary>Who has begun to write means the checkpoint that he sees, whatever run or stage comes after it.</summary>
    private void Set(Ask changed)
    {
        ask = changed with { Run = runName, Stage = stageName };
        typing?.Dispose();
        typing = Clock.CreateTimer(_ => InvokeAsync(WriteAddress), null, TypingPause, Timeout.InfiniteTimeSpan);
    }

    private Task Generate()
    {
        WriteAddress();
        return CanGenerate ? text.Make(ask.ToRequest(runName, stageName, chat)) : Task.CompletedTask;
    }

    private void WriteAddress()
    {
        typing?.Dispose();
        if (!IsHere(Navigation.Uri))
        {
            return;
        }

        string address = Navigation.GetUriWithQueryParameters(ask.Parameters);
        if (address != Navigation.Uri)
        {
            written.Add(address);
            Navigation.NavigateTo(address, replace: true);
        }
    }

    private void Moved(object? sender, LocationChangedEventArgs to) => InvokeAsync(async () =>
    {
        ReadAddress(to.Location);
        await List();
        StateHasChanged();
    });

    private static bool IsHere(string address) => new Uri(address).AbsolutePath == "/try";

    private void ReadAddress(string address)
    {
        // Written here: it comes back after letters that were typed since.
        if (written.Remove(address))
        {
            return;
        }

        var told = Ask.Read(new Uri(address).Query);
        if (IsHere(address) && !told.Parameters.SequenceEqual(ask.Parameters))
        {
            // A prompt that the address has no room for is not lost to a change of another parameter.
            ask = ask.PromptIsTooLongForTheAddress && told.Prompt.Length == 0 ? told with { Prompt = ask.Prompt } : told;
        }
    }

    public async ValueTask DisposeAsync()
    {
        Navigation.LocationChanged -= Moved;
        typing?.Dispose();
        text.Stop();
        text.Dispose();
        if (stream is not null)
        {
            await stream.DisposeAsync();
        }
    }
}
