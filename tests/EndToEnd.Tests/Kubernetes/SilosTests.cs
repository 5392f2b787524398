using System.Buffers.Text;
using System.Diagnostics;
using System.Globalization;
using System.Net.WebSockets;
using System.Security.Cryptography;
using System.Text.Json.Nodes;
using DeepSeekOps.ControlPlane.Hosting;
using DeepSeekOps.ControlPlane.Tests.Storage;
using Xunit;

namespace DeepSeekOps.EndToEnd.Tests.Kubernetes;

/// <summary>Two `dsops serve --silo` that work at the same time on one PostgreSQL; the pods of the gang really train.</summary>
public sealed class SilosTests
{
    private const int Steps = 20_000;

    [Fact]
    public async Task A_run_outlives_the_silo_that_has_it_killed_and_the_next_one_stopped_and_both_pages_go_on()
    {
        var cancellation = TestContext.Current.CancellationToken;
        await using var postgres = await PostgresServer.Begin(cancellation);
        Assert.SkipWhen(postgres is null, PostgresServer.Missing);
        await using var cluster = await PlayedCluster.Begin(nodes: 4);
        string shared = Directory.CreateTempSubdirectory("dsops-shared-").FullName;
        string key = Path.Combine(shared, "dsops.key");
        await File.WriteAllTextAsync(key, Base64Url.EncodeToString(RandomNumberGenerator.GetBytes(32)), cancellation);
        string database = await postgres!.CreateDatabase(cancellation);
        int[] agents = [LoopbackPort.Free(), LoopbackPort.Free()];
        string settings = KubernetesTests.Settings(shared, agents);
        string[] Arguments(int one) =>
        [
            "--kubeconfig", cluster.Kubeconfig(), "--cluster-settings", settings, "--agents", Loopback(agents[one]), "--database",
            database, "--key-file", key, "--silo", Loopback(LoopbackPort.Free()),
        ];

        await using var first = await Dsops.Serve(Arguments(0));
        await using var second = await Dsops.Serve(Arguments(1));
        // The agents beat at the first of the list, wherever the stage is.
        await second.Submit(TinyPipeline.Gang("shaken", Steps));
        long step = await Trains(first, from: 3);
        step = await Trains(second, step);
        var (killed, left) = Has(first) ? (first, second) : (second, first);
        await using var page = await LivePage.Open(left, "shaken");
        await page.Sees(step + 1);

        int awake = Awake(left);
        var watch = Stopwatch.StartNew();
        await killed.KillControlPlane();
        step = await GoesOn(left, "killed", watch, awake, step);
        await page.Sees(step);
        var (code, output, error) = await left.Verb("runs", "--server", $"{killed.Http},{left.Http}");
        Assert.True(code == 0 && output.Contains("shaken", StringComparison.Ordinal), output + error);

        await killed.StartDev();
        step = await Trains(killed, step);
        await using var other = await LivePage.Open(killed, "shaken");
        await other.Sees(step + 1);
        awake = Awake(killed);
        watch.Restart();
        Dsops.Freeze(left.Pid);
        step = await GoesOn(killed, "stopped", watch, awake, step);
        await other.Sees(step);
        Dsops.Thaw(left.Pid);
        Assert.Equal(3, await left.Ended());
        Assert.Contains("Another control plane has taken over", left.Output, StringComparison.Ordinal);

        step = await Trains(killed, step + 2);
        await Eventually.Is("every step has its loss", Eventually.Patience, async () =>
        {
            var losses = await BlipDrill.Losses(killed, "shaken");
            return Enumerable.Range(1, (int)step).All(s => losses.ContainsKey(s));
        });
        Assert.Equal(2, cluster.Made);
        await killed.Verb("cancel", "shaken");
        await killed.UntilRun("shaken", "cancelled", Eventually.Patience);
        Assert.Equal(0, await killed.Stop());
        Directory.Delete(shared, recursive: true);
    }

    private static string Loopback(int port) => string.Create(CultureInfo.InvariantCulture, $"127.0.0.1:{port}");

