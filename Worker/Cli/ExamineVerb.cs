using System.Reflection;
using System.Text.Json;
using DeepSeekOps.Contracts.Worker.V1;
using DeepSeekOps.Worker.Agent;
using DeepSeekOps.Worker.Checkpoints.Store;
using DeepSeekOps.Worker.Cuda;
using DeepSeekOps.Worker.Libtorch;
using DeepSeekOps.Worker.Parallel.Nccl;
using TorchSharp;

namespace DeepSeekOps.Worker.Cli;

/// <summary>
/// `dsops-worker examine`: what this worker is and finds here, for `dsops doctor`. A line of JSON for each part, as soon as it is known: a
/// library that ends the process leaves what was told before it.
/// </summary>
internal static class ExamineVerb
{
    private const string Usage = """
        Usage: dsops-worker examine [--store URI [--endpoint URL] [--region REGION] [--path-style]]
                 lines of JSON: version and protocol; whether the store can be written with the keys of the
                 environment; which libtorch loads; which GPUs and NCCL it finds
        """;

    /// <summary>Of all that is asked of the store: a person waits.</summary>
    private static readonly TimeSpan StorePatience = TimeSpan.FromSeconds(5);

    /// <summary>Between tries: three seconds in all, where 15 are usual beside training.</summary>
    private static readonly TimeSpan RetryDelay = TimeSpan.FromMilliseconds(100);

    private static readonly JsonSerializerOptions Json = new() { PropertyNamingPolicy = JsonNamingPolicy.CamelCase };

    public static int Run(string[] args, TextWriter output, TextWriter errors)
    {
        if (!TryParse(args, out var store))
        {
            errors.WriteLine(Usage);
            return 2;
        }
        Tell(output, new { version = Version, protocol = NodeAgent.Protocol });
        if (store is not null)
        {
            var (trouble, fix) = TryStore(store).GetAwaiter().GetResult();
            Tell(output, new { store = new { trouble, fix } });
        }
        if (TryLibtorch(output))
        {
            Tell(output, new { gpus = Gpus(), nccl = NcclLibrary.Version, ncclOldest = NcclLibrary.Oldest });
        }
        return 0;
    }

    private static string Version =>
        typeof(ExamineVerb).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion ?? "";

    private static bool TryLibtorch(TextWriter output)
    {
        var folder = "";
        try
        {
            folder = LibtorchLoading.Choose();
            var cuda = File.Exists(Path.Combine(folder, "libtorch_cuda.so"));
            Tell(output, new { libtorch = new { folder, version = LibtorchVersion.Written(folder), cuda } });
            LibtorchLoading.Require();
            Tell(output, new { libtorch = new { folder, version = VersionOf(folder), cuda, trouble = "" } });
            return true;
        }
        // Its initializer fails on its own after a library that is missing; the first words are what is told.
        catch (Exception e) when (e is DllNotFoundException or BadImageFormatException or EntryPointNotFoundException or IOException
            or UnauthorizedAccessException or TypeInitializationException or NotSupportedException)
        {
            var version = folder.Length > 0 ? VersionOf(folder) : "";
            Tell(output, new { libtorch = new { folder, version, cuda = false, trouble = Last(e.GetBaseException().Message) } });
            return false;
        }
    }

    /// <summary>Of several lines the loader's own is the last, after what .NET advises.</summary>
    private static string Last(string message) =>
        message.Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries)[^1];

    private static string VersionOf(string folder) =>
        LibtorchVersion.Loaded(folder) is { Length: > 0 } told ? told : LibtorchVersion.Written(folder);

    private static object[] Gpus() => !torch.cuda.is_available() ? []
        : [.. Enumerable.Range(0, torch.cuda.device_count()).Select(CudaQueue.Describe)
            .Select(gpu => new { name = gpu.Name, bytes = gpu.Bytes })];

    /// <summary>What the keys have to be allowed to: list, put, get and delete. What it wrote is taken away again.</summary>
    private static async Task<(string Trouble, string Fix)> TryStore(CheckpointStore asked)
    {
        using var late = new CancellationTokenSource(StorePatience);
        var key = $".dsops-doctor-{Environment.MachineName}-{Environment.ProcessId}";
        try
        {
            using var store = new ObjectStore(asked, StoreKeys.Find(asked.Uri, Environment.GetEnvironmentVariable), TimeProvider.System,
                RetryDelay);
            _ = await store.List(key, late.Token);
            byte[] written = [1, 2, 3];
            await store.Put(key, written, late.Token);
            var read = await store.Get(key, written.Length, late.Token);
            await store.Delete([key], late.Token);
            return read.SequenceEqual(written) ? ("", "")
                : ($"{asked.Uri} gave other bytes back than were put there", "Look at the store.");
        }
        catch (BadInputException e)
        {
            return (e.What, e.Fix);
        }
        catch (StoreException e)
        {
            return (e.Message, e.Fix);
        }
        catch (OperationCanceledException)
        {
            return ($"{asked.Uri} gives no answer within {StorePatience.TotalSeconds:0} s",
                "Look at the store, at checkpointStore.endpoint, and at the network between.");
        }
    }

    private static bool TryParse(string[] args, out CheckpointStore? store)
    {
        store = null;
        var read = new CheckpointStore();
        for (var i = 0; i < args.Length; i++)
        {
            switch (args[i])
            {
                case "--path-style":
                    read.PathStyle = true;
                    break;
                case "--store" when i + 1 < args.Length:
                    read.Uri = args[++i];
                    break;
                case "--endpoint" when i + 1 < args.Length:
                    read.Endpoint = args[++i];
                    break;
                case "--region" when i + 1 < args.Length:
                    read.Region = args[++i];
                    break;
                default:
                    return false;
            }
        }
        store = read.Uri.Length > 0 ? read : null;
        return store is not null || args.Length == 0;
    }

    private static void Tell(TextWriter output, object part)
    {
        output.WriteLine(JsonSerializer.Serialize(part, Json));
        output.Flush();
    }
}
