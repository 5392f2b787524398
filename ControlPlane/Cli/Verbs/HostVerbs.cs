using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;
using System.Net;
using DeepSeekOps.ControlPlane.Api;
using DeepSeekOps.ControlPlane.Client;
using DeepSeekOps.ControlPlane.Clusters;
using DeepSeekOps.ControlPlane.Clusters.Kubernetes;
using DeepSeekOps.ControlPlane.Clusters.LocalProcess;
using DeepSeekOps.ControlPlane.Clusters.Simulated;
using DeepSeekOps.ControlPlane.Hosting;
using DeepSeekOps.ControlPlane.Pipelines;
using DeepSeekOps.Decisions.Simulation;
using DeepSeekOps.Recipes;

namespace DeepSeekOps.ControlPlane.Cli.Verbs;

/// <summary>The verbs that are the control plane rather than talk to it.</summary>
internal static class HostVerbs
{
    /// <summary>Each node is an agent process of this machine, each rank one with libtorch in it, some 200 MB.</summary>
    private const int LocalNodesByItself = 64;

    /// <summary>Whoever asks for more has another worker program, or a larger machine.</summary>
    private const int LocalNodesMax = 256;
    private const int LocalRanksMax = 64;

    private const int HighestPort = 65_535;

    /// <summary>The one place where a word becomes a cluster, with what was asked of it. A further one is a line.</summary>
    private static readonly (string Word, Func<ClusterAsked, ClusterChoice> Choose)[] Choices =
    [
        ("local", asked => asked.Local()),
        ("simulated", asked => asked.Simulated()),
        ("kubernetes", asked => new KubernetesChoice { Kubeconfig = asked.Kubeconfig }),
    ];

    /// <summary>A test compares them with the clusters that there are.</summary>
    internal static readonly string[] Clusters = [.. Choices.Select(c => c.Word)];

    internal static Option<int?> Port() => Checked(new Option<int?>("--port")
    {
        Description = $"Port of the dashboard and REST; 0 takes a free one. Default: {ControlPlaneOptions.UsualPort}, or a "
            + "free one if that is taken.",
        HelpName = "N",
    });

    internal static Option<int?> GrpcPort() => Checked(new Option<int?>("--grpc-port")
    {
        Description = "Port of gRPC, for the other verbs and the workers. Default: a free one.",
        HelpName = "N",
    });

    internal static Option<string?> Database() => new("--database")
    {
        Description =
            "PostgreSQL, as \"Host=…;Username=…;Database=…\"; everybody may read a command line, so a password belongs elsewhere. "
            + "Default: a file in the data directory.",
        HelpName = "CONNECTION",
    };

    internal static Option<string?> DatabaseFile() => new("--database-file")
    {
        Description = $"File whose first line is what --database takes, with the password; {DatabaseText.Variable} in the "
            + "environment does the same.",
        HelpName = "FILE",
    };

    internal static Option<bool> Rebind() => new("--rebind")
    {
        Description = "Give the data directory to this database, although it belongs to another one or is a copy: docs/operating.md.",
    };

    internal static Option<string?> Settings() => new("--cluster-settings")
    {
        Description = "File with team quotas, node groups, spares and maintenance: docs/cluster.md. Default: none of them.",
        HelpName = "FILE",
    };

    internal static Option<string?> KeyFile() => new("--key-file")
    {
        Description = "The key that tokens are made with; control planes that stand in for each other need the same. "
            + "Default: dsops.key in the data directory, made at the first start.",
        HelpName = "FILE",
    };

