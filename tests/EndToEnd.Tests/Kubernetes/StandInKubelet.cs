using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Text;
using k8s;
using k8s.Autorest;
using k8s.Models;

namespace DeepSeekOps.EndToEnd.Tests.Kubernetes;

/// <summary>
/// Does for all nodes what their kubelets would: runs a pod's command as a process of this machine, says Running and how it ended, sends
/// SIGTERM and after the grace SIGKILL, and takes the object away. A node that is switched off does none of it.
/// </summary>
internal sealed class StandInKubelet(RealApiServer server) : IAsyncDisposable
{
    private static readonly TimeSpan Beat = TimeSpan.FromMilliseconds(200);

    private readonly string folder = Directory.CreateTempSubdirectory("dsops-kubelet-").FullName;
    private readonly ConcurrentDictionary<string, Process> running = new();
    private readonly ConcurrentDictionary<string, long> asked = new();
    private readonly ConcurrentDictionary<string, bool> off = new();
    private readonly CancellationTokenSource stopping = new();
    private Task? loop;

    public void Begin() => loop = Run();

    public static async Task AddNodes(k8s.Kubernetes admin, int count) => await Parallel.ForEachAsync(Enumerable.Range(0, count),
        new ParallelOptions { MaxDegreeOfParallelism = 16 }, async (i, stop) =>
        {
            string name = string.Create(CultureInfo.InvariantCulture, $"node-{i:000}");
            await admin.CoreV1.CreateNodeAsync(new V1Node { Metadata = new V1ObjectMeta { Name = name } }, cancellationToken: stop);
            await Status(admin, name, "True", $"boot-of-{name}", "kubelet is posting ready status");
        });

    /// <summary>The machine is dead: its processes with it, and after a while Kubernetes says that its kubelet does not report.</summary>
    public async Task SwitchOff(string node, string pod)
    {
        off[node] = true;
        Kill(pod);
        await Status(server.Admin, node, "Unknown", $"boot-of-{node}", "Kubelet stopped posting node status.");
    }

    /// <summary>kill -9 of a pod's processes, by its uid.</summary>
    public void Kill(string pod) => running[pod].Kill(entireProcessTree: true);

    public async Task SwitchOn(string node)
    {
        await Status(server.Admin, node, "True", $"second-boot-of-{node}", "kubelet is posting ready status");
        off.TryRemove(node, out _);
    }

    public async ValueTask DisposeAsync()
    {
        await stopping.CancelAsync();
        await (loop ?? Task.CompletedTask);
        foreach (var process in running.Values)
        {
            if (!process.HasExited)
            {
                process.Kill(entireProcessTree: true);
            }

            process.Dispose();
        }

        stopping.Dispose();
        Directory.Delete(folder, recursive: true);
    }

    private static async Task Status(k8s.Kubernetes admin, string node, string ready, string boot, string message) =>
        await admin.CoreV1.PatchNodeStatusAsync(new V1Patch($$"""
            {"status": {"allocatable": {"nvidia.com/gpu": "8", "pods": "110"}, "capacity": {"nvidia.com/gpu": "8", "pods": "110"},
              "nodeInfo": {"bootID": "{{boot}}", "machineID": "", "systemUUID": "", "kernelVersion": "", "osImage": "",
                "containerRuntimeVersion": "", "kubeletVersion": "", "kubeProxyVersion": "", "operatingSystem": "linux",
                "architecture": "amd64"},
              "conditions": [{"type": "Ready", "status": "{{ready}}", "message": "{{message}}", "reason": "StandIn"}] } }
            """, V1Patch.PatchType.StrategicMergePatch), node);

