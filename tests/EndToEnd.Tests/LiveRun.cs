using Xunit;

namespace DeepSeekOps.EndToEnd.Tests;

/// <summary>A run that trains for as long as pages are looked at, has recovered once and has deleted checkpoints.</summary>
[CollectionDefinition(nameof(LiveRun))]
public sealed class LiveRun : IAsyncLifetime, ICollectionFixture<LiveRun>
{
    internal Dsops Dsops { get; private set; } = null!;

    public async ValueTask InitializeAsync()
    {
        Dsops = await Dsops.Start();
        await Dsops.Submit(TinyPipeline.Pretraining("live", TinyPipeline.WithoutEnd));
        Dsops.Kill(await Rank(12));
        await Dsops.UntilStage("live", "pretrain", "has more checkpoints than are kept", Eventually.Patience,
            s => (long?)s["checkpointStep"] >= 60);
        Dsops.GiveWay(await Rank(60));
    }

    public ValueTask DisposeAsync() => Dsops.DisposeAsync();

    private async Task<int> Rank(long step) => (int)(await Dsops.UntilStage("live", "pretrain", "trains", Eventually.Patience,
        s => (long)s["step"]! >= step && s["ranks"]!.AsArray().Count > 0 && Dsops.IsAlive((int)s["ranks"]![0]!["pid"]!)))
        ["ranks"]![0]!["pid"]!;
}
