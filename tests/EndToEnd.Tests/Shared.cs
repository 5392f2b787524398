namespace DeepSeekOps.EndToEnd.Tests;

/// <summary>What tests have in common that leave it as they found it, begun by the first that wants it.</summary>
public sealed class Shared : IAsyncDisposable
{
    private Task<Dsops>? idle;

    /// <summary>`dsops dev` on which nothing trains: to start one takes some seconds of a core.</summary>
    internal Task<Dsops> Idle => idle ??= Dsops.Start();

    public async ValueTask DisposeAsync()
    {
        await Browser.Quit();
        if (idle is not null)
        {
            await (await idle).DisposeAsync();
        }
    }
}
