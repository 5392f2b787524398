using System.Collections.Immutable;
using DeepSeekOps.ControlPlane.Api;
using DeepSeekOps.ControlPlane.Client;
using DeepSeekOps.ControlPlane.Clusters;
using DeepSeekOps.ControlPlane.Clusters.LocalProcess;
using DeepSeekOps.ControlPlane.Hosting.Tls;
using DeepSeekOps.ControlPlane.Pipelines;
using DeepSeekOps.ControlPlane.Storage;
using DeepSeekOps.Decisions.Checkpoints;
using DeepSeekOps.Decisions.Doctor;
using DeepSeekOps.Decisions.Health;

namespace DeepSeekOps.ControlPlane.Hosting.Doctor;

/// <summary>What `dsops doctor` was asked for: what a start would be.</summary>
/// <param name="DatabaseRefused">Why the connection could not be read where the options say. Null: it could.</param>
public sealed record ExaminationAsked(ControlPlaneOptions Options, string? DatabaseFile, RefusalException? DatabaseRefused);

/// <summary>
/// Looks at all that a start would need, each subject at the same time as the others and for a limited time, and lets `Decisions/Doctor`
/// say what is wrong. It starts nothing that stays, and what it writes it takes away again.
/// </summary>
public sealed class Examination(ExaminationAsked asked, TimeProvider clock)
{
    /// <summary>A disk answers in milliseconds, a server within a second; a person waits.</summary>
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(5);

    /// <summary>The connection has a limit of its own; reading which tables are ours is work of this machine, which may be busy.</summary>
    private static readonly TimeSpan DatabasePatience = TimeSpan.FromSeconds(20);

    /// <summary>A few calls of an API server, or a worker that loads its libraries.</summary>
    private static readonly TimeSpan ClusterPatience = WorkerLook.Patience + Patience;

    /// <summary>Three calls of a provider, one after another.</summary>
    private static readonly TimeSpan OidcPatience = 3 * Patience;

    /// <summary>An address of this machine.</summary>
    private static readonly TimeSpan AnswerPatience = TimeSpan.FromSeconds(2);

    private ControlPlaneOptions Options => asked.Options;

    public async Task<Diagnosis> Run(CancellationToken cancellation)
    {
        var (written, settings) = await WrittenLook.Settings(Options.ClusterSettings, Options.Cluster.NodesChosen, cancellation);
        var (pipeline, checkpointBytes, wanted) = await WrittenLook.Pipeline(Options.Submit, cancellation);
        var cluster = Options.Cluster.With(settings?.Pods);
        var store = (settings?.CheckpointStore ?? StoreAccess.Default).For(wanted);
        var machine = Within("machine", Patience, _ => Task.FromResult(MachineLook.Machine()), cancellation);
        var holder = Within("data.holder", Patience, Holder, cancellation);
        var folders = Within("data.folder", Patience, _ => Task.FromResult(Folders(cluster, checkpointBytes)), cancellation);
        var secrets = Within("settings.secrets", Patience, _ => Task.FromResult(FolderLook.Secrets(
            WrittenLook.Secrets(settings ?? new ClusterSettings(), asked.DatabaseFile, Options.Oidc?.SecretFile))), cancellation);
        var provider = Within("oidc.authority", OidcPatience, Provider, cancellation);
        var certificate = Within("https.certificate", Patience, Certificate, cancellation);
        var held = await holder;
        bool runs = held.Seen is { Locked: true, ControlProcessLives: true };
        var ports = Within("port", Patience, token => Task.FromResult(Ports(held.Seen, runs)), cancellation);
        var database = Within("database.connect", DatabasePatience, token => Database(runs, token), cancellation);
        var examined = Within("cluster", ClusterPatience, token => Cluster(cluster, store, token), cancellation);
        var time = Within("clock.store", Patience, token => StoreClock(store, token), cancellation);
        var placed = await examined;
        ImmutableArray<Finding> all =
        [
            .. SettingsCheck.Of(written), .. cluster is null && settings is not null ? WithoutPods : [], .. SettingsCheck.Of(pipeline),
            .. (await secrets).Or(files => [.. files.Select(SettingsCheck.Of)]),
            .. (await folders).Or(seen => seen), .. held.Or(HolderCheck.Of),
            .. (await ports).Or(seen => seen), .. (await certificate).Or(seen => seen),
            .. (await provider).Or(seen => seen),
            .. (await database).Or(seen => seen), ClockCheck.Of(MachineLook.Clock()),
            .. (await machine).Or(seen => MachineCheck.Of(seen, placed.Seen?.Gpus ?? 0)), .. placed.Or(seen => seen.Findings),
            .. Store(cluster, store, placed.Seen, (await time).Seen),
        ];
        return new Diagnosis(all);
    }

