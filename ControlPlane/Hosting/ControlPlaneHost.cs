using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.ControlPlane.Api;
using DeepSeekOps.ControlPlane.Api.Calls;
using DeepSeekOps.ControlPlane.Api.People;
using DeepSeekOps.ControlPlane.Client;
using DeepSeekOps.ControlPlane.Clusters;
using DeepSeekOps.ControlPlane.Hosting.Tls;
using DeepSeekOps.ControlPlane.Pipelines;
using DeepSeekOps.ControlPlane.Storage;
using Microsoft.AspNetCore.Connections;

namespace DeepSeekOps.ControlPlane.Hosting;

/// <summary>`dsops dev` and `dsops serve` from their first line to their last.</summary>
public static class ControlPlaneHost
{
    /// <param name="timeline">Tells what happens to whoever started it, from when all is up until it is disposed. Null: nobody
    /// listens.</param>
    public static async Task<int> Run(
        ControlPlaneOptions options, Terminal terminal, Func<OpsService.OpsServiceClient, IDisposable>? timeline, CancellationToken stop)
    {
        // A pipeline file that is not there is said before anything is started.
        string? pipeline = options.Submit is { } file ? await SubmittedPipeline.Read(file, stop) : null;
        var settings = await SettingsFile.Read(options.ClusterSettings, options.Cluster.NodesChosen, stop);
        options = options with
        {
            Cluster = options.Cluster.With(settings.Pods) ?? throw new RefusalException(
                "This cluster needs to be told how its pods are made, and --cluster-settings names no file with a part 'kubernetes:'.",
                "Begin from deploy/kubernetes/cluster.yaml; docs/cluster.md has every field.", ExitCode.Usage),
        };
        PrivateFiles.MakeWhatIsMadePrivate();
        using var directory = DataDirectoryLock.Take(options.DataDirectory);
        // A certificate that cannot be shown is said before anything is started, too.
        using var doors = await TlsDoors.Open(options, KeyFile.Of(options), stop);
        var turn = await Turn(options, doors, terminal, stop);
        if ((options.Deputy || options.Silo is not null) && turn is null)
        {
            return ExitCode.Ok;
        }

        var endpoints = Endpoints.Choose(options);
        await using var log = new LogFile(options.DataDirectory, TimeProvider.System);
        await using var app = await Start(options, settings, endpoints, doors, turn, logging => ConfigureLogging(logging, options, log));
        var key = app.Services.GetRequiredService<AccessKey>();
        try
        {
            Publish(options, endpoints.ToFile(key));
            Welcome(options, endpoints, key, terminal);
            await WelcomeFirstAdmin(app, options, endpoints, terminal, stop);
            var client = app.Services.GetRequiredService<HouseClient>().Client;
            using var told = timeline?.Invoke(client);
            if (pipeline is not null && options.Submit is { } submitted)
            {
                await SubmittedPipeline.Submit(client, submitted, pipeline, page => endpoints.Open(key, page), terminal, stop,
                    options.Data);
            }
            if (await UntilStopped(app, turn?.Taken, stop) is { } successor)
            {
                Say(terminal, $"Another control plane has taken over: {successor}. This one was silent for too long.");
                ControlFile.Delete(options.DataDirectory);
                await log.DisposeAsync();
                // No orderly end: that would write this silo into the table again, for the new one to ask after.
                Environment.Exit(ExitCode.InUse);
            }
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            // Stopped while still starting its work: the end below is the same.
        }
        finally
        {
            Say(terminal, "Stopping: workers save and exit; runs resume at the next start. Ctrl-C again exits now.");
            // Agents save and report their last checkpoint while the control plane still listens.
            await app.Services.GetRequiredService<ITrainingCluster>().Stop("dsops was stopped", CancellationToken.None);
            await app.StopAsync(CancellationToken.None);
            ControlFile.Delete(options.DataDirectory);
            Say(terminal, "Stopped.");
        }
        return ExitCode.Ok;
    }

    /// <summary>Null: it works alone and waits for nobody, or was stopped while it waited.</summary>
    private static async Task<PostgresHold?> Turn(ControlPlaneOptions options, TlsDoors doors, Terminal terminal, CancellationToken stop)
    {
        if (options.Silo is null && !options.Deputy)
        {
            return null;
        }

        await using var port = await Waiting(options, doors, stop);
        return options.Silo is not null ? await Deputy.Join(options, terminal, port, stop)
            : await Deputy.Turn(options, terminal, port, stop);
    }

