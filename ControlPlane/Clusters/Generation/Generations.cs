using System.Runtime.CompilerServices;
using DeepSeekOps.Contracts.Worker.V1;

namespace DeepSeekOps.ControlPlane.Clusters.Generation;

/// <summary>
/// Texts by checkpoints, one at a time, made by a worker program of their own: this process never loads libtorch. The worker stays for
/// some minutes with its checkpoint loaded, so that the next prompt answers at once.
/// </summary>
internal sealed class Generations(GenerationLimits limits, TimeProvider clock) : IAsyncDisposable
{
    private readonly SemaphoreSlim _turn = new(1, 1);
    private GeneratingWorker? _worker;
    private ITimer? _unused;
    private string _making = "";
    private bool _disposed;

    /// <summary>Process id of the worker that stands ready or speaks.</summary>
    public int? WorkerPid => _worker?.Pid;

    /// <summary>
    /// News of one text. The last one's phase is "ended" or "refused" as the worker says them, "busy" while another text is being made,
    /// or "failed" where the worker is lost; each with its reason. Leaving the enumeration ends the text.
    /// </summary>
    /// <param name="what">Whose text it is, for whoever has to wait: "mini/pretrain step 40".</param>
    public async IAsyncEnumerable<GenerationNews> Continue(Prompt prompt, string what, [EnumeratorCancellation]
        CancellationToken cancellation)
    {
        if (!await _turn.WaitAsync(limits.WaitForTurn, cancellation))
        {
            yield return Said("busy", $"Another text is being made, by {_making}, and one is made at a time. Try again when it has ended.");
            yield break;
        }

        bool complete = false;
        try
        {
            _making = what;
            if (_worker is not { Alive: true })
            {
                yield return Said("starting", "");
                await End();
            }

            if (Begun(out string problem) is not { } worker)
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
            _turn.Release();
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _turn.WaitAsync();
        _disposed = true;
        _unused?.Dispose();
        await End();
        _turn.Release();
    }

    private GeneratingWorker? Begun(out string problem)
    {
        problem = "";
        try
        {
            return _worker ??= GeneratingWorker.Start(limits.Program());
        }
        catch (FileNotFoundException e)
        {
            problem = e.Message;
            return null;
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
        if (_worker is { Alive: true } worker && await Stopped(worker) is null)
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
        _unused?.Dispose();
        _unused = _disposed ? null : clock.CreateTimer(_ => _ = EndUnused(), null, limits.KeepLoaded, Timeout.InfiniteTimeSpan);
    }

    private async Task EndUnused()
    {
        // Taken: somebody came just now, and the timer begins anew after him.
        if (!_disposed && await _turn.WaitAsync(TimeSpan.Zero))
        {
            await End();
            _turn.Release();
        }
    }

    private async Task End()
    {
        if (_worker is { } worker)
        {
            _worker = null;
            await worker.DisposeAsync();
        }
    }

    private static GenerationNews Said(string phase, string reason) => new() { Phase = phase, Reason = reason };
}
