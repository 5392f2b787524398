using Microsoft.JSInterop;

namespace DeepSeekOps.Dashboard.Pages.Submit;

/// <param name="From">What it began as: an example or a clone.</param>
/// <param name="At">When it was written in last, ISO 8601.</param>
public sealed record Draft(string From, string Text, string At);

/// <summary>What somebody has written and not submitted, kept by his browser (js/draft.js). Without a browser there is none.</summary>
public sealed class Drafts(IJSRuntime js) : IAsyncDisposable
{
    private IJSObjectReference? module;

    /// <param name="from">Empty: the draft that was written in last, whatever it began as.</param>
    public async Task<Draft?> Read(string from) => await (await Module()).InvokeAsync<Draft?>("read", from);

    public async Task Write(string from, string text) => await (await Module()).InvokeVoidAsync("write", from, text);

    public async Task Drop(string from) => await (await Module()).InvokeVoidAsync("drop", from);

    public async ValueTask DisposeAsync()
    {
        try
        {
            if (module is not null)
            {
                await module.DisposeAsync();
            }
        }
        catch (JSDisconnectedException)
        {
            // The tab is closed: its module went with it, the draft stays with the browser.
        }
    }

    private async Task<IJSObjectReference> Module() =>
        module ??= await js.InvokeAsync<IJSObjectReference>("import", "./_content/DeepSeekOps.Dashboard/js/draft.js");
}
