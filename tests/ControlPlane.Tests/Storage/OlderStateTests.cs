using System.Runtime.CompilerServices;
using System.Text.Json;
using DeepSeekOps.ControlPlane.Clusters.Simulated;
using DeepSeekOps.ControlPlane.Grains;
using DeepSeekOps.ControlPlane.Hosting;
using DeepSeekOps.ControlPlane.Storage;
using DeepSeekOps.Decisions;
using DeepSeekOps.Decisions.Gangs;
using DeepSeekOps.Decisions.Runs;
using DeepSeekOps.Decisions.Stages;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Orleans;
using Xunit;

namespace DeepSeekOps.ControlPlane.Tests.Storage;

/// <summary>
/// Grain state as a build of November 2026 wrote it, before a gang had a type (Written/*.json): a run that trained on simulated nodes, with
/// a second run beside it, a third that waits, a cordon, maintenance and moves by hand. Add a file for a new form; never change these.
/// </summary>
public sealed class OlderStateTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(10);

    private static readonly StageId Pretrain = new("first", "pretrain");

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public void State_that_an_older_build_wrote_is_read_with_all_that_is_in_it()
    {
        var cluster = Read<ClusterRecord>("cluster");
        Assert.Equal([new GangId(Pretrain, 2), new GangId(new StageId("second", "pretrain"), 2)], cluster.Held.Select(h => h.Id));
        Assert.Equal(new GangId(new StageId("fourth", "pretrain"), 1), Assert.Single(cluster.Waiting).Id);
        Assert.Equal(cluster.Held[1].Id, Assert.Single(cluster.GivingWay).Victim);
        var running = Assert.IsType<Phase.Running>(Read<StageRecord>("stage").Value!.Phase);
        Assert.Equal((cluster.Held[0].Id, 4), (running.Gang.Id, running.Gang.Slots));
        Assert.IsType<RunPhase.Running>(Read<RunRecord>("run").Value!.Phase);
        NothingIsLost<ClusterRecord>("cluster");
        NothingIsLost<StageRecord>("stage");
        NothingIsLost<RunRecord>("run");
    }

    [Fact]
    public async Task A_stage_that_an_older_build_wrote_goes_on_from_its_checkpoint()
    {
        string folder = Directory.CreateTempSubdirectory("dsops-older-").FullName;
        var options = new ControlPlaneOptions
        {
            DataDirectory = folder, Port = 0, Cluster = new SimulatedChoice { Nodes = 3, TimeFactor = 100 },
        };
        var database = OpsDatabase.Parse(null, folder);
        await StorageHosting.Prepare(database, Ct);
        await using var app = ControlPlaneApp.Build(options, Endpoints.Choose(options), database, logging => logging.ClearProviders());
        await Put(app, ("run", "run/first"), ("stage", "stage/first/pretrain"), ("cluster", "cluster/cluster"));
        await app.StartAsync(Ct);
        var run = app.Services.GetRequiredService<IGrainFactory>().GetGrain<IRunGrain>("first");

        var waited = System.Diagnostics.Stopwatch.StartNew();
        var stage = (await run.Describe())!.Stages[0];
        while (stage.CheckpointStep is null or <= 100)
        {
            Assert.True(waited.Elapsed < Patience, $"attempt {stage.Attempt}, {stage.State}: {stage.Reason}");
            await Task.Delay(TimeSpan.FromMilliseconds(100), Ct);
            stage = (await run.Describe())!.Stages[0];
        }

        Assert.InRange(stage.Attempt, 3, 4);
        await app.StopAsync(Ct);
        Directory.Delete(folder, recursive: true);
    }

    private static async Task Put(WebApplication app, params (string State, string Grain)[] rows)
    {
        await using var connection = await app.Services.GetRequiredService<OpsConnections>().Open(Ct);
        foreach (var (state, grain) in rows)
        {
            await using var command = connection.CreateCommand();
            command.CommandText = "INSERT INTO grain_state (state_name, grain_id, version, payload) VALUES (@name, @grain, 1, @payload)";
            command.Add("name", state).Add("grain", grain).Add("payload", System.Text.Encoding.UTF8.GetBytes(Text(state)));
            await command.ExecuteNonQueryAsync(Ct);
        }
    }

    private static T Read<T>(string state) => LedgerJson.Read<T>(Text(state));

    private static string Text(string state, [CallerFilePath] string here = "") =>
        File.ReadAllText(Path.Combine(Path.GetDirectoryName(here)!, "Written", $"{state}.json"));

    private static void NothingIsLost<T>(string state)
    {
        using var before = JsonDocument.Parse(Text(state));
        using var after = JsonDocument.Parse(LedgerJson.Write(Read<T>(state)));
        Holds(before.RootElement, after.RootElement, state);
    }

    /// <summary>More may be there by now; what was there is still.</summary>
    private static void Holds(JsonElement before, JsonElement after, string path)
    {
        Assert.True(before.ValueKind == after.ValueKind, $"{path}: {before} became {after}");
        switch (before.ValueKind)
        {
            case JsonValueKind.Object:
                foreach (var property in before.EnumerateObject())
                {
                    Assert.True(after.TryGetProperty(property.Name, out var kept), $"{path}.{property.Name} is gone");
                    Holds(property.Value, kept, $"{path}.{property.Name}");
                }

                break;
            case JsonValueKind.Array:
                Assert.True(before.GetArrayLength() == after.GetArrayLength(), $"{path}: {before} became {after}");
                for (int i = 0; i < before.GetArrayLength(); i++)
                {
                    Holds(before[i], after[i], $"{path}[{i}]");
                }

                break;
            default:
                Assert.True(JsonElement.DeepEquals(before, after), $"{path}: {before} became {after}");
                break;
        }
    }
}
