using System.Runtime.CompilerServices;
using DeepSeekOps.Contracts.Worker.V1;

namespace DeepSeekOps.ControlPlane.Clusters.Generation;

/// <summary>
/// Texts by checkpoints, one at a time, made by a pod of their own: this process never loads libtorch. The pod stays for some minutes
/// with its checkpoint loaded, so that the next prompt answers at once.
/// </summary>
/// <param name="begin">Makes the pod; null: checkpoints of this cluster have no weights.</param>
internal sealed class Generations(
    GenerationLimits limits, Func<CancellationToken, Task<IGeneratingPod>>? begin, TimeProvider clock) : IAsyncDisposable
{
    private readonly SemaphoreSlim turn = new(1, 1);
    private GeneratingWorker? current;
    private ITimer? unused;
    private string making = "";
    private bool disposed;

    /// <summary>Of the pod that stands ready or speaks. Null: there is none.</summary>
    public string? PodName => current?.Name;

    /// <summary>
    /// News of one text. The last one's phase is "ended" or "refused" as the worker says them, "busy" while another text is being made,
    /// or "failed" where the worker is lost; each with its reason. Leaving the enumeration ends the text.
    /// </summary>
    /// <param name="what">Whose text it is, for whoever has to wait: "mini/pretrain step 40".</param>
    public async IAsyncEnumerable<GenerationNews> Continue(Prompt prompt, string what, [EnumeratorCancellation]
        CancellationToken cancellation)
    {
        if (!await turn.WaitAsync(limits.WaitForTurn, cancellation))
        {
            yield return Said("busy", $"Another text is being made, by {making}, and one is made at a time. Try again when it has ended.");
            yield break;
        }

        bool complete = false;
        try
        {
            making = what;
            if (current is not { Alive: true })
            {
                yield return Said("starting", "");
                await End();
            }

            string problem = await Begin(cancellation);
            if (current is not { } worker)
            {
                yield return Said("refused", problem);
                yield break;
            }

            await worker.Send(new GenerationOrder { Prompt = prompt }, cancellation);
            using var late = new CancellationTokenSource(limits.TextWithin, clock);
            while (!complete)
            {
                var news = await Next(worker, late.Token, cancellation);
                complete = news.Phase is "ended" or "refused";
                yield return news;
                if (news.Phase == "failed")
                {
                    yield break;
                }
            }
        }
        finally
        {
            if (!complete)
            {
                await Hush();
            }

            KeepForAWhile();
            turn.Release();
        }
    }

    public async ValueTask DisposeAsync()
    {
        await turn.WaitAsync();
        disposed = true;
        unused?.Dispose();
        await End();
        turn.Release();
    }

    /// <returns>Why there is none; empty: there is one.</returns>
    private async Task<string> Begin(CancellationToken cancellation)
    {
        if (current is not null)
        {
            return "";
        }

        if (begin is null)
        {
            return "Checkpoints of this cluster have no weights.";
        }

        try
        {
            current = new GeneratingWorker(await begin(cancellation));
            return "";
        }
        catch (IOException e)
        {
            return e.Message;
        }
    }

    private async Task<GenerationNews> Next(GeneratingWorker worker, CancellationToken late, CancellationToken cancellation)
    {
        using var either = CancellationTokenSource.CreateLinkedTokenSource(late, cancellation);
        try
        {
            return await worker.Next(either.Token)
                ?? Said("failed", $"The worker program ended before its text did. {await worker.HowItEnded()}");
        }
        catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
        {
            return await Stopped(worker) is { Phase: "ended" } last
                ? new GenerationNews(last) { Reason = last.Reason == "stopped" ? "time-limit" : last.Reason }
                : Said("failed", $"The text was not made within {limits.TextWithin.TotalSeconds:0} s and the worker program "
                    + "did not stop; it was ended.");
        }
    }

    /// <summary>The text is to end and the checkpoint to stay loaded; a worker that does not listen is ended whole.</summary>
    private async Task Hush()
    {
        if (current is { Alive: true } worker && await Stopped(worker) is null)
        {
            await End();
        }
    }

    /// <summary>The last word of a worker that was told to stop, with all that it said before. Null: it did not stop in time.</summary>
    private async Task<GenerationNews?> Stopped(GeneratingWorker worker)
    {
        using var patience = new CancellationTokenSource(limits.StopWithin, clock);
        string text = "";
        try
        {
            await worker.Send(new GenerationOrder { Stop = new Stop { Reason = "nobody waits for it any more" } }, patience.Token);
            while (await worker.Next(patience.Token) is { } news)
            {
                text += news.Text;
                if (news.Phase is "ended" or "refused")
                {
                    news.Text = text;
                    return news;
                }
            }
        }
        catch (OperationCanceledException)
        {
            // It loads, or hangs in a pass.
        }

        await End();
        return null;
    }

    private void KeepForAWhile()
    {
        unused?.Dispose();
        unused = disposed ? null : clock.CreateTimer(_ => _ = EndUnused(), null, limits.KeepLoaded, Timeout.InfiniteTimeSpan);
    }

    private async Task EndUnused()
    {
        // Taken: somebody came just now, and the timer begins anew after him.
        if (!disposed && await turn.WaitAsync(TimeSpan.Zero))
        {
            await End();
            turn.Release();
        }
    }

    private async Task End()
    {
        if (current is { } worker)
        {
            current = null;
            await worker.DisposeAsync();
        }
    }

    private static GenerationNews Said(string phase, string reason) => new() { Phase = phase, Reason = reason };
}
