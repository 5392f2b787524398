using System.Diagnostics;
using System.Text.Json;

namespace DeepSeekOps.Benchmarks;

/// <summary>
/// A rank with a state of 500 MB that saves it now and then, by its own reports; dd writes as many bytes to the same folder in between.
/// </summary>
internal static class CheckpointBenchmark
{
    private const int Mebibytes = 500;

    public static async Task Run()
    {
        using var folder = new Scratch();
        using var bench = Process.Start(new ProcessStartInfo(
            Path.Combine(Checkout.Root, "artifacts", "bin", "Worker", "release", "dsops-worker"),
            ["bench", "--checkpoint", Table.Say($"{Mebibytes}"), "--folder", folder.Path])
        { RedirectStandardOutput = true })
            ?? throw new InvalidOperationException("dsops-worker did not start.");
        string output = await bench.StandardOutput.ReadToEndAsync();
        await bench.WaitForExitAsync();
        var told = JsonDocument.Parse(output).RootElement;
        double[] Sorted(string name) => [.. told.GetProperty(name).EnumerateArray().Select(e => e.GetDouble()).Order()];
        double bytes = told.GetProperty("stateBytes").GetInt64();
        Table.Title(Table.Say($"checkpoint: a state of {bytes / 1e6:0} MB, {Sorted("stallSeconds").Length} saves"));
        Table.AtMost("a step waits for a save, at most", Sorted("stallSeconds")[^1] * 1000, 50);
        Table.Line("the same, the first save", Table.Say($"{told.GetProperty("firstStallSeconds").GetDouble() * 1000:0.#} ms"),
            "its buffers are new");
        var (step, beside) = (Sorted("stepSeconds").Percentile(0.5), Sorted("stepBesideSaveSeconds").Percentile(0.5));
        Table.Line("a step beside a save, at p50", Table.Say($"{beside * 1000:0} ms"), Table.Say($"{beside / step:0.00} x one without"));
        var (lag, dd) = (Sorted("lagSeconds").Percentile(0.5), Sorted("ddSeconds").Percentile(0.5));
        Table.Hold("durable after a save's begin, at p50", Table.Say($"{lag:0.00} s, {bytes / lag / 1e6:0} MB/s"), dd / lag >= 0.8,
            Table.Say($"{dd / lag:0.00} x dd with conv=fsync ({bytes / dd / 1e6:0} MB/s); wanted 0.8"));
        Table.Line("kept in memory, at p50", Table.Say($"{Sorted("keepSeconds").Percentile(0.5) * 1000:0} ms"));
        Table.AtMost("restored from memory, at most", Sorted("restoreSeconds")[^1] * 1000, 300);
    }

    private sealed class Scratch : IDisposable
    {
        public string Path { get; } = Directory.CreateTempSubdirectory("dsops-checkpoint-").FullName;

        public void Dispose() => Directory.Delete(Path, recursive: true);
    }
}