    private static Finding[] WithoutPods => [Finding.Fault("settings.file",
        "this cluster needs to be told how its pods are made, and --cluster-settings names no file with a part 'kubernetes:'",
        "Begin from deploy/kubernetes/cluster.yaml; docs/cluster.md has every field.")];

    private ImmutableArray<Finding> Folders(ClusterChoice? cluster, double checkpointBytes)
    {
        string folder = Options.DataDirectory;
        var data = FolderLook.Folder(folder);
        string checkpoints = cluster?.Checkpoints ?? Path.Combine(folder, "checkpoints");
        bool elsewhere = cluster?.Checkpoints is not null;
        var there = Directory.Exists(checkpoints) ? FolderLook.Folder(checkpoints) : null;
        double bytes = Math.Max(checkpointBytes, there is null ? 0 : FolderLook.LargestCheckpoint(checkpoints));
        bool own = elsewhere || (there is not null && there.TotalBytes != data.TotalBytes);
        return
        [
            .. FolderCheck.Of("data", "--data-dir DIR", data, privately: true, own ? 0 : bytes),
            HolderCheck.Of(FolderLook.Key(Options), data.User),
            .. !own ? [] : there is not null
                ? FolderCheck.Of("checkpoints", elsewhere ? "kubernetes.checkpoints" : "--data-dir DIR", there, privately: false, bytes)
                : [Finding.NotKnown("checkpoints.folder", $"{checkpoints} is not on this machine: pods see it by kubernetes.volumes",
                    "Run `dsops doctor` where the control plane runs, with the same volumes.")],
        ];
    }

    private async Task<HolderFacts> Holder(CancellationToken cancellation)
    {
        var seen = FolderLook.Holder(Options.DataDirectory);
        if (!seen.ControlProcessLives || !Uri.TryCreate(seen.ControlAddress, UriKind.Absolute, out var address))
        {
            return seen;
        }

        using var http = new HttpClient { Timeout = AnswerPatience };
        using var ask = new HttpRequestMessage(HttpMethod.Get, new Uri(address, "/readyz"));
        if (ControlFile.Read(Options.DataDirectory)?.Token is { } token)
        {
            ask.Headers.Authorization = new("Bearer", token);
        }

        try
        {
            using var answer = await http.SendAsync(ask, cancellation);
            return seen with
            {
                Answers = true,
                NotReady = answer.IsSuccessStatusCode ? "" : Missing(await answer.Content.ReadAsStringAsync(cancellation)),
            };
        }
        catch (Exception e) when (e is HttpRequestException || (e is TaskCanceledException && !cancellation.IsCancellationRequested))
        {
            return seen with { Answers = false };
        }
    }

    /// <summary>Of "not ready", and a line for each check, those that are not ok.</summary>
    private static string Missing(string told) => string.Join("; ", told.Split('\n', StringSplitOptions.RemoveEmptyEntries).Skip(1)
        .Where(line => !line.EndsWith(": ok", StringComparison.Ordinal)).Select(line => PlainText.Of(line.TrimEnd('.')))
        .DefaultIfEmpty("it does not say why"));

    private ImmutableArray<Finding> Ports(HolderFacts? held, bool runs)
    {
        var file = runs && held is not null ? ControlFile.Read(held.Folder) : null;
        int[] ours = file is null ? []
            :
            [
                new Uri(file.Http).Port, new Uri(file.Grpc).Port, Options.Agents?.Port ?? 0, Options.Monitoring?.Port ?? 0,
                Options.Https?.Port ?? 0, Options.Silo?.Port ?? 0,
            ];
        // Beside a running one the usual port is of no use: what it took is.
        var options = file is null ? Options : Options with { Port = Options.Port ?? ours[0] };
        return [.. MachineLook.Ports(options, ours).Select(PortCheck.Of)];
    }

    private async Task<ImmutableArray<Finding>> Certificate(CancellationToken cancellation) => Options.Certificate is not { } files ? []
        : CertificateCheck.Of((await PemPair.Read(files, cancellation)).Facts, clock.GetUtcNow());

    private async Task<ImmutableArray<Finding>> Provider(CancellationToken cancellation) => Options.Oidc is not { } oidc ? []
        : OidcCheck.Of(await OidcLook.Of(oidc, Options, clock, Patience, cancellation));

