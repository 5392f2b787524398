using System.Globalization;
using System.Text.Json;
using DeepSeekOps.Contracts.Worker.V1;
using DeepSeekOps.Worker.Agent;
using DeepSeekOps.Worker.Libtorch;
using DeepSeekOps.Worker.Parallel;
using TorchSharp;
using static TorchSharp.torch;

namespace DeepSeekOps.Worker.Cli;

/// <summary>`dsops-worker validate`: tests this machine and tells what it found. Exit 0 tested, 1 it could not be, 2 usage.</summary>
internal static class ValidateVerb
{
    private const string Usage = """
        Usage: dsops-worker validate --folder FOLDER [--ranks N] [--device cpu|cuda|auto]
                 computes products whose result is known, copies memory, writes and reads a file in
                 FOLDER and sums over N rank processes; one line of JSON says what came out wrong and how fast
        """;

    private static readonly JsonSerializerOptions Json = new() { PropertyNamingPolicy = JsonNamingPolicy.CamelCase };

    public static int Run(string[] args, TextWriter output, TextWriter errors)
    {
        if (Parse(args) is not { } asked)
        {
            errors.WriteLine(Usage);
            return 2;
        }
        try
        {
            output.WriteLine(JsonSerializer.Serialize(Test(asked.Folder, asked.Ranks, asked.Device, errors), Json));
            return 0;
        }
        catch (Exception e) when (e is InvalidDataException or IOException or UnauthorizedAccessException or DllNotFoundException)
        {
            errors.WriteLine(e.Message);
            return 1;
        }
    }

    internal static MachineFigures Test(string folder, int ranks, string device, TextWriter errors)
    {
        var own = ComputeDevice.Choose(device);
        Device[] devices = own.type == DeviceType.CUDA
            ? [.. Enumerable.Range(0, cuda.device_count()).Select(i => new Device(DeviceType.CUDA, i))] : [own];
        var began = System.Diagnostics.Stopwatch.GetTimestamp();
        var found = new MachineFigures { Device = own.type == DeviceType.CUDA ? $"{devices.Length} x cuda" : "cpu" };
        foreach (var one in devices)
        {
            DeviceTest.Run(one, found);
        }
        DiskTest.Run(folder, own.type == DeviceType.CUDA ? DiskTest.Much : DiskTest.Little, found);
        // A lone GPU has nobody to sum with; processors are shared.
        var gang = own.type == DeviceType.CUDA ? devices.Length : Math.Max(2, ranks);
        if (gang > 1)
        {
            Sum(Math.Min(gang, LocalGang<object>.MostRanks), own.type == DeviceType.CUDA, found, errors);
        }
        found.Seconds = System.Diagnostics.Stopwatch.GetElapsedTime(began).TotalSeconds;
        return found;
    }

    private static void Sum(int ranks, bool gpus, MachineFigures found, TextWriter errors)
    {
        var bytes = gpus ? 256L << 20 : 4 << 20;
        var launch = new RankLaunch
        {
            Collectives = new CollectiveWork { WorldSize = ranks, Device = gpus ? "cuda" : "cpu", Bytes = { bytes } },
        };
        try
        {
            var times = LocalGang<CollectiveTimes>.Run("validate", ranks, launch, report => report.Collectives, errors);
            // A call is over when its slowest rank is.
            found.ReduceBytesPerSecond = bytes / times.SelectMany(t => t.Times).Where(t => t.Call == "all_reduce").Max(t => t.Seconds);
        }
        catch (InvalidDataException e) when (e.Message.Contains(CollectiveBenchmark.WrongSum, StringComparison.Ordinal))
        {
            found.Wrong.Add(e.Message);
        }
    }

    private static (string Folder, int Ranks, string Device)? Parse(string[] args)
    {
        var (folder, ranks, device) = ("", 1, "auto");
        for (var i = 0; i + 1 < args.Length; i += 2)
        {
            switch (args[i])
            {
                case "--folder":
                    folder = args[i + 1];
                    break;
                case "--ranks" when int.TryParse(args[i + 1], NumberStyles.None, CultureInfo.InvariantCulture, out ranks) && ranks > 0:
                    break;
                case "--device" when args[i + 1] is "cpu" or "cuda" or "auto":
                    device = args[i + 1];
                    break;
                default:
                    return null;
            }
        }
        return args.Length % 2 == 0 && folder.Length > 0 ? (folder, ranks, device) : null;
    }
}

/// <summary>What a test of a machine found; the control plane reads it as NodeFigures.</summary>
internal sealed class MachineFigures
{
    public required string Device { get; init; }

    /// <summary>In words; empty: all was right.</summary>
    public List<string> Wrong { get; } = [];

    /// <summary>Of the slowest device, here and below.</summary>
    public double? Tflops { get; set; }

    public double? MemoryBytesPerSecond { get; set; }

    public double? DiskWriteBytesPerSecond { get; set; }

    public double? DiskReadBytesPerSecond { get; set; }

    public double? ReduceBytesPerSecond { get; set; }

    public double Seconds { get; set; }
}
