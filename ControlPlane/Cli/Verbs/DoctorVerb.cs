using System.CommandLine;
using System.Net;
using DeepSeekOps.ControlPlane.Client;
using DeepSeekOps.ControlPlane.Hosting;
using DeepSeekOps.ControlPlane.Hosting.Doctor;
using DeepSeekOps.Decisions.Doctor;
using Spectre.Console;

namespace DeepSeekOps.ControlPlane.Cli.Verbs;

/// <summary>`dsops doctor`: what is wrong with an installation, before it hurts. No client of the Api: there may be none.</summary>
internal static class DoctorVerb
{
    /// <summary>As wide as a usual terminal, in a pipe too: findings are for people, `--json` for programs.</summary>
    private const int Widest = 80;

    private const int LevelWidth = 11;

    public static Command Build(Terminal terminal)
    {
        var options = new HostOptions();
        var command = new Command("doctor",
            "Says what is wrong with an installation before it hurts, and the fix of each: before `dsops dev` or `serve`, or beside a "
                + "running one, with the same options. Exit code 6 where there is a fault.");
        options.AddTo(command);
        command.SetAction(async (parsed, cancellation) =>
        {
            var asked = await options.Read(parsed, cancellation);
            var diagnosis = await new Examination(asked, TimeProvider.System).Run(cancellation);
            if (parsed.WantsJson())
            {
                await terminal.Document.WriteLineAsync(Json(diagnosis));
            }
            else
            {
                Print(diagnosis, terminal);
            }

            return diagnosis.Worst == FindingLevel.Fault ? ExitCode.Unwell : ExitCode.Ok;
        });
        return command;
    }

    private static void Print(Diagnosis diagnosis, Terminal terminal)
    {
        int width = Math.Min(terminal.Width, Widest);
        var ansi = terminal.Ansi();
        foreach (var finding in diagnosis.Findings)
        {
            foreach (string line in Lines(finding, width))
            {
                ansi.WriteLine(line, StyleOf(finding.Level));
            }
        }

        terminal.Output.WriteLine();
        terminal.Output.WriteLine($"{diagnosis.InWords}.");
    }

    /// <summary>The check and what was found; under it, indented, the fix.</summary>
    internal static IEnumerable<string> Lines(Finding finding, int width)
    {
        string[] found = [.. Columns.Hang($"{finding.Check}: {finding.Found}", width, LevelWidth)];
        yield return Diagnosis.Name(finding.Level).PadRight(LevelWidth) + found[0].TrimStart();
        foreach (string line in found.Skip(1))
        {
            yield return line;
        }

        foreach (string line in finding.Fix.Length == 0 ? [] : Columns.Hang($"fix: {finding.Fix}", width, LevelWidth + 2, 5))
        {
            yield return line;
        }
    }

    private static Style StyleOf(FindingLevel level) => level switch
    {
        FindingLevel.Fault => new Style(Color.Red),
        FindingLevel.Warning => new Style(Color.Yellow),
        FindingLevel.NotKnown => new Style(decoration: Decoration.Dim),
        _ => Style.Plain,
    };