    public static Command Dev(Terminal terminal)
    {
        var (port, grpcPort) = (Port(), GrpcPort());
        var (database, databaseFile) = (Database(), DatabaseFile());
        var rebind = Rebind();
        var submit = new Option<string?>("--submit")
        {
            Description = "Pipeline file to submit when all is up; the same file again is the same run.",
            HelpName = "FILE",
        };
        var data = SubmitVerb.Data();
        var cluster = Cluster("local");
        var nodes = Nodes(cluster);
        var timeFactor = TimeFactor();
        var faults = Faults();
        var seed = new Option<int>("--seed")
        {
            Description = "Simulated cluster: everything random in it grows from this.", HelpName = "N", DefaultValueFactory = _ => 1,
        };
        var keepPods = KeepPods();
        var ranks = RanksPerNode();
        var settings = Settings();
        var kubeconfig = Kubeconfig();
        var (agents, monitoring) = (Agents(), MonitoringOption.New());
        var drills = Drills();
        var command = new Command("dev",
            "Runs everything on this machine: control plane, dashboard, database and a local cluster. Ctrl-C stops "
                + "it; the next start goes on.")
        {
            submit, data, port, grpcPort, database, databaseFile, rebind, cluster, nodes, settings, faults, seed, timeFactor, keepPods,
            ranks, kubeconfig, agents, monitoring, drills,
        };
        command.Validators.Add(result =>
        {
            // What is not ours alone is not broken on purpose, and a further cluster is not until its choice can carry it.
            // Not written, it has no value here yet: `dev` means local then.
            if (result.GetValue(drills) && result.GetValue(cluster) is { } machines and not ("local" or "simulated"))
            {
                result.AddError($"--drills is for --cluster local or simulated: machines of {machines} are not broken on purpose.");
            }
            if (result.GetValue(data) is not null && result.GetValue(submit) is null)
            {
                result.AddError("--data is for the pipeline of --submit FILE, which is missing.");
            }
        });
        command.SetAction(async (parsed, cancellation) =>
        {
            var asked = await AskedBy(parsed.GetValue(submit), cancellation);
            return await ControlPlaneHost.Run(new ControlPlaneOptions
            {
                DataDirectory = Path.GetFullPath(parsed.GetValue(CommonOptions.DataDirectory) ?? ControlFile.UsualDirectory),
                Port = parsed.GetValue(port),
                GrpcPort = parsed.GetValue(grpcPort),
                Database = DatabaseText.From(parsed.GetValue(database), parsed.GetValue(databaseFile)),
                Rebind = parsed.GetValue(rebind),
                Cluster = Choice(
                    parsed.GetValue(cluster),
                    () => new LocalChoice
                    {
                        Nodes = parsed.GetValue(nodes) ?? asked.Nodes, RanksPerNode = parsed.GetValue(ranks) ?? asked.RanksPerNode,
                        KeepPodsDays = parsed.GetValue(keepPods), Drills = parsed.GetValue(drills),
                    },
                    () => new SimulatedChoice
                    {
                        Nodes = parsed.GetValue(nodes) ?? SimulatedChoice.UsualNodes, TimeFactor = parsed.GetValue(timeFactor),
                        Faults = FaultMix.All.Single(m => m.Name == parsed.GetValue(faults)), Seed = parsed.GetValue(seed),
                        Drills = parsed.GetValue(drills),
                    },
                    parsed.GetValue(kubeconfig)),
                Agents = parsed.GetValue(agents) is { } address ? IPEndPoint.Parse(address) : null,
                Monitoring = MonitoringOption.Of(parsed.GetValue(monitoring)),
                ClusterSettings = parsed.GetValue(settings),
                Submit = parsed.GetValue(submit),
                Data = parsed.GetValue(data),
                Timeline = true,
            },
            terminal, client => Timeline.Begin(client, terminal, cancellation), cancellation);
        });
        return command;
    }