    private async Task Run()
    {
        using var timer = new PeriodicTimer(Beat);
        while (!stopping.IsCancellationRequested)
        {
            try
            {
                var pods = await server.Admin.CoreV1.ListNamespacedPodAsync(RealApiServer.Namespace, cancellationToken: stopping.Token);
                foreach (var pod in pods.Items.Where(p => !off.ContainsKey(p.Spec.NodeName)))
                {
                    await Look(pod);
                }

                await timer.WaitForNextTickAsync(stopping.Token);
            }
            catch (Exception e) when (e is HttpRequestException or HttpOperationException or IOException or OperationCanceledException
                or ObjectDisposedException)
            {
                // The API server is away, as a test wants it: kubelets go on and ask again.
                await Task.Delay(Beat, CancellationToken.None);
            }
        }
    }

    private async Task Look(V1Pod pod)
    {
        string uid = pod.Metadata.Uid;
        running.TryGetValue(uid, out var process);
        bool over = pod.Status.Phase is "Succeeded" or "Failed";
        if (process is null && pod.Metadata.DeletionTimestamp is null && !over)
        {
            running[uid] = await Start(pod);
            await Say(pod, "Running", """{"running": {}}""");
        }
        else if (process is { HasExited: true } && !over)
        {
            string phase = process.ExitCode == 0 ? "Succeeded" : "Failed";
            await Say(pod, phase, $$$"""{"terminated": {"exitCode": {{{process.ExitCode}}}, "reason": "{{{phase}}}"}}""");
        }

        if (pod.Metadata.DeletionTimestamp is not null)
        {
            await End(pod, process);
        }
    }

    private async Task End(V1Pod pod, Process? process)
    {
        if (process is null or { HasExited: true })
        {
            await server.Admin.CoreV1.DeleteNamespacedPodAsync(
                pod.Metadata.Name, RealApiServer.Namespace, new V1DeleteOptions { GracePeriodSeconds = 0 });
        }
        else if (asked.TryAdd(pod.Metadata.Uid, Stopwatch.GetTimestamp()))
        {
            using var kill = Process.Start("kill", ["-TERM", process.Id.ToString(CultureInfo.InvariantCulture)]);
            await kill.WaitForExitAsync();
        }
        else if (Stopwatch.GetElapsedTime(asked[pod.Metadata.Uid]).TotalSeconds > (pod.Metadata.DeletionGracePeriodSeconds ?? 30))
        {
            process.Kill(entireProcessTree: true);
        }
    }

    private async Task Say(V1Pod pod, string phase, string state) =>
        await server.Admin.CoreV1.PatchNamespacedPodStatusAsync(new V1Patch($$"""
        {"status": {"phase": "{{phase}}", "podIP": "127.0.0.1", "containerStatuses": [{"name": "agent", "image": "i", "imageID": "",
          "ready": true, "restartCount": 0, "state": {{state}} }] } }
        """, V1Patch.PatchType.StrategicMergePatch), pod.Metadata.Name, RealApiServer.Namespace);

    private async Task<Process> Start(V1Pod pod)
    {
        var container = pod.Spec.Containers[0];
        string own = Directory.CreateDirectory(Path.Combine(folder, pod.Metadata.Name)).FullName;
        string[] words = [.. container.Command.Concat(container.Args)
            .Select(w => w == "/pod" ? own : w.Replace("$(DSOPS_POD_IP)", "127.0.0.1", StringComparison.Ordinal))];
        var start = new ProcessStartInfo("bash", ["-c", "exec \"$@\" >\"$0\" 2>&1", Path.Combine(own, "log"), .. words]);
        foreach (var variable in container.Env.Where(e => e.Value is not null))
        {
            start.Environment[variable.Name] = variable.Value;
        }

        foreach (var variable in container.Env.Where(e => e.ValueFrom?.SecretKeyRef is not null))
        {
            var from = variable.ValueFrom.SecretKeyRef;
            var secret = await server.Admin.CoreV1.ReadNamespacedSecretAsync(from.Name, RealApiServer.Namespace);
            start.Environment[variable.Name] = Encoding.UTF8.GetString(secret.Data[from.Key]);
        }

        return Process.Start(start)!;
    }
}
