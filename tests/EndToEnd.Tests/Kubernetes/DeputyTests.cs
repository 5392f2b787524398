using System.Buffers.Text;
using System.Diagnostics;
using System.Globalization;
using System.Security.Cryptography;
using System.Text.Json.Nodes;
using DeepSeekOps.ControlPlane.Hosting;
using DeepSeekOps.ControlPlane.Tests.Storage;
using Xunit;

namespace DeepSeekOps.EndToEnd.Tests.Kubernetes;

/// <summary>Two `dsops serve --deputy` on one PostgreSQL and a real API server; the pods of the gang really train.</summary>
public sealed class DeputyTests
{
    /// <summary>More than any machine makes while two control planes fall: it is cancelled in the end.</summary>
    private const int Steps = 20_000;

    [Fact]
    public async Task A_control_plane_that_is_killed_or_hangs_is_followed_by_its_deputy_and_the_gang_trains_on_as_if_nothing_had_been()
    {
        string? programs = RealApiServer.Programs();
        Assert.SkipWhen(programs is null, KubernetesTests.Missing);
        await using var postgres = await PostgresServer.Begin(TestContext.Current.CancellationToken);
        Assert.SkipWhen(postgres is null, PostgresServer.Missing);
        await using var server = await RealApiServer.Begin(programs!);
        await KubernetesTests.Install(server, nodes: 4);
        await using var kubelet = new StandInKubelet(server);
        kubelet.Begin();
        string shared = Directory.CreateTempSubdirectory("dsops-shared-").FullName;
        string key = Path.Combine(shared, "dsops.key");
        await File.WriteAllTextAsync(
            key, Base64Url.EncodeToString(RandomNumberGenerator.GetBytes(32)), TestContext.Current.CancellationToken);
        int[] agents = [LoopbackPort.Free(), LoopbackPort.Free()];
        string database = await postgres!.CreateDatabase(TestContext.Current.CancellationToken);
        int[] monitoring = [LoopbackPort.Free(), LoopbackPort.Free()];
        string[] Arguments(int which) =>
        [
            "--kubeconfig", server.Kubeconfig("dsops"), "--cluster-settings", KubernetesTests.Settings(shared, agents), "--agents",
            At(agents[which]), "--monitoring", At(monitoring[which]), "--database", database, "--key-file", key, "--deputy",
        ];

        await using var first = await Dsops.Serve(Arguments(0));
        await using var second = Dsops.Deputy(Arguments(1));
        await Waits(second);
        await Probe(monitoring[1], "not ready\nprocess: It waits as deputy: another control plane has the database and works.\n");
        await first.Submit(TinyPipeline.Gang("shaken", Steps));
        long step = await Trains(first, from: 3);

        var watch = Stopwatch.StartNew();
        await first.KillControlPlane();
        await second.Ready();
        Tell("killed", watch);
        await Probe(monitoring[1], "ready\nprocess: ok\n");
        step = await Trains(second, step + 2);
        // The first of the list is gone, and the verb asks the next.
        var (code, output, error) = await second.Verb("runs", "--server", $"{first.Http},{second.Http}");
        Assert.True(code == 0 && output.Contains("shaken", StringComparison.Ordinal), output + error);

        first.Begin();
        await Waits(first);
        watch.Restart();
        Dsops.Freeze(second.Pid);
        await first.Ready();
        Tell("hung", watch);
        step = await Trains(first, step + 2);
        Dsops.Thaw(second.Pid);
        Assert.Equal(3, await second.Ended());
        Assert.Contains("Another control plane has taken over", second.Output, StringComparison.Ordinal);

        step = await Trains(first, step + 2);
        await Eventually.Is("every step has its loss", Eventually.Patience, async () =>
        {
            var losses = await BlipDrill.Losses(first, "shaken");
            return Enumerable.Range(1, (int)step).All(s => losses.ContainsKey(s));
        });
        await first.Verb("cancel", "shaken");
        await first.UntilRun("shaken", "cancelled", Eventually.Patience);
        Assert.Equal(0, await first.Stop());
        Directory.Delete(shared, recursive: true);
    }

    private static string At(int port) => string.Create(CultureInfo.InvariantCulture, $"127.0.0.1:{port}");

    /// <summary>What a load balancer hears, before and after its turn, at one port.</summary>
    private static async Task Probe(int port, string expected)
    {
        using var http = new HttpClient();
        string heard = "";
        await Eventually.Is("/readyz says so", Eventually.Patience, async () =>
        {
            try
            {
                using var answer = await http.GetAsync(new Uri($"http://{At(port)}/readyz"), TestContext.Current.CancellationToken);
                heard = await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
            }
            catch (HttpRequestException e)
            {
                // Between the two that answer there, nobody does.
                heard = e.Message;
            }

            return heard.StartsWith(expected, StringComparison.Ordinal);
        }, () => heard);
    }

    private static void Tell(string how, Stopwatch watch) => TestContext.Current.TestOutputHelper?.WriteLine(
        string.Create(CultureInfo.InvariantCulture, $"{how}: the deputy answers after {watch.Elapsed.TotalSeconds:0.0} s"));

    private static Task Waits(Dsops dsops) => Eventually.Is("the deputy waits", Eventually.Patience,
        () => Task.FromResult(dsops.Output.Contains("Waiting as deputy: on host", StringComparison.Ordinal)), () => dsops.Evidence);

    /// <summary>The same launch goes on, with all of its ranks.</summary>
    private static async Task<long> Trains(Dsops dsops, long from)
    {
        var stage = await dsops.UntilStage("shaken", "pretrain", $"is at step {from.ToString(CultureInfo.InvariantCulture)}",
            Eventually.Patience, s => (long)s["step"]! >= from && s["ranks"] is JsonArray { Count: 4 } ranks
                && ranks.All(r => (string)r!["state"]! == "training"));
        Assert.Equal(1, (int)stage["attempt"]!);
        return (long)stage["step"]!;
    }
}