    private static string Json(Diagnosis diagnosis) => ProtoJson.Document(writer =>
    {
        writer.WriteStartObject();
        writer.WriteString("level", Diagnosis.Name(diagnosis.Worst));
        writer.WriteNumber("faults", diagnosis.Count(FindingLevel.Fault));
        writer.WriteNumber("warnings", diagnosis.Count(FindingLevel.Warning));
        writer.WriteNumber("notKnown", diagnosis.Count(FindingLevel.NotKnown));
        writer.WriteNumber("ok", diagnosis.Count(FindingLevel.Ok));
        writer.WriteStartArray("checks");
        foreach (var finding in diagnosis.Findings)
        {
            writer.WriteStartObject();
            writer.WriteString("check", finding.Check);
            writer.WriteString("level", Diagnosis.Name(finding.Level));
            writer.WriteString("found", finding.Found);
            writer.WriteString("fix", finding.Fix);
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
        writer.WriteEndObject();
    });

    /// <summary>The options of `dev` and `serve`, so that either's command line is this one's.</summary>
    private sealed class HostOptions
    {
        private readonly Option<int?> port = HostVerbs.Port(), grpcPort = HostVerbs.GrpcPort(), ranks = HostVerbs.RanksPerNode();
        private readonly Option<string?> database = HostVerbs.Database(), databaseFile = HostVerbs.DatabaseFile();
        private readonly Option<string?> settings = HostVerbs.Settings(), kubeconfig = HostVerbs.Kubeconfig(), agents = HostVerbs.Agents();
        private readonly Option<string?> keyFile = HostVerbs.KeyFile(), monitoring = MonitoringOption.New();
        private readonly Option<bool> rebind = HostVerbs.Rebind();
        private readonly HttpsOptions https = new();
        private readonly OidcOptions oidc = new();

        private readonly Option<string> cluster = new("--cluster")
        {
            Description = "What would run the workers: local processes, Kubernetes, or a simulated cluster. Default: kubernetes where the "
                + "settings have a part 'kubernetes:', else local.",
        };

        private readonly Option<int?> nodes;
        private readonly Option<bool> deputy;
        private readonly Option<string?> silo;

        private readonly Option<string?> submit = new("--submit")
        {
            Description = "Pipeline file that is to run: it is checked, and whether there is room for its checkpoints.",
            HelpName = "FILE",
        };

        /// <summary>Of `dev`; nothing that is looked at depends on them.</summary>
        private readonly Option[] others =
        [
            new Option<bool>("--drills") { Hidden = true }, new Option<string?>("--faults") { Hidden = true },
            new Option<int?>("--seed") { Hidden = true }, new Option<double?>("--time-factor") { Hidden = true },
            new Option<int?>("--keep-pods") { Hidden = true }, new Option<string?>("--data") { Hidden = true },
        ];

        public HostOptions()
        {
            cluster.AcceptOnlyFromAmong(HostVerbs.Clusters);
            nodes = HostVerbs.Nodes(cluster);
            deputy = new Option<bool>("--deputy") { Description = "It would be one that waits (`serve --deputy`)." };
            silo = new Option<string?>("--silo")
            {
                Description = "It would be one of several (`serve --silo`).", HelpName = "ADDRESS:PORT",
            };
            silo.Validators.Add(result =>
            {
                if (result.Tokens is [var token] && !(IPEndPoint.TryParse(token.Value, out var address) && address.Port > 0))
                {
                    result.AddError($"--silo is '{token.Value}'; write this machine's IP address and a port, such as 10.0.0.5:5083.");
                }
            });
        }

        public void AddTo(Command command)
        {
            Array.ForEach<Option>([cluster, settings, kubeconfig, database, databaseFile, port, grpcPort, agents, monitoring, silo, deputy,
                keyFile, rebind, submit, nodes, ranks, .. others], command.Add);
            https.AddTo(command);
            oidc.AddTo(command);
        }

        public async Task<ExaminationAsked> Read(ParseResult parsed, CancellationToken cancellation)
        {
            var (text, refused) = await Connection(parsed.GetValue(database), parsed.GetValue(databaseFile), cancellation);
            string? file = parsed.GetValue(settings);
            string word = parsed.GetValue(cluster) is { Length: > 0 } written ? written
                : await SettingsFile.NamesKubernetes(file, cancellation) ? "kubernetes" : "local";
            return new ExaminationAsked(oidc.Of(parsed, https.Of(parsed, new ControlPlaneOptions
            {
                DataDirectory = Path.GetFullPath(parsed.GetValue(CommonOptions.DataDirectory) ?? ControlFile.UsualDirectory),
                Port = parsed.GetValue(port), GrpcPort = parsed.GetValue(grpcPort), Database = text, Rebind = parsed.GetValue(rebind),
                Deputy = parsed.GetValue(deputy), Silo = Address(parsed.GetValue(silo)), Agents = Address(parsed.GetValue(agents)),
                Monitoring = MonitoringOption.Of(parsed.GetValue(monitoring)),
                KeyFile = parsed.GetValue(keyFile) is { } key ? Path.GetFullPath(key) : null,
                Cluster = HostVerbs.Choose(word, parsed.GetValue(nodes), parsed.GetValue(ranks), parsed.GetValue(kubeconfig)),
                ClusterSettings = file, Submit = parsed.GetValue(submit),
            }), readSecret: false), parsed.GetValue(databaseFile), refused);
        }

        private static IPEndPoint? Address(string? text) => text is null ? null : IPEndPoint.Parse(text);

        /// <summary>A file that cannot be read, or never answers, is a finding here, among the others.</summary>
        private static async Task<(string? Text, RefusalException? Refused)> Connection(
            string? option, string? file, CancellationToken cancellation)
        {
            try
            {
                var read = Task.Factory.StartNew(
                    () => DatabaseText.From(option, file), cancellation, TaskCreationOptions.LongRunning, TaskScheduler.Default);
                return (await read.WaitAsync(Examination.Patience, cancellation), null);
            }
            catch (RefusalException e)
            {
                return (null, e);
            }
            catch (TimeoutException e)
            {
                return (null, new RefusalException(
                    $"--database-file {file} gives no answer within {Examination.Patience.TotalSeconds:0} s.",
                    "Look after the disk or network mount that it is on; a pipe has to be written to.", ExitCode.Failed, e));
            }
        }
    }
}