    public static Command Serve(Terminal terminal)
    {
        var port = Port();
        var grpcPort = GrpcPort();
        var database = Database();
        var databaseFile = DatabaseFile();
        var rebind = Rebind();
        var cluster = Cluster("kubernetes");
        var settings = Settings();
        var kubeconfig = Kubeconfig();
        var (agents, monitoring) = (Agents(), MonitoringOption.New());
        var deputy = SeveralOptions.Deputy(cluster);
        var silo = SeveralOptions.Silo(cluster, deputy);
        var keyFile = KeyFile();
        var (https, oidc) = (new HttpsOptions(), new OidcOptions());
        var command = new Command("serve", "Runs the control plane for a cluster, without a local one. Logs to standard output.")
        {
            port, grpcPort, database, databaseFile, rebind, cluster, settings, kubeconfig, agents, monitoring, deputy, silo, keyFile,
        };
        https.AddTo(command);
        oidc.AddTo(command);
        command.SetAction((parsed, cancellation) => ControlPlaneHost.Run(
            oidc.Of(parsed, https.Of(parsed, new ControlPlaneOptions
            {
                DataDirectory = Path.GetFullPath(parsed.GetValue(CommonOptions.DataDirectory) ?? ControlFile.UsualDirectory),
                Port = parsed.GetValue(port),
                GrpcPort = parsed.GetValue(grpcPort),
                Database = DatabaseText.From(parsed.GetValue(database), parsed.GetValue(databaseFile)),
                Rebind = parsed.GetValue(rebind),
                Deputy = parsed.GetValue(deputy),
                Silo = parsed.GetValue(silo) is { } here ? IPEndPoint.Parse(here) : null,
                KeyFile = parsed.GetValue(keyFile) is { } key ? Path.GetFullPath(key) : null,
                Agents = parsed.GetValue(agents) is { } address ? IPEndPoint.Parse(address) : null,
                Monitoring = MonitoringOption.Of(parsed.GetValue(monitoring)),
                Cluster = Choice(parsed.GetValue(cluster), () => new LocalChoice(), () => new SimulatedChoice(),
                    parsed.GetValue(kubeconfig)),
                ClusterSettings = parsed.GetValue(settings),
            })),
            terminal, timeline: null, cancellation));
        return command;
    }

    /// <summary>A local cluster is as large as the file that is to run on it asks for, so that one command is enough.</summary>
    private static async Task<(int Nodes, int RanksPerNode)> AskedBy(string? file, CancellationToken cancellation)
    {
        try
        {
            var spec = file is null ? null
                : PipelineText.Parse(await FileLooks.ReadText(file, PipelineSubmission.BytesMax, cancellation)).Spec;
            var asked = spec?.Stages.Select(spec.ResourcesOf).ToList() ?? [];
            return (Math.Clamp(asked.Select(r => r.Nodes).Append(LocalChoice.UsualNodes).Max(), 1, LocalNodesByItself),
                Math.Clamp(asked.Select(r => r.RanksPerNode).Append(1).Max(), 1, LocalRanksMax));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or BadInputException)
        {
            // The submission says what is wrong with the file.
            return (LocalChoice.UsualNodes, 1);
        }
    }

    private static ClusterChoice Choice(
        string? word, Func<LocalChoice> local, Func<SimulatedChoice> simulated, string? kubeconfig) =>
        Choices.Single(c => c.Word == word).Choose(new ClusterAsked(local, simulated, kubeconfig));

    private static Option<string> Faults()
    {
        var faults = new Option<string>("--faults")
        {
            Description = "Simulated cluster: published mix that its faults are drawn from.",
            DefaultValueFactory = _ => FaultMix.Llama3.Name,
        };
        faults.AcceptOnlyFromAmong([.. FaultMix.All.Select(m => m.Name)]);
        return faults;
    }

    private static Option<bool> Drills() => new("--drills")
    {
        Description = "Let `dsops drill` break what runs here on purpose: docs/operating.md. Default: it is refused.",
    };

    internal static Option<string?> Kubeconfig() => new("--kubeconfig")
    {
        Description = "Kubernetes: file with the API server's address and credentials. Default: those of the pod it runs in, or of the "
            + "usual kubeconfig.",
        HelpName = "FILE",
    };

    internal static Option<string?> Agents()
    {
        var agents = new Option<string?>("--agents")
        {
            Description = "Kubernetes: address and port where agents in pods report, such as 0.0.0.0:5082; only they are answered there. "
                + "It speaks TLS by a key that is derived from dsops.key, and agents are told its pin. Default: none.",
            HelpName = "ADDRESS:PORT",
        };
        agents.Validators.Add(result =>
        {
            if (result.Tokens is [var token] && !(IPEndPoint.TryParse(token.Value, out var address) && address.Port > 0))
            {
                result.AddError($"--agents is '{token.Value}'; write an IP address and a port, such as 0.0.0.0:5082.");
            }
        });
        return agents;
    }

