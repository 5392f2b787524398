using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text.Json;

namespace DeepSeekOps.Benchmarks;

/// <summary>All-reduce of rank processes over loopback, ours and Gloo's in turn.</summary>
internal static class CollectiveBenchmark
{
    private const string Python = "/usr/bin/python3";
    private const int Pairs = 3;

    /// <summary>Gradients are large; what is small is waited for, and there latency counts.</summary>
    private const long Large = 16 << 20;

    public static async Task Run()
    {
        foreach (int ranks in new[] { 2, 4 })
        {
            Table.Title($"collectives: all-reduce of {ranks} processes over loopback, best of {Pairs} pairs run in turn");
            if (!await GlooIsThere())
            {
                Table.Line("Gloo", "not measured", $"{Python} has no torch (apt-get install python3-torch)");
            }

            var (ours, gloo) = (new Dictionary<long, double>(), new Dictionary<long, double>());
            for (int pair = 0; pair < Pairs; pair++)
            {
                Best(ours, await Lines(Start(Worker, "bench", "--collectives", Text(ranks))));
                Best(gloo, await GlooIsThere() ? await Gloo(ranks) : []);
            }

            foreach (var (bytes, seconds) in ours.OrderBy(o => o.Key))
            {
                string what = bytes < 1 << 20 ? $"{bytes >> 10} KiB" : $"{bytes >> 20} MiB";
                string measured = Table.Say($"{seconds * 1e6:#,0} us, {bytes / seconds / 1e9:0.00} GB/s");
                if (!gloo.TryGetValue(bytes, out double peer))
                {
                    Table.Line(what, measured);
                    continue;
                }

                // 1.2 where bandwidth counts, no later than Gloo where latency does; between them it is only told.
                double least = bytes >= Large ? 1.2 : bytes <= 64 << 10 ? 1 : 0;
                Table.Hold(what, measured, peer / seconds >= least, Table.Say($"{peer / seconds:0.00} x Gloo ({peer * 1e6:#,0} us)"));
            }
        }
    }

    private static string Worker => Path.Combine(Checkout.Root, "artifacts", "bin", "Worker", "release", "dsops-worker");

    private static void Best(Dictionary<long, double> times, IEnumerable<(long Bytes, double Seconds)> more)
    {
        foreach (var (bytes, seconds) in more)
        {
            times[bytes] = Math.Min(seconds, times.GetValueOrDefault(bytes, double.MaxValue));
        }
    }

    private static async Task<bool> GlooIsThere()
    {
        if (!File.Exists(Python))
        {
            return false;
        }

        using var asked = Start(Python, "-c", "import torch.distributed as d; assert d.is_gloo_available()");
        await asked.WaitForExitAsync();
        return asked.ExitCode == 0;
    }

    private static async Task<IEnumerable<(long Bytes, double Seconds)>> Gloo(int ranks)
    {
        string script = Path.Combine(Checkout.Root, "tests", "Benchmarks", "gloo.py");
        string port = Text(FreePort());
        var told =
            await Task.WhenAll(Enumerable.Range(0, ranks).Select(rank => Lines(Start(Python, script, Text(rank), Text(ranks), port))));
        return told[0];
    }

    private static Process Start(string program, params string[] arguments) =>
        Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true })
            ?? throw new InvalidOperationException($"{program} did not start.");

    private static async Task<IEnumerable<(long Bytes, double Seconds)>> Lines(Process process)
    {
        using (process)
        {
            var errors = process.StandardError.ReadToEndAsync();
            string output = await process.StandardOutput.ReadToEndAsync();
            await process.WaitForExitAsync();
            if (process.ExitCode != 0)
            {
                throw new InvalidOperationException(await errors);
            }

            return
            [
                .. from line in output.Split('\n', StringSplitOptions.RemoveEmptyEntries)
                   let told = JsonDocument.Parse(line).RootElement
                   where told.GetProperty("call").GetString() == "all_reduce"
                   select (told.GetProperty("bytes").GetInt64(), told.GetProperty("seconds").GetDouble()),
            ];
        }
    }

    private static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }

    private static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);
}
