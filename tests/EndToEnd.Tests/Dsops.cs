using System.Diagnostics;
using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using DeepSeekOps.ControlPlane.Cli;
using DeepSeekOps.ControlPlane.Client;

namespace DeepSeekOps.EndToEnd.Tests;

/// <summary>
/// The program as a user has it: `dsops dev` as a process on a data directory of its own, and its verbs as further processes.
/// </summary>
internal sealed partial class Dsops : IAsyncDisposable
{
    private static readonly string Program = Path.Combine(AppContext.BaseDirectory, "../../ControlPlane/release/dsops.dll");

    private static readonly HttpClient Rest = new() { Timeout = Eventually.Patience };

    private readonly StringBuilder output = new();
    private readonly string[] devArguments;
    private readonly string folder, verb;
    private Process? dev;

    /// <summary>What is started, before its verb.</summary>
    private readonly string[] program = ["dotnet", Program];

    private Dsops(string folder, string verb, string[] devArguments, Func<string, string[]>? launcher = null)
    {
        program = launcher?.Invoke(folder) ?? program;
        // What is mounted belongs to somebody else; within it a program has a folder of its own.
        DataDirectory = launcher is null ? folder : Path.Combine(folder, "dsops");
        this.folder = folder;
        this.verb = verb;
        this.devArguments = devArguments;
    }

    public string DataDirectory { get; }

    /// <summary>Where the dashboard and REST are; both ask who is there: <see cref="Open"/>, <see cref="Token"/>.</summary>
    public string Http { get; private set; } = "";

    /// <summary>For programs: Authorization: Bearer TOKEN.</summary>
    public string Token => (string?)ControlFile()["token"] ?? throw new InvalidOperationException("control-plane.json has no token");

    public string Grpc => (string?)ControlFile()["grpc"] ?? throw new InvalidOperationException("control-plane.json has no grpc");

    /// <summary>
    /// A page's address as a browser opens it that was not let in yet; the first of a browser's context must be one of these.
    /// </summary>
    public string Open(string page = "/")
    {
        string code =
            new Uri((string?)ControlFile()["open"]
                ?? throw new InvalidOperationException("control-plane.json has no address to open")).Query;
        return page.Contains('?', StringComparison.Ordinal) ? $"{Http}{page}&{code[1..]}" : $"{Http}{page}{code}";
    }

    public int Pid => dev?.Id ?? throw new InvalidOperationException("dev is not running");

    public string Output
    {
        get
        {
            lock (output)
            {
                return output.ToString();
            }
        }
    }

    /// <summary>What it printed, and the end of each log beneath its data directory: a failure elsewhere leaves nothing else.</summary>
    public string Evidence => string.Join(Environment.NewLine,
        [Output, .. Logs().Order(StringComparer.Ordinal).Select(log => $"-- {log}, its end:{Environment.NewLine}{EndOf(log)}")]);

    public static Task<Dsops> Start(params string[] devArguments) => Start("dev", devArguments);

    /// <summary>`dsops serve`, for a cluster that is there already.</summary>
    public static Task<Dsops> Serve(params string[] arguments) => Start("serve", arguments);

    /// <summary>`dsops serve` of another program than the one that was built beside the tests.</summary>
    /// <param name="launcher">The words that start it, given the folder that its data directory is made in.</param>
    public static Task<Dsops> ServeBy(Func<string, string[]> launcher, params string[] arguments) =>
        Start("serve", arguments, launcher: launcher);

    /// <param name="prepare">Given its data directory, before it starts.</param>
    public static Task<Dsops> StartOn(Action<string> prepare, params string[] devArguments) => Start("dev", devArguments, prepare);

    private static async Task<Dsops> Start(
        string verb, string[] arguments, Action<string>? prepare = null, Func<string, string[]>? launcher = null,
        string[]? environment = null)
    {
        string folder = Directory.CreateTempSubdirectory("dsops-e2e-").FullName;
        prepare?.Invoke(folder);
        var dsops = new Dsops(folder, verb, arguments, launcher) { environment = environment ?? [] };
        try
        {
            await dsops.StartDev();
            return dsops;
        }
        catch
        {
            // Nobody else has it to end it.
            await dsops.DisposeAsync();
            throw;
        }
    }

    /// <summary>`dsops serve` that need not answer yet: another one may be at work.</summary>
    public static Dsops Deputy(params string[] arguments)
    {
        var dsops = new Dsops(Directory.CreateTempSubdirectory("dsops-e2e-").FullName, "serve", arguments);
        dsops.Begin();
        return dsops;
    }

    /// <summary>Starts `dev` (again) on the same data directory and waits until it answers.</summary>
    public async Task StartDev()
    {
        Begin();
        await Ready();
    }

    public void Begin()
    {
        Array.ForEach(Directory.GetFiles(folder, "control-plane.json", SearchOption.AllDirectories), File.Delete);
        dev = Launch([.. environment, .. program], [verb, "--data-dir", DataDirectory, "--port", "0", .. devArguments]);
        Collect(dev);
    }

