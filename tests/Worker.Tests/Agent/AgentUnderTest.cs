using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;
using DeepSeekOps.Contracts.Worker.V1;
using Microsoft.AspNetCore.Builder;
using Xunit;

namespace DeepSeekOps.Worker.Tests.Agent;

/// <summary>The built agent as a process of its own, with a rank that trains nothing, and a control plane to talk to.</summary>
public sealed class AgentUnderTest : IAsyncDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("dsops-agent-").FullName;
    private WebApplication? _controlPlane;
    private Process? _agent;

    public const string Token = "a-token-of-the-test";

    public TestLedger Ledger { get; } = new();

    public Process Agent => _agent ?? throw new InvalidOperationException("not started");

    public string AgentLog => File.ReadAllText(Path.Combine(_folder, "pod", "agent.log"));

    private string ControlFile => Path.Combine(_folder, "control-plane.json");

    /// <summary>artifacts/bin/Worker.Tests/release -> artifacts/bin/NAME/release</summary>
    private static string Built(string project, string file)
    {
        var own = new DirectoryInfo(AppContext.BaseDirectory.TrimEnd('/'));
        return Path.Combine(own.Parent?.Parent?.FullName ?? "/", project, own.Name, file);
    }

    public static Assignment Assignment(int attempt, long steps, long resumeAt = 0) => new()
    {
        Attempt = new AttemptRef { Run = "r", Stage = "s", Attempt = attempt },
        Ranks = { new RankPlacement { Rank = 0, Node = "node-0" } },
        WorldSize = 1,
        Plan = new TrainingPlan { Pretraining = new Pretraining { Tokens = steps } },
        ResumeFrom = resumeAt > 0 ? new CheckpointRef { Step = resumeAt } : null,
    };

    public static Order Start(int attempt, long steps) => new() { Start = new Start { Assignment = Assignment(attempt, steps) } };

    public static Order Restart(int attempt, long steps, long resumeAt) =>
        new() { RestartRanks = new RestartRanks { Assignment = Assignment(attempt, steps, resumeAt), Reason = "test" } };

    public static bool ProcessGone(int pid)
    {
        try
        {
            return File.ReadAllText($"/proc/{pid}/stat").Contains(") Z ", StringComparison.Ordinal);
        }
        catch (IOException)
        {
            return true;
        }
    }

    /// <summary>Polls the process table, which tells nobody of its changes.</summary>
    public static Task Gone(int pid) => Seen(() => Task.FromResult(ProcessGone(pid)));

    /// <summary>Polls what is on a disk.</summary>
    public static async Task Seen(Func<Task<bool>> there)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        limit.CancelAfter(TimeSpan.FromMinutes(5));
        using var poll = new PeriodicTimer(TimeSpan.FromMilliseconds(10));
        while (!await there())
        {
            await poll.WaitForNextTickAsync(limit.Token);
        }
    }

    public static async Task<AgentUnderTest> Begin(Order order, params string[] arguments)
    {
        var test = new AgentUnderTest();
        test.Ledger.Order = order;
        await test.StartControlPlane();
        test.StartAgent(arguments);
        return test;
    }

    public async Task StartControlPlane() => _controlPlane = await TestControlPlane.Start(Ledger, ControlFile);

    public async Task StopControlPlane()
    {
        if (_controlPlane is { } app)
        {
            _controlPlane = null;
            await app.DisposeAsync();
        }
    }

    public RankStatus Rank(int attempt) => Ledger.Do(l => l.Ranks.First(r => r.Attempt == attempt));

    public static void Kill(int pid)
    {
        using var process = Process.GetProcessById(pid);
        process.Kill();
    }

    /// <summary>Polls the agent's log, which is a file.</summary>
    public async Task Logged(string text)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        limit.CancelAfter(TimeSpan.FromMinutes(5));
        using var poll = new PeriodicTimer(TimeSpan.FromMilliseconds(50));
        while (!AgentLog.Contains(text, StringComparison.Ordinal))
        {
            await poll.WaitForNextTickAsync(limit.Token);
        }
    }

    public async Task<int> Ended()
    {
        await Agent.WaitForExitAsync(TestContext.Current.CancellationToken).WaitAsync(TimeSpan.FromMinutes(5));
        return Agent.ExitCode;
    }

    public async ValueTask DisposeAsync()
    {
        if (_agent is { } agent)
        {
            agent.Kill();
            await agent.WaitForExitAsync();
            agent.Dispose();
        }

        await StopControlPlane();
        Directory.Delete(_folder, recursive: true);
    }

    public void StartAgent(string[] arguments)
    {
        string host = Path.GetFullPath(Path.Combine(RuntimeEnvironment.GetRuntimeDirectory(), "../../../dotnet"));
        string pod = Directory.CreateDirectory(Path.Combine(_folder, "pod")).FullName;
        // As the local cluster starts it: the shell sends the output to agent.log and becomes the agent.
        string[] all =
        [
            "-c", "log=$1; shift; exec \"$@\" >>\"$log\" 2>&1", "dsops-agent", Path.Combine(pod, "agent.log"), host,
            Built("Worker", "dsops-worker.dll"), "agent", "--node", "node-0", "--run", "r", "--stage", "s",
            "--attempt", 1.ToString(CultureInfo.InvariantCulture), "--pod-dir", pod,
            "--control-file", ControlFile, "--rank-program", Built("TestRank", "TestRank.dll"), .. arguments,
        ];
        var start = new ProcessStartInfo("/bin/sh", all);
        start.Environment["DSOPS_AGENT_TOKEN"] = Token;
        _agent = Process.Start(start) ?? throw new InvalidOperationException("the agent did not start");
    }
}