    private static async Task<WaitingPort> Waiting(ControlPlaneOptions options, TlsDoors doors, CancellationToken stop)
    {
        try
        {
            return await WaitingPort.Open(options.Monitoring, doors, stop);
        }
        catch (IOException e) when (e.InnerException is AddressInUseException)
        {
            throw MonitoringInUse(options.Monitoring!.Port, e);
        }
    }

    private static RefusalException MonitoringInUse(int port, Exception cause) => new(
        $"Port {port} is in use.", "Stop what uses it, or choose another: --monitoring ADDRESS:PORT.", ExitCode.InUse, cause);

    /// <summary>Verbs and agents find us by it: without it there is nobody to serve.</summary>
    private static void Publish(ControlPlaneOptions options, ControlFile file)
    {
        string path = Path.Combine(options.DataDirectory, ControlFile.Name);
        try
        {
            KeyFile.WritePrivately(path, file.ToJson());
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new RefusalException($"Cannot write {path}: {e.Message.TrimEnd('.')}.",
                "Free space there, or choose another data directory.", ExitCode.Failed, e);
        }
    }

    /// <summary>A terminal that was closed, which may be why we stop, takes no words; the end goes on without them.</summary>
    private static void Say(Terminal terminal, string text)
    {
        try
        {
            terminal.Error.WriteLine(text);
        }
        catch (IOException)
        {
            // Nobody is there to read it.
        }
    }

    private static async Task<WebApplication> Start(
        ControlPlaneOptions options, ClusterSettings settings, Endpoints endpoints, TlsDoors doors, PostgresHold? turn,
        Action<ILoggingBuilder> logging)
    {
        var (database, hold) = await Database(options, turn);
        var app = ControlPlaneApp.Build(options, endpoints, database, logging, settings, hold, doors);
        if (hold is not null && options.Silo is not null)
        {
            hold.Silo = app.Services.GetRequiredService<ILocalSiloDetails>().SiloAddress.ToParsableString();
        }

        try
        {
            await app.StartAsync();
            return app;
        }
        catch (IOException e) when (e.InnerException is AddressInUseException)
        {
            await app.DisposeAsync();
            if (endpoints.Agents is { } agents && !LoopbackPort.IsFree(agents.Port))
            {
                throw new RefusalException($"Port {agents.Port} is in use.", "Stop what uses it, or choose another: --agents ADDRESS:PORT.",
                    ExitCode.InUse, e);
            }

            if (endpoints.Monitoring is { } monitoring && !LoopbackPort.IsFree(monitoring.Port))
            {
                throw MonitoringInUse(monitoring.Port, e);
            }

            if (endpoints.Https is { } https && !LoopbackPort.IsFree(https.Port))
            {
                throw new RefusalException($"Port {https.Port} is in use.", "Stop what uses it, or choose another: --https ADDRESS:PORT.",
                    ExitCode.InUse, e);
            }

            if (endpoints.Silo is { } silo && !LoopbackPort.IsFree(silo.Port))
            {
                throw new RefusalException($"Port {silo.Port} is in use.", "Stop what uses it, or choose another: --silo ADDRESS:PORT.",
                    ExitCode.InUse, e);
            }

            bool http = !LoopbackPort.IsFree(endpoints.HttpPort);
            throw LoopbackPort.InUse(http ? endpoints.HttpPort : endpoints.GrpcPort, http ? "--port" : "--grpc-port", e);
        }
    }

    /// <summary>A database that is not there is one line before anything is started, not a stack trace from within the silo.</summary>
    private static async Task<(OpsDatabase Database, PostgresHold? Hold)> Database(ControlPlaneOptions options, PostgresHold? turn)
    {
        try
        {
            var database = OpsDatabase.Parse(options.Database, options.DataDirectory);
            database = options.Silo is not null && database is OpsDatabase.Postgres postgres ? postgres.OfSeveral() : database;
            await DirectoryBinding.Prepare(database, options, CancellationToken.None);
            return (database, await Hold(database, options, turn));
        }
        catch (FormatException e)
        {
            throw new RefusalException(e.Message, "Correct --database.", ExitCode.Usage, e);
        }
        catch (OpsDatabaseException e)
        {
            throw new RefusalException(e.Message, e.Fix, ExitCode.Failed, e);
        }
        catch (StoreHeldException e)
        {
            throw new RefusalException(e.Message, "Stop that one, or give this one a database of its own.", ExitCode.InUse, e);
        }
    }