    public async Task Ready() => Http = await Eventually.Get("dev is ready", Eventually.Patience,
        () => Task.FromResult(
            dev is not { HasExited: false } ? throw Died() : ReadAddress(Path.Combine(DataDirectory, "control-plane.json"))),
        () => Evidence);

    /// <summary>A control plane that something else has started again on this data directory has another address.</summary>
    public void FindAgain() => Http = ReadAddress(Path.Combine(DataDirectory, "control-plane.json")) ?? Http;

    /// <summary>Waits until it has ended by itself, and says how.</summary>
    public async Task<int> Ended()
    {
        var process = dev ?? throw new InvalidOperationException("dev is not running");
        using var limit = new CancellationTokenSource(Eventually.Patience);
        await process.WaitForExitAsync(limit.Token);
        return process.ExitCode;
    }

    /// <summary>kill -9 of the control plane alone. Its output must end with it, although what it started lives on.</summary>
    public async Task KillControlPlane()
    {
        var process = dev ?? throw new InvalidOperationException("dev is not running");
        process.Kill(entireProcessTree: false);
        // Waits for the end of its output too, which an agent that had kept a handle of it would put off for ever.
        using var limit = new CancellationTokenSource(Eventually.Patience);
        await process.WaitForExitAsync(limit.Token);
    }

    /// <summary>Ctrl-C, and the exit code.</summary>
    public async Task<int> Stop()
    {
        var process = dev ?? throw new InvalidOperationException("dev is not running");
        if (!process.HasExited)
        {
            Signal("INT", process.Id);
            using var limit = new CancellationTokenSource(Eventually.Patience);
            await process.WaitForExitAsync(limit.Token);
        }

        return process.ExitCode;
    }

    /// <summary>Runs a verb against this data directory.</summary>
    public Task<(int Code, string Output, string Error)> Verb(params string[] arguments) =>
        Run([.. arguments, "--data-dir", DataDirectory]);

    /// <summary>A verb that one talks to, against this data directory.</summary>
    public Process Talk(params string[] arguments) => Launch([.. arguments, "--data-dir", DataDirectory]);

    public static async Task<(int Code, string Output, string Error)> Run(params string[] arguments)
    {
        using var process = Launch(arguments);
        return await Finished(process);
    }

    /// <summary>
    /// The run by REST: tests ask many times a second, and a process of the command line for each would take the cores from what they
    /// watch.
    /// </summary>
    public async Task<JsonNode> Show(string run)
    {
        using var ask = new HttpRequestMessage(HttpMethod.Get, new Uri($"{Http}/v1/runs/{run}"));
        ask.Headers.Authorization = new("Bearer", Token);
        using var answer = await Rest.SendAsync(ask);
        string text = await answer.Content.ReadAsStringAsync();
        return answer.IsSuccessStatusCode ? JsonNode.Parse(text)!
            : throw new InvalidOperationException($"{run} was answered with {(int)answer.StatusCode}: {text}");
    }

    public async Task<JsonNode> Json(params string[] verb) => JsonNode.Parse(await Answer([.. verb, "--json"]))!;

    /// <summary>Submits a pipeline's text, which a second time is the same run.</summary>
    public Task Submit(string pipeline) => Answer("submit", TinyPipeline.File(DataDirectory, pipeline));

    /// <summary>What a verb prints. A machine too busy to answer in time is asked again; a refusal is none of its answers.</summary>
    public Task<string> Answer(params string[] verb) =>
        Eventually.Get($"an answer to {string.Join(' ', verb)}", Eventually.Patience, async () =>
        {
            var (code, text, error) = await Verb(verb);
            return code == 0 ? text
                : code == ExitCode.NotReachable && dev is { HasExited: false } ? null
                : throw new InvalidOperationException(
                    $"{string.Join(' ', verb)} ended with {code}: {error}{Environment.NewLine}{Evidence}");
        }, () => Evidence);

    /// <summary>Waits until a stage satisfies the condition.</summary>
    public Task<JsonNode> UntilStage(string run, string stage, string what, TimeSpan within, Func<JsonNode, bool> condition) =>
        Eventually.Get($"{run}/{stage} {what}", within, async () =>
        {
            var seen = (await Show(run))["stages"]!.AsArray().First(s => (string?)s!["name"] == stage)!;
            if ((string?)seen["state"] is "failed")
            {
                throw new InvalidOperationException($"{run}/{stage} failed: {seen["reason"]}{Environment.NewLine}{Evidence}");
            }

            return condition(seen) ? seen : null;
        }, () => Evidence);

    public Task<JsonNode> UntilRun(string run, string state, TimeSpan within) =>
        Eventually.Get($"{run} is {state}", within, async () =>
        {
            var seen = await Show(run);
            string? now = (string?)seen["state"];
            return now == state ? seen
                : now is "failed" or "cancelled"
                    ? throw new InvalidOperationException($"{run} is {now}: {seen["reason"]}{Environment.NewLine}{Evidence}")
                : null;
        }, () => Evidence);

