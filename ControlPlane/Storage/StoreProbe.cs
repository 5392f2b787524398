using DeepSeekOps.Decisions.Health;
using Microsoft.Extensions.Hosting;

namespace DeepSeekOps.ControlPlane.Storage;

/// <summary>
/// Looks once a second whether the database is still the one that a next start would find, and writes to it when nobody else did
/// lately: without a write nobody would know that it cannot be written.
/// </summary>
public sealed class StoreProbe(OpsConnections connections, WriteLanes lanes, StoreWatch watch, TimeProvider clock,
    PostgresHold? hold = null)
    : BackgroundService
{
    private static readonly TimeSpan LookEvery = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan WriteEvery = TimeSpan.FromSeconds(1.5);

    private string? identity;
    private StoreTrouble? replaced;

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(LookEvery, clock);
        var (beat, held) = (Task.CompletedTask, Task.CompletedTask);
        do
        {
            Look();
            held = held.IsCompleted && hold is not null ? hold.Look(stoppingToken) : held;
            if (beat.IsCompleted && watch.QuietFor(WriteEvery))
            {
                beat = Beat();
            }
        }
        while (await timer.WaitForNextTickAsync(stoppingToken));
    }

    internal void Look() => watch.Lost = GoneFile() ?? hold?.Trouble ?? replaced;

    internal async Task Beat()
    {
        try
        {
            identity ??= await Identity();
            int[] rows = await lanes.Run("store", [new Statement(StoreIdentity.Beat, ("identity", identity))], CancellationToken.None);
            replaced = rows[0] == 1 ? null
                : new StoreTrouble("another database is in its place", "Stop the control plane and put the right one back.");
        }
        catch (Exception e) when (StoreFailure.IsOne(e))
        {
            // The watch was told, and says it.
        }
    }

    /// <summary>Of SQLite alone: a server's database has no name that could be taken away from under it.</summary>
    private StoreTrouble? GoneFile() =>
        connections.Database is OpsDatabase.Sqlite sqlite && connections.Witness()?.Gone() is { } gone
            ? new StoreTrouble(
                $"{sqlite.Path} is not the file any more that was opened: {gone}",
                "Put that file back, or stop the control plane and put a backup in its place.")
            : null;

    private async Task<string> Identity()
    {
        long number = watch.Begin();
        try
        {
            string read = await StoreIdentity.Read(connections, CancellationToken.None);
            watch.Durable(number);
            return read;
        }
        catch (Exception e) when (StoreFailure.IsOne(e))
        {
            watch.Failed(number, e);
            throw;
        }
    }
}