    /// <summary>
    /// Local and simulated nodes are of one process: a second one on the same database would place gangs on nodes that it does not have.
    /// </summary>
    private static async Task<PostgresHold?> Hold(OpsDatabase database, ControlPlaneOptions options, PostgresHold? turn)
    {
        if (database is not OpsDatabase.Postgres postgres)
        {
            return null;
        }

        var hold = turn ?? await PostgresHold.Take(postgres, Deputy.NameOf(options), TimeProvider.System, CancellationToken.None);
        if (turn is null)
        {
            hold.Begin(TimeProvider.System);
        }

        if (options.Silo is null || hold.Alone)
        {
            await hold.Sign(CancellationToken.None);
            await StorageHosting.ForgetSilos(database, CancellationToken.None);
        }

        if (options.Silo is not null)
        {
            await hold.Share(CancellationToken.None);
        }

        return hold;
    }

    /// <returns>Who has taken over; null: we were stopped.</returns>
    private static async Task<string?> UntilStopped(WebApplication app, Task<string>? taken, CancellationToken stop)
    {
        var ended = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var byUser = stop.Register(() => ended.TrySetResult());
        await using var byItself = app.Lifetime.ApplicationStopping.Register(() => ended.TrySetResult());
        await Task.WhenAny(ended.Task, taken ?? ended.Task);
        return taken is { IsCompleted: true } ? await taken : null;
    }

    private static void Welcome(ControlPlaneOptions options, Endpoints endpoints, AccessKey key, Terminal terminal)
    {
        // What `serve` prints ends up in a collected log, where a code has no business: `dsops url` tells it there.
        terminal.Document.WriteLine($"Dashboard  {(options.Timeline ? endpoints.Open(key) : endpoints.Pages)}");
        terminal.Document.WriteLine($"Data       {options.DataDirectory}");
        if (options.Cluster.Greeting is { Length: > 0 } greeting)
        {
            terminal.Output.WriteLine($"Cluster    {greeting}");
        }

        terminal.Document.WriteLine($"Log        {Path.Combine(options.DataDirectory, LogFile.RelativePath)}");
        terminal.Output.WriteLine("Ctrl-C stops everything; the next start goes on.");
        terminal.Output.WriteLine();
    }

    /// <summary>
    /// Of `serve`, which several people use. The code stands in a collected log, so it is good once, for an hour, and while there is no
    /// admin.
    /// </summary>
    private static async Task WelcomeFirstAdmin(
        WebApplication app, ControlPlaneOptions options, Endpoints endpoints, Terminal terminal, CancellationToken stop)
    {
        try
        {
            // By OIDC an admin comes in without it.
            if (!options.Timeline && options.Oidc is not { Grants.HaveAdmin: true }
                && await app.Services.GetRequiredService<TokenCalls>().FirstAdminsCode(stop) is { } code)
            {
                terminal.Document.WriteLine(
                    $"First admin  DSOPS_TOKEN={code} dsops tokens create NAME --role admin --server {endpoints.Pages}   (once, within "
                    + "an hour)");
            }
        }
        catch (Exception e) when (e is IOException or System.Data.Common.DbException or TimeoutException)
        {
            // A database that went away meanwhile keeps nobody from starting; the next start prints a code, and the owner needs none.
            Say(terminal, $"No code for a first admin could be made: {e.Message}.");
        }
    }

    private static void ConfigureLogging(ILoggingBuilder logging, ControlPlaneOptions options, LogFile file)
    {
        logging.SetMinimumLevel(LogLevel.Information);
        logging.AddFilter("Microsoft", LogLevel.Warning);
        logging.AddFilter("Grpc", LogLevel.Warning);
        logging.AddFilter("Orleans", LogLevel.Warning);
        // Orleans tells of each lost caller itself; its retries' own telemetry says the same with a stack.
        logging.AddFilter("Polly", LogLevel.Error);
        // Server GC is off on purpose: one process beside the workers of a laptop.
        logging.AddFilter("Orleans.Runtime.Silo", LogLevel.Error);
        logging.AddFilter("System.Net.Http", LogLevel.Warning);
        logging.AddProvider(file);
        logging.AddLogExport();
        if (!options.Timeline)
        {
            logging.AddJsonConsole();
        }
    }
}