    /// <summary>Pids of agents that this data directory's nodes started and that still live.</summary>
    public IEnumerable<int> LiveAgents() =>
        Directory.Exists(Path.Combine(DataDirectory, "nodes"))
            ? Directory.EnumerateFiles(Path.Combine(DataDirectory, "nodes"), "pod.json", SearchOption.AllDirectories).SelectMany(PidsOf)
                .Where(IsAlive)
            : [];

    public static void Kill(int pid) => Signal("KILL", pid);

    /// <summary>The process stands still, as one does on a machine that hangs; its sockets stay open.</summary>
    public static void Freeze(int pid) => Signal("STOP", pid);

    public static void Thaw(int pid) => Signal("CONT", pid);

    /// <summary>From now on it gets what others leave of the cores: what is looked at while it goes on needs them more.</summary>
    public static void GiveWay(int pid)
    {
        string[] threads = [.. Directory.EnumerateDirectories($"/proc/{pid}/task").Select(t => Path.GetFileName(t))];
        var start = new ProcessStartInfo("renice", ["-n", "10", "-p", .. threads])
        {
            RedirectStandardOutput = true, RedirectStandardError = true,
        };
        using var renice = Process.Start(start) ?? throw new InvalidOperationException("renice did not start");
        renice.WaitForExit();
    }

    public static bool IsAlive(int pid)
    {
        string status = $"/proc/{pid}/stat";
        try
        {
            // A zombie has ended; only its parent has not noticed yet.
            return File.Exists(status) && !File.ReadAllText(status).Split(") ")[1].StartsWith('Z');
        }
        catch (IOException)
        {
            return false;
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (dev is { HasExited: false })
        {
            try
            {
                await Stop();
            }
            catch (OperationCanceledException)
            {
                dev.Kill(entireProcessTree: true);
            }
        }

        foreach (int pid in LiveAgents().ToArray())
        {
            Kill(pid);
        }

        dev?.Dispose();
        Directory.Delete(folder, recursive: true);
    }

    private JsonNode ControlFile() => JsonNode.Parse(File.ReadAllText(Path.Combine(DataDirectory, "control-plane.json")))!;

    private static IEnumerable<int> PidsOf(string podFile)
    {
        int? pid;
        try
        {
            pid = (int?)JsonNode.Parse(File.ReadAllText(podFile))?["agent"]?["pid"];
        }
        catch (Exception e) when (e is IOException or JsonException)
        {
            yield break;
        }

        if (pid is { } number)
        {
            yield return number;
        }
    }

    private static string? ReadAddress(string file)
    {
        try
        {
            return File.Exists(file) ? (string?)JsonNode.Parse(File.ReadAllText(file))?["http"] : null;
        }
        catch (Exception e) when (e is IOException or JsonException)
        {
            return null;
        }
    }

    private static void Signal(string name, int pid)
    {
        using var kill = Process.Start("kill", [$"-{name}", pid.ToString(CultureInfo.InvariantCulture)]);
        kill.WaitForExit();
    }

    private static Process Launch(string[] arguments) => Launch(["dotnet", Program], arguments);

    private static Process Launch(string[] program, string[] arguments)
    {
        // As a terminal starts it: under nohup the tests have an ignored SIGHUP, which a child would inherit and rightly heed.
        var start = new ProcessStartInfo("env", ["--default-signal=HUP", .. program, .. arguments])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        start.Environment["NO_COLOR"] = "1";
        // These live for seconds: to compile again what was called thirty times costs more than it gives. In hexadecimal.
        start.Environment["DOTNET_TC_CallCountThreshold"] = "2710";
        start.Environment["DOTNET_TieredPGO"] = "0";
        return Process.Start(start) ?? throw new InvalidOperationException("dotnet did not start");
    }

    private IEnumerable<string> Logs()
    {
        string pods = Path.Combine(DataDirectory, "nodes");
        return [Path.Combine(DataDirectory, "logs", "control-plane.log"),
            .. Directory.Exists(pods) ? Directory.EnumerateFiles(pods, "agent.log", SearchOption.AllDirectories) : []];
    }

    private static string EndOf(string log)
    {
        try
        {
            return string.Join(Environment.NewLine, File.ReadLines(log).TakeLast(40));
        }
        catch (IOException e)
        {
            return e.Message;
        }
    }

    private InvalidOperationException Died() => new($"dev ended with code {dev?.ExitCode}:{Environment.NewLine}{Evidence}");

    private void Collect(Process process)
    {
        void Take(object _, DataReceivedEventArgs e)
        {
            lock (output)
            {
                output.AppendLine(e.Data);
            }
        }

        process.OutputDataReceived += Take;
        process.ErrorDataReceived += Take;
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
    }
}
