using System.Collections.Immutable;
using System.Diagnostics;
using System.Text.Json;
using DeepSeekOps.Decisions.Checkpoints;
using DeepSeekOps.Decisions.Doctor;

namespace DeepSeekOps.ControlPlane.Clusters.LocalProcess;

/// <summary>`dsops-worker examine` on this machine: what the worker program tells of itself, as far as it comes.</summary>
internal static class WorkerLook
{
    /// <summary>
    /// Loading libtorch takes two seconds on an idle machine, CUDA's libraries ten, and each is many times longer on a busy one. Ours.
    /// </summary>
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    /// <summary>More is no answer of ours.</summary>
    private const int LinesMax = 64, WordsMax = 300;

    private const int WrongUse = 2;

    private const string Driver = "/proc/driver/nvidia/version";

    /// <param name="program">Path of dsops-worker.dll.</param>
    /// <param name="store">That is to be tried with the keys of our environment; null: none.</param>
    public static async Task<(WorkerFacts Worker, (string Trouble, string Fix)? Store)> Run(
        string program, StoreAccess? store, TimeProvider clock, CancellationToken cancellation)
    {
        var facts = new WorkerFacts { Path = program, Driver = DriverVersion(), DriverGpus = DriverGpus() };
        string[] words = [.. WorkerProgram.Command(program), "examine", .. Arguments(store)];
        var start = new ProcessStartInfo(words[0], words[1..])
        {
            RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true,
        };
        using var process = Process.Start(start) ?? throw new IOException($"{program} did not start");
        process.StandardInput.Close();
        using var late = new CancellationTokenSource(Patience, clock);
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellation, late.Token);
        var told = new List<string>();
        var complained = process.StandardError.ReadToEndAsync(limit.Token);
        string ended;
        try
        {
            while (told.Count < LinesMax && await process.StandardOutput.ReadLineAsync(limit.Token) is { } line)
            {
                told.Add(line);
            }

            await process.WaitForExitAsync(limit.Token);
            ended = process.ExitCode == 0 ? "" : Ended(process.ExitCode, await complained);
        }
        catch (OperationCanceledException) when (late.IsCancellationRequested)
        {
            ended = $"no answer within {Patience.TotalSeconds:0} s";
        }
        finally
        {
            if (!process.HasExited)
            {
                process.Kill(entireProcessTree: true);
                await process.WaitForExitAsync(CancellationToken.None);
            }
        }

        return Read(facts with { Ended = ended }, told);
    }

    /// <summary>Lines that are none of ours (a library's greeting) are passed over.</summary>
    internal static (WorkerFacts Worker, (string Trouble, string Fix)? Store) Read(WorkerFacts facts, IEnumerable<string> lines)
    {
        (string, string)? store = null;
        foreach (string line in lines.Where(l => l.StartsWith('{')))
        {
            try
            {
                using var document = JsonDocument.Parse(line);
                var part = document.RootElement;
                facts = part.TryGetProperty("version", out var version)
                    ? facts with { Version = version.GetString(), Protocol = part.GetProperty("protocol").GetInt32() }
                    : part.TryGetProperty("libtorch", out var libtorch) ? Libtorch(facts, libtorch)
                    : part.TryGetProperty("gpus", out var gpus)
                    ? facts with
                    {
                        Gpus = [.. gpus.EnumerateArray().Select(g => new GpuFacts(Text(g, "name"), g.GetProperty("bytes").GetInt64()))],
                        Nccl = part.GetProperty("nccl").GetInt32(),
                        NcclOldest = part.GetProperty("ncclOldest").GetInt32(),
                    }
                    : facts;
                store = part.TryGetProperty("store", out var tried) ? (Text(tried, "trouble"), Text(tried, "fix")) : store;
            }
            catch (Exception e) when (e is JsonException or KeyNotFoundException or InvalidOperationException or FormatException)
            {
                // Not of this version: what is missing is told as such.
            }
        }

        return (facts, store);
    }

    private static WorkerFacts Libtorch(WorkerFacts facts, JsonElement told) => facts with
    {
        LibtorchFolder = Text(told, "folder"),
        LibtorchVersion = Text(told, "version"),
        LibtorchCuda = told.TryGetProperty("cuda", out var cuda) && cuda.GetBoolean(),
        LibtorchTrouble = told.TryGetProperty("trouble", out var trouble) ? trouble.GetString() : null,
    };

    private static string Text(JsonElement of, string name) => of.TryGetProperty(name, out var value) ? value.GetString() ?? "" : "";

    private static string Ended(int code, string complained)
    {
        if (code == WrongUse)
        {
            return "exit code 2: it does not know `examine`";
        }

        string last = complained.Trim().Split('\n')[^1].Trim();
        string how = code > 128 ? $"it was ended by signal {code - 128}" : $"exit code {code}";
        return last.Length == 0 ? how : $"{how}: {last[..Math.Min(last.Length, WordsMax)]}";
    }

    private static ImmutableArray<string> Arguments(StoreAccess? store) => store is null ? []
        :
        [
            "--store", store.Uri, .. store.Endpoint.Length > 0 ? new[] { "--endpoint", store.Endpoint } : [], "--region", store.Region,
            .. store.PathStyle ? new[] { "--path-style" } : [],
        ];

    /// <summary>"NVRM version: NVIDIA UNIX x86_64 Kernel Module  570.86.15  …".</summary>
    private static string DriverVersion()
    {
        try
        {
            string[] words = File.ReadLines(Driver).First().Split(' ', StringSplitOptions.RemoveEmptyEntries);
            return Array.Find(words, w => w.Length > 2 && w.Contains('.', StringComparison.Ordinal) && char.IsDigit(w[0]))
                ?? "of unknown version";
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or InvalidOperationException)
        {
            return "";
        }
    }

    /// <summary>Those that this container may open: /proc tells of all of the machine.</summary>
    private static int DriverGpus() => Directory.Exists("/dev")
        ? Directory.EnumerateFiles("/dev", "nvidia*").Select(f => f["/dev/nvidia".Length..])
            .Count(number => number.Length > 0 && number.All(char.IsAsciiDigit))
        : 0;
}