    internal static Option<int?> Nodes(Option<string> cluster)
    {
        var nodes = new Option<int?>("--nodes")
        {
            Description = "Nodes of the cluster. Default: 2 local or as many as --submit asks for, 256 simulated.", HelpName = "N",
        };
        nodes.Validators.Add(result =>
        {
            bool simulated = result.GetValue(cluster) == "simulated";
            int most = simulated ? 4096 : LocalNodesMax;
            if (Whole(result) is { } asked && (asked < 1 || asked > most))
            {
                result.AddError(
                    simulated
                        ? $"--nodes must be between 1 and {most}." : $"--nodes must be between 1 and {most}: each node is a "
                            + "process of this machine.");
            }
        });
        return nodes;
    }

    private static Option<int> KeepPods()
    {
        var days = new Option<int>("--keep-pods")
        {
            Description = "Local cluster: folders of ended pods, with the logs of their ranks, are kept this many days.", HelpName = "DAYS",
            DefaultValueFactory = _ => 7,
        };
        days.Validators.Add(result =>
        {
            if (Whole(result) is < 0 or > 3_650)
            {
                result.AddError("--keep-pods must be between 0 and 3650 days.");
            }
        });
        return days;
    }

    internal static Option<int?> RanksPerNode()
    {
        var ranks = new Option<int?>("--ranks-per-node")
        {
            Description = "Local cluster: ranks that fit on a node, each a process with its share of the cores. Default: 1, or as many "
                + "as --submit asks for.",
            HelpName = "N",
        };
        ranks.Validators.Add(result =>
        {
            if (Whole(result) is < 1 or > LocalRanksMax)
            {
                result.AddError($"--ranks-per-node must be between 1 and {LocalRanksMax}: each rank is a process of this machine.");
            }
        });
        return ranks;
    }

    private static Option<double> TimeFactor()
    {
        var factor = new Option<double>("--time-factor")
        {
            Description = "Simulated cluster: how much faster than real its time runs.", HelpName = "X", DefaultValueFactory = _ => 1,
        };
        factor.Validators.Add(result =>
        {
            if (result.Tokens is [var token] && double.TryParse(token.Value, CultureInfo.InvariantCulture, out double asked)
                && asked is not (>= 1 and <= 100_000))
            {
                result.AddError("--time-factor must be between 1 (real time) and 100000.");
            }
        });
        return factor;
    }

    private static Option<string> Cluster(string usual)
    {
        var cluster = new Option<string>("--cluster")
        {
            Description = "What runs the workers: local processes, Kubernetes, or a simulated cluster.",
            DefaultValueFactory = _ => usual,
        };
        cluster.AcceptOnlyFromAmong(Clusters);
        return cluster;
    }

    /// <summary>For `doctor`, which starts none: the cluster by its word, as `dev` and `serve` choose it.</summary>
    internal static ClusterChoice Choose(string word, int? nodes, int? ranksPerNode, string? kubeconfig) => Choice(word,
        () => new LocalChoice { Nodes = nodes ?? LocalChoice.UsualNodes, RanksPerNode = ranksPerNode ?? 1 },
        () => new SimulatedChoice { Nodes = nodes ?? SimulatedChoice.UsualNodes }, kubeconfig);

    /// <summary>Null for what is no whole number: the parser says so itself, and its own conversion would throw here.</summary>
    private static int? Whole(OptionResult result) =>
        result.Tokens is [var token] && int.TryParse(token.Value, CultureInfo.InvariantCulture, out int number) ? number : null;

    private static Option<int?> Checked(Option<int?> port)
    {
        port.Validators.Add(result =>
        {
            if (Whole(result) is { } number && number is < 0 or > HighestPort)
            {
                result.AddError($"{port.Name} must be between 0 and {HighestPort}.");
            }
        });
        return port;
    }

    /// <summary>What the options of a verb say of each cluster that has any.</summary>
    private sealed record ClusterAsked(Func<LocalChoice> Local, Func<SimulatedChoice> Simulated, string? Kubeconfig);
}