    private async Task<ImmutableArray<Finding>> Database(bool runs, CancellationToken cancellation)
    {
        if (asked.DatabaseRefused is { } refused)
        {
            return [Finding.Fault("database.connect", refused.Message.TrimEnd('.'), refused.Fix)];
        }

        try
        {
            var database = OpsDatabase.Parse(Options.Database, Options.DataDirectory);
            bool several = Options.Deputy || Options.Silo is not null;
            if (several && database is OpsDatabase.Sqlite)
            {
                return [Finding.Fault("database.connect", "--deputy and --silo need a database that all reach, and SQLite is a file of one "
                    + "process", "Name PostgreSQL with --database or --database-file.")];
            }

            if (database is OpsDatabase.Sqlite { Path: var path } && !FolderLook.Enterable(Options.DataDirectory))
            {
                return [Finding.NotKnown("database.connect", $"{path} could not be looked at: the folder is not ours to enter")];
            }

            var (facts, identity, knowsRuns) = await StoreExamination.Run(database, clock, cancellation);
            return DatabaseCheck.Of(
                facts.Trouble is null ? facts with { Binding = DirectoryBinding.Foresee(database, Options, identity, knowsRuns) } : facts,
                several, runs);
        }
        catch (FormatException e)
        {
            return [Finding.Fault("database.connect", e.Message.TrimEnd('.'), "Correct --database.")];
        }
    }

    private async Task<ClusterExamined> Cluster(ClusterChoice? cluster, StoreAccess? store, CancellationToken cancellation) =>
        cluster is null ? new ClusterExamined([]) { StoreNotTried = "the cluster's settings have to be right first" }
            : await cluster.Examine(new ClusterAsked(ProgramVersion.Text, WorkerGrpcService.Protocol, store, clock), cancellation);

    private async Task<StoreTime> StoreClock(StoreAccess? store, CancellationToken cancellation)
    {
        string endpoint = store is null ? "" : store.Endpoint.Length > 0 ? store.Endpoint : $"https://s3.{store.Region}.amazonaws.com";
        return new StoreTime(endpoint, Uri.TryCreate(endpoint, UriKind.Absolute, out var address)
            ? await MachineLook.DateOf(address, clock, Patience, cancellation) : null);
    }

    private static ImmutableArray<Finding> Store(
        ClusterChoice? cluster, StoreAccess? store, ClusterExamined? examined, StoreTime? time) =>
        examined is { CopiesCheckpoints: false } ? [] : StoreCheck.Of(new StoreFacts(store?.Uri ?? "", time?.Endpoint ?? "")
        {
            WithoutKeys = cluster?.WithoutStoreKeys(Environment.GetEnvironmentVariable), Trouble = examined?.Store?.Trouble,
            Fix = examined?.Store?.Fix ?? "", KeysIn = examined?.StoreKeysIn ?? "",
            NotTried = examined?.StoreNotTried ?? "nothing answered", Clock = time?.Offset,
        });

    /// <summary>
    /// On a thread of its own: a network mount that hangs never returns. What does not come in time, or fails in a way that nobody thought
    /// of, is told, and takes no other subject with it.
    /// </summary>
    private async Task<Look<T>> Within<T>(
        string check, TimeSpan patience, Func<CancellationToken, Task<T>> look, CancellationToken cancellation)
        where T : notnull
    {
        using var late = new CancellationTokenSource(patience, clock);
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellation, late.Token);
        var token = limit.Token;
        try
        {
            var looked = Task.Factory.StartNew(
                () => look(token), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
            return new Look<T>(await looked.Unwrap().WaitAsync(token));
        }
        catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
        {
            return new Look<T>(Finding.Fault(check, $"no answer within {patience.TotalSeconds:0} s", Silent(check)));
        }
        catch (Exception e) when (!cancellation.IsCancellationRequested)
        {
            // Catches all: see above.
            return new Look<T>(Finding.NotKnown(check, $"it could not be looked at: {e.GetBaseException().Message.TrimEnd('.')}"));
        }
    }

    private string Silent(string check) => check switch
    {
        "database.connect" => "Look after the server and the network between, or correct --database.",
        "cluster" => "Look after what hangs: an API server (`kubectl version`), or the disk that the worker lies on.",
        "oidc.authority" => "Look after the provider and the network between, or correct --oidc-authority.",
        "settings.secrets" or "https.certificate" => "Look after the disk or network mount that these files are on.",
        _ => $"Look after the disk or network mount that {Options.DataDirectory} is on.",
    };

    private sealed record StoreTime(string Endpoint, ClockOffset? Offset);

    /// <summary>What was seen, or why nothing was.</summary>
    private readonly struct Look<T>
        where T : notnull
    {
        private readonly Finding? instead;

        public Look(T seen) => Seen = seen;

        public Look(Finding instead) => this.instead = instead;

        public T? Seen { get; }

        public ImmutableArray<Finding> Or(Func<T, ImmutableArray<Finding>> findings) =>
            instead is not null || Seen is null ? [instead ?? Finding.NotKnown("look", "nothing was seen")] : findings(Seen);
    }
}
