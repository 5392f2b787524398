using System.Globalization;

namespace DeepSeekOps.Worker.Agent;

/// <summary>What an agent is started with.</summary>
public sealed record AgentOptions
{
    public const string TokenVariable = "DSOPS_AGENT_TOKEN";

    /// <summary>By what the control plane is known where it speaks TLS.</summary>
    public const string PinVariable = "DSOPS_CONTROL_PIN";

    /// <summary>How many warm processes each agent of this host keeps, where its command line does not say.</summary>
    public const string StandbysVariable = "DSOPS_STANDBYS";

    public const string Usage = """
        Usage: dsops-worker agent --node NODE --run RUN --stage STAGE --gang GANG --pod-dir DIR
                                  (--control-file FILE | --control URL) [options]

          --node NODE            name of this node
          --run, --stage         the stage it works for
          --gang GANG            number of the gang: that of the attempt that placed it here (earlier: --attempt)
          --pod-dir DIR          its own folder: rank-0.log, ...; what it prints itself goes to its standard output
          --control-file FILE    control-plane.json, read again whenever contact is lost
          --control URL[,URL]    the control plane's gRPC address, where it never changes, or those of all that stand in for each other;
                                 https, but within one machine
          --standbys N           warm rank processes to keep ready. Default: DSOPS_STANDBYS, else 1, and for ranks on GPUs
                                 one for each, which takes 1.1 GB of its GPU
          --give-up-after TIME   save and end after so long without the control plane. Default: 2h
          --save-within TIME     how long ranks may save after SIGTERM. Default: 20s
          --peer-host ADDRESS    where ranks of other nodes reach those of this one. Default: 127.0.0.1
          --rank-program PATH    the program a rank is (.dll or executable). Default: this one, verb 'rank'

        DSOPS_AGENT_TOKEN in the environment is the token that the control plane gave it, DSOPS_CONTROL_PIN the pin of its public key
        (sha256//BASE64): who has another one is not spoken to. Without a pin its certificate has to be signed by whom this machine trusts.
        """;

    public required string Node { get; init; }

    public required string Run { get; init; }

    public required string Stage { get; init; }

    public required int Attempt { get; init; }

    public required string PodDirectory { get; init; }

    public string? ControlFile { get; init; }

    public string? ControlUrl { get; init; }

    /// <summary>Null: as many as fits what is trained.</summary>
    public int? Standbys { get; init; }

    // Ours: a control plane that is away is being mended, and training needs it for nothing; most of a working night's outage fits.
    // Whoever gives up saves first.
    public TimeSpan GiveUpAfter { get; init; } = TimeSpan.FromHours(2);

    // Ours: within the 30 s that Kubernetes grants a pod to end by default, with room for the ranks' own end. A save of the miniature
    // takes less than one second; whoever trains something larger says more.
    public TimeSpan SaveWithin { get; init; } = TimeSpan.FromSeconds(20);

    public string? RankProgram { get; init; }

    public string PeerHost { get; init; } = "127.0.0.1";

    /// <summary>Shown with each report. From the environment, since everybody may read a command line.</summary>
    public string Token { get; init; } = "";

    /// <summary>Of the control plane's public key. Empty: what authorities of this machine have signed is believed.</summary>
    public string ControlPin { get; init; } = "";

    /// <summary>The options, or everything that is wrong with them at once.</summary>
    public static (AgentOptions? Options, IReadOnlyList<string> Problems) Parse(IReadOnlyList<string> args)
    {
        var problems = new List<string>();
        var given = Pairs(args, problems);
        string Required(string name)
        {
            if (given.GetValueOrDefault(name) is { Length: > 0 } value)
            {
                return value;
            }

            problems.Add($"{name} is missing.");
            return "";
        }

        T Read<T>(string name, T fallback, Func<string, T?> parse, string form)
            where T : struct
        {
            if (!given.TryGetValue(name, out string? text))
            {
                return fallback;
            }

            if (parse(text) is { } value)
            {
                return value;
            }

            problems.Add($"{name} is '{text}'; write {form}.");
            return fallback;
        }

        var options = new AgentOptions
        {
            Node = Required("--node"),
            Run = Required("--run"),
            Stage = Required("--stage"),
            PodDirectory = Required("--pod-dir"),
            Attempt = Read("--gang", 0, t => ParseCount(t) is > 0 and { } n ? n : null, "a number from 1"),
            ControlFile = given.GetValueOrDefault("--control-file"),
            ControlUrl = given.GetValueOrDefault("--control"),
            Standbys = given.ContainsKey("--standbys") ? Read("--standbys", 1, ParseCount, "a number from 0") : OfHost(problems),
            GiveUpAfter = Read("--give-up-after", TimeSpan.FromHours(2), ParseTime, "a time such as 90s, 10m or 2h"),
            SaveWithin = Read("--save-within", TimeSpan.FromSeconds(20), ParseTime, "a time such as 20s"),
            RankProgram = given.GetValueOrDefault("--rank-program"),
            PeerHost = given.GetValueOrDefault("--peer-host") ?? "127.0.0.1",
        };
        if (!given.ContainsKey("--gang"))
        {
            problems.Add("--gang is missing.");
        }

        if (options.ControlFile is null == options.ControlUrl is null)
        {
            problems.Add("give one of --control-file and --control.");
        }

        return problems.Count == 0 ? (options, problems) : (null, problems);
    }

    private static int? OfHost(List<string> problems)
    {
        var text = Environment.GetEnvironmentVariable(StandbysVariable);
        if (string.IsNullOrEmpty(text))
        {
            return null;
        }

        if (ParseCount(text) is not { } count)
        {
            problems.Add($"{StandbysVariable} is '{text}'; write a number from 0.");
            return null;
        }

        return count;
    }

    private static Dictionary<string, string> Pairs(IReadOnlyList<string> args, List<string> problems)
    {
        string[] known =
        [
            "--node", "--run", "--stage", "--gang", "--pod-dir", "--control-file", "--control", "--standbys", "--give-up-after",
            "--save-within", "--rank-program", "--peer-host",
        ];
        var given = new Dictionary<string, string>(StringComparer.Ordinal);
        for (int i = 0; i < args.Count; i += 2)
        {
            // Its earlier name: whoever starts agents by hand may say it still.
            string name = args[i] == "--attempt" ? "--gang" : args[i];
            if (!known.Contains(name, StringComparer.Ordinal))
            {
                problems.Add($"'{args[i]}' is not an option of 'agent'.");
            }
            else if (i + 1 == args.Count)
            {
                problems.Add($"{args[i]} needs a value.");
            }
            else
            {
                given[name] = args[i + 1];
            }
        }

        return given;
    }

    private static int? ParseCount(string text) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int count) ? count : null;

    private static TimeSpan? ParseTime(string text)
    {
        double unit = text switch
        {
            [.., 'm', 's'] => 0.001,
            [.., 's'] => 1,
            [.., 'm'] => 60,
            [.., 'h'] => 3600,
            _ => 0,
        };
        string number = text.TrimEnd('m', 's', 'h');
        return unit > 0 && double.TryParse(number, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out double value)
            ? TimeSpan.FromSeconds(value * unit)
            : null;
    }
}
