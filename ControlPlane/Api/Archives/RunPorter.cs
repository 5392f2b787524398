using System.Collections.Immutable;
using System.Text.Json;
using DeepSeekOps.ControlPlane.Api.Calls;
using DeepSeekOps.ControlPlane.Api.People;
using DeepSeekOps.ControlPlane.Client;
using DeepSeekOps.ControlPlane.Clusters;
using DeepSeekOps.ControlPlane.Grains;
using DeepSeekOps.ControlPlane.Storage;
using DeepSeekOps.ControlPlane.Storage.Audit;
using DeepSeekOps.ControlPlane.Storage.Backups;
using DeepSeekOps.Decisions.Audit;
using DeepSeekOps.Decisions.Backups;
using DeepSeekOps.Decisions.Runs;
using DeepSeekOps.Decisions.Stages;
using Grpc.Core;

namespace DeepSeekOps.ControlPlane.Api.Archives;

/// <param name="Rows">Rows of its history that were not there yet.</param>
internal sealed record BroughtRun(string Run, string Team, string State, bool Simulated, int Stages, long Rows, string WrittenBy);

/// <summary>Carries whole runs out and in.</summary>
internal sealed class RunPorter(
    IGrainFactory grains, KnownRuns known, RunArchive archive, ITrainingCluster cluster, AuditLog audit, TimeProvider clock)
{
    public const string Import = "import-run";

    private const string RunState = "run";
    private const string StageState = "stage";

    /// <exception cref="RpcException">There is no such run.</exception>
    /// <exception cref="BackupUnusableException">It has not ended.</exception>
    public async Task Export(string name, Stream file, CancellationToken cancellation)
    {
        var run = await known.Described(name, cancellation);
        Demand(RunImports.OfExport(run));
        await archive.Write(run, file, Plain, ProgramVersion.Text, clock, cancellation);
        // What was written is read once, as a whole backup is.
        file.Position = 0;
        await Read(file, cancellation);
    }

    /// <exception cref="RpcException">Another run has the name, or the caller may not.</exception>
    /// <exception cref="BackupUnusableException">It cannot be used.</exception>
    public async Task<BroughtRun> Bring(HttpContext http, Stream file, CancellationToken cancellation)
    {
        var reader = Open(file);
        var manifest = Verified(reader, cancellation);
        var act = Act(http, manifest);
        try
        {
            Gate.DemandTeam(http, Import, Checked.Name(manifest.Run, "run"), manifest.Team);
            Demand(RunImports.OfImport(manifest, cluster.Simulated, archive.Migrations, ProgramVersion.Text));
            var (run, stages) = States(manifest, await archive.Look(reader, manifest, cancellation));
            Asked.For(act);
            long rows = await Put(reader, manifest, run, stages, cancellation);
            await audit.Append([act], CancellationToken.None);
            return new BroughtRun(manifest.Run, manifest.Team, manifest.State, manifest.Simulated, stages.Length, rows, manifest.Version);
        }
        catch (Exception e) when (e is RpcException or BackupUnusableException)
        {
            string why = e is RpcException { Status.Detail: var detail } ? detail : e.Message;
            await audit.Append([act with { Outcome = AuditAct.Refused(Checked.Words(why, AuditAct.WordsMost - 10)) }],
                CancellationToken.None);
            throw;
        }
    }

    /// <summary>The run first: from then on its name is taken. Each step done again changes nothing, so a crash is gone on from.</summary>
    private async Task<long> Put(
        BackupReader reader, RunManifest manifest, Run run, ImmutableArray<Stage> stages, CancellationToken cancellation)
    {
        bool itsOwn = await grains.GetGrain<IRunGrain>(run.Name).Import(run, cancellation);
        foreach (var stage in stages)
        {
            itsOwn = itsOwn && await grains.GetGrain<IStageGrain>(stage.Wish.Stage.ToString()).Import(stage, cancellation);
        }

        if (!itsOwn)
        {
            throw new RpcException(new Status(StatusCode.AlreadyExists,
                $"There is another run named {run.Name} here, and it stays as it is. A run keeps its name; import it into another control "
                + "plane, such as `dsops dev --data-dir DIR` of an empty folder."));
        }

        long rows = await archive.Insert(reader, manifest, cancellation);
        // Its line in the list is written by the run itself, which now finds its stages as they are.
        await grains.GetGrain<IRunGrain>(run.Name).Import(run, cancellation);
        return rows;
    }

    private async Task Read(Stream file, CancellationToken cancellation)
    {
        var reader = Open(file);
        var manifest = Verified(reader, cancellation);
        States(manifest, await archive.Look(reader, manifest, cancellation));
    }

    /// <summary>Not closed with its reader: who opened the stream closes it.</summary>
    private static BackupReader Open(Stream file) => new(file, BackupFile.OneRun);

    private static RunManifest Verified(BackupReader reader, CancellationToken cancellation) =>
        reader.Verify<RunManifest>(cancellation) is { Run: not null, Team: not null, State: not null, Version: not null } manifest
            && !manifest.Migrations.IsDefault ? manifest
            : throw new BackupUnusableException("it is not what dsops exports: its manifest says too little", "Export the run again.");

    private static (Run Run, ImmutableArray<Stage> Stages) States(
        RunManifest manifest, ImmutableArray<(string Name, string Key, byte[] Payload)> states)
    {
        try
        {
            var run = states.Where(s => s.Name == RunState && s.Key == manifest.Run)
                .Select(s => JsonSerializer.Deserialize<RunRecord>(s.Payload, LedgerJson.Options)?.Value).SingleOrDefault();
            var stages = states.Where(s => s.Name == StageState)
                .Select(s => (s.Key, JsonSerializer.Deserialize<StageRecord>(s.Payload, LedgerJson.Options)?.Value)).ToArray();
            if (run is null || stages.Any(s => s.Value is null || s.Value.Wish.Stage.ToString() != s.Key)
                || stages.Length + 1 != states.Length)
            {
                throw new BackupUnusableException("it is not what dsops exports: its states are not those of one run", "Export it again.");
            }

            ImmutableArray<Stage> own = [.. stages.Select(s => s.Value!)];
            Demand(RunImports.OfStates(manifest, run, own));
            return (run, own);
        }
        catch (Exception e) when (e is JsonException or NotSupportedException or InvalidOperationException or NullReferenceException)
        {
            throw new BackupUnusableException("it is not what dsops exports: a state in it cannot be read", "Export it again.", e);
        }
    }

    /// <summary>What it had to tell is told, and stands in the history.</summary>
    private static byte[] Plain(string name, byte[] payload) => name switch
    {
        RunState => Changed<RunRecord>(payload, r => r with { Value = r.Value is null ? null : r.Value with { Outbox = [] } }),
        _ => Changed<StageRecord>(payload, r => r with { Value = r.Value is null ? null : r.Value with { Outbox = [] } }),
    };

    private static byte[] Changed<T>(byte[] payload, Func<T, T> change) =>
        JsonSerializer.SerializeToUtf8Bytes(change(JsonSerializer.Deserialize<T>(payload, LedgerJson.Options)!), LedgerJson.Options);

    private AuditAct Act(HttpContext http, RunManifest manifest)
    {
        var caller = Caller.Of(http);
        string run = Checked.Words(manifest.Run, 200);
        return new AuditAct(Guid.CreateVersion7().ToString("N"), clock.GetUtcNow(), caller.Who, caller.By, caller.From, Import, run, run,
            Checked.Words($"written by dsops {manifest.Version} at {manifest.Made:u}", 200), AuditAct.Done);
    }

    private static void Demand(RunImports.Refusal? refusal)
    {
        if (refusal is not null)
        {
            throw new BackupUnusableException(refusal.Why, refusal.Fix);
        }
    }
}
