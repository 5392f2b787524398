using System.Diagnostics;
using System.Globalization;
using System.Net;
using DeepSeekOps.ControlPlane.Hosting;
using DeepSeekOps.EndToEnd.Tests.Kubernetes;
using Xunit;

namespace DeepSeekOps.EndToEnd.Tests.Images;

/// <summary>
/// The images of deploy/images, with the entry points that they have, as processes 1 on file systems that are read-only, of their own user.
/// Only where that is asked for: building them costs minutes of a core, and these tests half a minute.
/// </summary>
public sealed class ImageTests
{
    private const string ControlPlane = "deepseekops", Cpu = "deepseekops-worker-cpu", Cuda = "deepseekops-worker-cuda";

    /// <summary>CUDA's: what was promised (80 MB with its base). The others: what they were when first built, and a fifth.</summary>
    [Theory, InlineData(Cuda, 80), InlineData(ControlPlane, 100), InlineData(Cpu, 210)]
    public void An_image_is_small_and_runs_as_nobody_without_a_shell(string name, int megabytes)
    {
        using var image = Image(name);
        TestContext.Current.TestOutputHelper?.WriteLine(
            string.Create(CultureInfo.InvariantCulture, $"{name}: {image.PackedBytes / 1e6:0.0} MB compressed"));
        Assert.InRange(image.PackedBytes, 1, megabytes * 1_000_000L);
        Assert.Equal("65532:65532", image.RunsAs);
        Assert.DoesNotContain(["bin/sh", "bin/bash", "usr/bin/apt", "usr/bin/python3"], f => File.Exists(Path.Combine(image.Root, f)));
        Assert.True(File.Exists(Path.Combine(image.Root, image.Words("Entrypoint")[^1].TrimStart('/'))));
        Assert.Equal(name == Cpu, Directory.EnumerateFiles(image.Root, "libtorch_cpu.so", SearchOption.AllDirectories).Any());
    }

    [Fact]
    public async Task Serve_answers_probes_and_pages_and_its_agents_in_images_train_and_save_on_SIGTERM()
    {
        using var control = Image(ControlPlane);
        using var worker = Image(Cpu);
        await using var cluster = await PlayedCluster.Begin(nodes: 1);
        string shared = Directory.CreateTempSubdirectory("dsops-shared-").FullName;
        int agents = LoopbackPort.Free(), monitoring = LoopbackPort.Free();
        string settings = KubernetesTests.Settings(shared, [agents], worker.Start($"rw:{shared}:{shared}"));
        string kubeconfig = cluster.Kubeconfig();
        var watch = Stopwatch.StartNew();
        await using var dsops = await Dsops.ServeBy(
            folder => control.Start($"rw:{folder}:{folder}", $"rw:{shared}:{shared}", $"ro:{settings}:/settings/cluster.yaml",
                $"ro:{kubeconfig}:/settings/kubeconfig"),
            "--kubeconfig", "/settings/kubeconfig", "--cluster-settings", "/settings/cluster.yaml", "--agents", Loopback(agents),
            "--monitoring", Loopback(monitoring));
        using var http = new HttpClient();
        var stop = TestContext.Current.CancellationToken;
        await Eventually.Is("/readyz answers", Eventually.Patience, async () =>
            (await http.GetAsync(new Uri($"http://{Loopback(monitoring)}/readyz"), stop)).StatusCode == HttpStatusCode.OK,
            () => dsops.Evidence);
        double up = watch.Elapsed.TotalSeconds;
        Assert.Contains("<title>", await http.GetStringAsync(new Uri(dsops.Open()), stop), StringComparison.Ordinal);

        // It saves by itself never: what lies there was saved because its pod was told to end.
        watch.Restart();
        await dsops.Submit(TinyPipeline.Pretraining("in-images", TinyPipeline.WithoutEnd, everySteps: TinyPipeline.WithoutEnd));
        await dsops.UntilStage("in-images", "pretrain", "trains", Eventually.Patience, s => (long)s["step"]! >= 3);
        double trains = watch.Elapsed.TotalSeconds;
        string saves = Path.Combine(shared, "checkpoints", "in-images", "pretrain");
        Assert.Empty(Saved(saves));
        cluster.TellToEnd();
        await Eventually.Is("the pod has saved", Eventually.Patience, () => Task.FromResult(Saved(saves).Length > 0), () => dsops.Evidence);
        var again = await dsops.UntilStage("in-images", "pretrain", "goes on", Eventually.Patience, s => (int)s["attempt"]! == 2
            && (long)s["step"]! > 3);
        TestContext.Current.TestOutputHelper?.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"ready after {up:0.0} s, three steps {trains:0.0} s after submission; at step {again["step"]} after SIGTERM"));
        await dsops.Verb("cancel", "in-images");
        await dsops.UntilRun("in-images", "cancelled", Eventually.Patience);
        Assert.Equal(0, await dsops.Stop());
        Directory.Delete(shared, recursive: true);
    }

    [Fact]
    public void The_image_for_CUDA_says_what_it_lacks_and_trains_with_a_libtorch_that_is_mounted()
    {
        using var image = Image(Cuda);
        var (_, without) = image.Run(["examine"]);
        Assert.Contains("DSOPS_LIBTORCH is /opt/torch/torch/lib, where no libtorch_cpu.so is", without, StringComparison.Ordinal);
        string libtorch = Path.GetFullPath(Path.Combine(AppContext.BaseDirectory, "../../Worker/release/runtimes/linux-x64/native"));
        var (code, said) = image.Run(
            [
                "bench", "--model", "mini", "--precision", "fp32", "--steps", "3", "--batch", "2", "--sequence", "64", "--device", "cpu",
                "--threads", "1",
            ],
            $"ro:{libtorch}:/opt/torch/torch/lib");
        Assert.True(code == 0, said);
        Assert.Contains("tokensPerSecond", said, StringComparison.Ordinal);
    }

    private static UnpackedImage Image(string name)
    {
        var image = UnpackedImage.Of(name);
        Assert.SkipWhen(image is null, UnpackedImage.Missing);
        return image!;
    }

    private static string[] Saved(string folder) => Directory.Exists(folder)
        ? Directory.GetFiles(folder, "manifest.json", SearchOption.AllDirectories) : [];

    private static string Loopback(int port) => string.Create(CultureInfo.InvariantCulture, $"127.0.0.1:{port}");
}