    /// <summary>The silo that has the stage says in its log what becomes of it.</summary>
    private static bool Has(Dsops silo) => silo.Output.Contains("shaken/pretrain is", StringComparison.Ordinal);

    /// <summary>What the lost silo had is awake here, and then the agents of the gang are heard.</summary>
    private static async Task<long> GoesOn(Dsops silo, string how, Stopwatch watch, int awake, long step)
    {
        await Eventually.Is("the run is awake", Eventually.Patience, () => Task.FromResult(Awake(silo) > awake), () => silo.Evidence);
        double back = watch.Elapsed.TotalSeconds;
        await Eventually.Is("its agents are heard", Eventually.Patience, async () =>
        {
            try
            {
                var stage = (await silo.Show("shaken"))["stages"]![0]!;
                return (long)stage["step"]! > step;
            }
            catch (InvalidOperationException)
            {
                // It says that the run moves: asked again.
                return false;
            }
        }, () => silo.Evidence);
        TestContext.Current.TestOutputHelper?.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"{how}: its grains are back after {back:0.0} s, its agents are heard after {watch.Elapsed.TotalSeconds:0.0} s"));
        return await Trains(silo, step + 2);
    }

    /// <summary>How often this silo has woken what others had.</summary>
    private static int Awake(Dsops silo) => silo.Output.Split("that have not ended are awake").Length;

    /// <summary>The same launch goes on, with all of its ranks.</summary>
    private static async Task<long> Trains(Dsops dsops, long from)
    {
        var stage = await dsops.UntilStage("shaken", "pretrain", $"is at step {from.ToString(CultureInfo.InvariantCulture)}",
            Eventually.Patience, s => (long)s["step"]! >= from && s["ranks"] is JsonArray { Count: 4 } ranks
                && ranks.All(r => (string)r!["state"]! == "training"));
        Assert.Equal(1, (int)stage["attempt"]!);
        return (long)stage["step"]!;
    }

    /// <summary>What draws a run's curves as its samples come.</summary>
    private sealed class LivePage : IAsyncDisposable
    {
        private readonly ClientWebSocket socket;
        private readonly Task reads;
        private long seen;

        private LivePage(ClientWebSocket socket)
        {
            this.socket = socket;
            reads = Read();
        }

        public static async Task<LivePage> Open(Dsops silo, string run)
        {
            var socket = new ClientWebSocket();
            socket.Options.SetRequestHeader("Authorization", $"Bearer {silo.Token}");
            await socket.ConnectAsync(new Uri($"{silo.Http.Replace("http:", "ws:", StringComparison.Ordinal)}/series/live?run={run}"),
                TestContext.Current.CancellationToken);
            return new LivePage(socket);
        }

        public Task Sees(long step) => Eventually.Is($"the page draws step {step.ToString(CultureInfo.InvariantCulture)}",
            Eventually.Patience, () => reads.IsCompleted
                ? throw new InvalidOperationException("the page's connection has ended", reads.Exception)
                : Task.FromResult(Interlocked.Read(ref seen) >= step));

        public async ValueTask DisposeAsync()
        {
            socket.Abort();
            await reads.ContinueWith(_ => { }, TaskScheduler.Default);
            socket.Dispose();
        }

        /// <summary>The step of a frame's first sample: docs of LiveFrame.</summary>
        private async Task Read()
        {
            byte[] frame = new byte[1 << 20];
            while (true)
            {
                int length = 0;
                ValueWebSocketReceiveResult part;
                do
                {
                    part = await socket.ReceiveAsync(frame.AsMemory(length), CancellationToken.None);
                    length += part.Count;
                }
                while (!part.EndOfMessage);
                if (length > 12 && BitConverter.ToInt32(frame, 8) > 0)
                {
                    int stage = BitConverter.ToUInt16(frame, 12);
                    Interlocked.Exchange(ref seen, (long)BitConverter.ToDouble(frame, 14 + stage + 4));
                }
            }
        }
    }
}
