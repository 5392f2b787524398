using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Text.Json.Nodes;
using DeepSeekOps.ControlPlane.Tests.Clusters.Kubernetes;

namespace DeepSeekOps.EndToEnd.Tests.Kubernetes;

/// <summary>
/// An API server played in this process, for tests that are about the control plane and not about Kubernetes, and its kubelets: a pod's
/// command runs as a process of this machine, is asked to end by SIGTERM, and says how it ended.
/// </summary>
internal sealed class PlayedCluster : IAsyncDisposable
{
    private static readonly TimeSpan Beat = TimeSpan.FromMilliseconds(200);

    private readonly string folder = Directory.CreateTempSubdirectory("dsops-kubelet-").FullName;
    private readonly ConcurrentDictionary<string, Process> running = new();
    private readonly HashSet<string> asked = [];
    private readonly CancellationTokenSource stopping = new();
    private readonly FakeApiServer server;
    private readonly Task kubelets;

    private PlayedCluster(FakeApiServer server, int nodes)
    {
        this.server = server;
        for (int i = 0; i < nodes; i++)
        {
            server.Put("nodes", Node(string.Create(CultureInfo.InvariantCulture, $"node-{i}")));
        }

        kubelets = Run();
    }

    /// <summary>Pods that were ever made.</summary>
    public int Made { get; private set; }

    public int Pods => server.Keys("pods").Length;

    public static async Task<PlayedCluster> Begin(int nodes) => new(await FakeApiServer.Begin(), nodes);

    public string Kubeconfig()
    {
        string file = Path.Combine(folder, "kubeconfig.yaml");
        File.WriteAllText(file, $$"""
            apiVersion: v1
            kind: Config
            clusters: [{name: c, cluster: {server: "{{server.Host}}"} }]
            users: [{name: u, user: {token: "nobody-asks"} }]
            contexts: [{name: x, context: {cluster: c, user: u, namespace: dsops} }]
            current-context: x
            """);
        return file;
    }

    /// <summary>As a drained node does: each pod gets SIGTERM, and ends as its program has it.</summary>
    public void TellToEnd()
    {
        foreach (int pid in running.Values.Where(p => !p.HasExited).Select(p => p.Id).ToArray())
        {
            using var kill = Process.Start("kill", ["-TERM", pid.ToString(CultureInfo.InvariantCulture)]);
            kill.WaitForExit();
        }
    }

    public async ValueTask DisposeAsync()
    {
        await stopping.CancelAsync();
        await kubelets;
        foreach (var process in running.Values)
        {
            if (!process.HasExited)
            {
                process.Kill(entireProcessTree: true);
            }

            process.Dispose();
        }

        stopping.Dispose();
        await server.DisposeAsync();
        Directory.Delete(folder, recursive: true);
    }

    private async Task Run()
    {
        using var timer = new PeriodicTimer(Beat);
        try
        {
            while (await timer.WaitForNextTickAsync(stopping.Token))
            {
                Array.ForEach(server.Keys("pods"), Look);
            }
        }
        catch (OperationCanceledException)
        {
            // The test is over.
        }
    }

    private void Look(string key)
    {
        if (server.Get(key) is not { } pod)
        {
            return;
        }

        string uid = (string)pod["metadata"]!["uid"]!;
        bool ends = pod["metadata"]!["deletionTimestamp"] is not null;
        if (!running.TryGetValue(uid, out var process))
        {
            if (ends)
            {
                server.Remove(key);
                return;
            }

            running[uid] = Start(pod);
            Made++;
            server.Change(key, p => p["status"] = JsonNode.Parse(
                """{"phase": "Running", "podIP": "127.0.0.1", "containerStatuses": [{"name": "agent", "state": {"running": {}}}]}"""));
        }
        else if (process.HasExited && ends)
        {
            server.Remove(key);
        }
        else if (process.HasExited && (string)pod["status"]!["phase"]! == "Running")
        {
            int code = process.ExitCode;
            server.Change(key, p => p["status"] = JsonNode.Parse($$$$"""
                {"phase": "{{{{(code == 0 ? "Succeeded" : "Failed")}}}}", "containerStatuses": [{"name": "agent",
                  "state": {"terminated": {"exitCode": {{{{code}}}}, "reason": "Ended"}}}]}
                """));
        }
        else if (ends && asked.Add(uid))
        {
            using var kill = Process.Start("kill", ["-TERM", process.Id.ToString(CultureInfo.InvariantCulture)]);
            kill.WaitForExit();
        }
    }

    private Process Start(JsonObject pod)
    {
        var container = pod["spec"]!["containers"]![0]!;
        string own = Directory.CreateDirectory(Path.Combine(folder, (string)pod["metadata"]!["name"]!)).FullName;
        string[] words = [.. container["command"]!.AsArray().Concat(container["args"]!.AsArray()).Select(w => (string)w!)
            .Select(w => w == "/pod" ? own : w.Replace("$(DSOPS_POD_IP)", "127.0.0.1", StringComparison.Ordinal))];
        var start = new ProcessStartInfo("bash", ["-c", "exec \"$@\" >\"$0\" 2>&1", Path.Combine(own, "log"), .. words]);
        foreach (var variable in container["env"]!.AsArray().Where(e => e!["value"] is not null))
        {
            start.Environment[(string)variable!["name"]!] = (string)variable["value"]!;
        }

        foreach (var variable in container["env"]!.AsArray().Where(e => e!["valueFrom"]?["secretKeyRef"] is not null))
        {
            var from = variable!["valueFrom"]!["secretKeyRef"]!;
            var secret = server.Get($"secrets/dsops/{from["name"]}")!;
            start.Environment[(string)variable["name"]!] = (string)secret["stringData"]![(string)from["key"]!]!;
        }

        return Process.Start(start)!;
    }

    private static JsonObject Node(string name) => JsonNode.Parse($$$$"""
        {"metadata": {"name": "{{{{name}}}}"}, "spec": {}, "status": {
          "conditions": [{"type": "Ready", "status": "True", "message": "kubelet is posting ready status"}],
          "allocatable": {"nvidia.com/gpu": "8"}, "nodeInfo": {"bootID": "boot-of-{{{{name}}}}"}}}
        """)!.AsObject();
}
