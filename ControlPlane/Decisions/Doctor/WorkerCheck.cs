using System.Collections.Immutable;

namespace DeepSeekOps.Decisions.Doctor;

/// <summary>A GPU as libtorch sees it.</summary>
public sealed record GpuFacts(string Name, long Bytes);

/// <summary>The worker program as it was found, and what it told of itself, as far as it came.</summary>
public sealed record WorkerFacts
{
    /// <summary>Why there is none, with the places that were looked at; empty: there is one.</summary>
    public string Missing { get; init; } = "";

    public string Path { get; init; } = "";

    /// <summary>How it ended without an answer to all; empty: it answered to all.</summary>
    public string Ended { get; init; } = "";

    /// <summary>Null: it did not get so far, here and below.</summary>
    public string? Version { get; init; }

    public int? Protocol { get; init; }

    /// <summary>Why libtorch does not load; empty: it does.</summary>
    public string? LibtorchTrouble { get; init; }

    public string LibtorchFolder { get; init; } = "";

    /// <summary>"2.10.0"; empty: it does not tell.</summary>
    public string LibtorchVersion { get; init; } = "";

    /// <summary>It is built for GPUs.</summary>
    public bool LibtorchCuda { get; init; }

    public ImmutableArray<GpuFacts>? Gpus { get; init; }

    /// <summary>22809; 0: there is none.</summary>
    public int? Nccl { get; init; }

    /// <summary>The oldest that the worker's binding can do with.</summary>
    public int NcclOldest { get; init; }

    /// <summary>As /proc/driver/nvidia/version has it; empty: there is no driver.</summary>
    public string Driver { get; init; } = "";

    /// <summary>GPUs that the driver knows.</summary>
    public int DriverGpus { get; init; }
}

/// <summary>Whether the workers of this machine could start, and by what they would compute.</summary>
public static class WorkerCheck
{
    /// <summary>Those that TorchSharp's bridge and the dispatcher's calls were made for; others lack symbols, or have other ones.</summary>
    private static readonly ImmutableArray<string> Libtorch = ["2.10", "2.11"];

    private const string NameLibtorch = "Set DSOPS_LIBTORCH to the folder torch/lib of a PyTorch 2.10 or 2.11";

    /// <param name="version">Of this program.</param>
    /// <param name="ranksPerNode">That are to run on a node of this machine.</param>
    public static ImmutableArray<Finding> Of(WorkerFacts seen, string version, int protocol, int ranksPerNode)
    {
        if (seen.Missing.Length > 0)
        {
            return [Finding.Fault("worker.program", seen.Missing.TrimEnd('.'),
                "Build it (`dotnet build -c Release Worker`), or set DSOPS_WORKER to the path of dsops-worker.dll.")];
        }

        ImmutableArray<Finding> own = [Finding.Ok("worker.program", seen.Path), Version(seen, version, protocol)];
        return seen.Version is null ? [own[1]] : [.. own, LibtorchOf(seen), Gpus(seen, ranksPerNode), Nccl(seen)];
    }

    private static Finding Version(WorkerFacts seen, string version, int protocol)
    {
        const string check = "worker.version";
        string fix = "Build or install control plane and worker from one version.";
        return seen.Version is not { } told
            ? Finding.Fault(check, $"{seen.Path} does not tell its version ({seen.Ended}): it is of another version, or does not run here",
                $"{fix} `dotnet {seen.Path}` shows whether it runs at all.")
            : seen.Protocol != protocol
            ? Finding.Fault(check, $"the worker {told} speaks protocol {seen.Protocol}, this program ({version}) {protocol}", fix)
            : Release(told) != Release(version) ? Finding.Fault(check, $"the worker is version {told}, this program {version}", fix)
            : told != version
            ? Finding.Warning(check, $"worker and program are both {Release(version)}, built from different commits "
                + $"({Commit(told)}, {Commit(version)})", fix)
            : Finding.Ok(check, $"{Release(told)}, protocol {protocol}, as this program");
    }

    private static Finding LibtorchOf(WorkerFacts seen)
    {
        const string check = "worker.libtorch";
        string found = seen.LibtorchVersion.Length > 0 ? $"libtorch {seen.LibtorchVersion}" : "libtorch";
        string where = seen.LibtorchFolder.Length > 0 ? $" in {seen.LibtorchFolder}" : "";
        bool wrong = seen.LibtorchVersion.Length > 0 && !Libtorch.Contains(Release(seen.LibtorchVersion, parts: 2));
        return wrong
            ? Finding.Fault(check, $"{found}{where} is of another version than 2.10 and 2.11, which the worker is made for"
                + (seen.LibtorchTrouble is { Length: > 0 } why ? $"; it does not load: {why.TrimEnd('.')}" : ""), $"{NameLibtorch}.")
            : seen.LibtorchTrouble is { Length: > 0 } trouble
            ? Finding.Fault(check, (where.Length == 0 ? "" : $"{found}{where} does not load: ") + trouble.TrimEnd('.'),
                $"{NameLibtorch}, or publish the worker with libtorch-cpu-linux-x64.")
            : seen.LibtorchTrouble is null
            ? Finding.Fault(check, $"{found}{where}: the worker ended while it loaded it ({seen.Ended})",
                $"{NameLibtorch}; `ldd` on libtorch_cpu.so there shows what it lacks.")
            : seen.LibtorchVersion.Length == 0
            ? Finding.NotKnown(check, $"libtorch{where} loads, and does not tell its version", $"{NameLibtorch}, if a rank complains.")
            : Finding.Ok(check, $"{found}{where} loads");
    }

    private static Finding Gpus(WorkerFacts seen, int ranksPerNode)
    {
        const string check = "worker.gpus";
        string driver = seen.Driver.Length > 0 ? $"driver {seen.Driver}" : "no driver of NVIDIA's";
        if (seen.Gpus is not { } gpus)
        {
            return seen.Driver.Length == 0 && seen.LibtorchTrouble is not null
                ? Finding.Ok(check, $"none ({driver}): ranks would compute on processors")
                : Finding.NotKnown(check, $"what libtorch sees of them is not known, since it does not load ({driver}, "
                    + $"{Words.Count(seen.DriverGpus, "GPU", "GPUs")} known to it)");
        }

        int there = seen.DriverGpus;
        return gpus.IsEmpty && there > 0 && !seen.LibtorchCuda
            ? Finding.Fault(check, $"{Words.Count(there, "GPU is", "GPUs are")} here ({driver}), and libtorch in {seen.LibtorchFolder} is "
                + "built for processors alone", $"{NameLibtorch} built for CUDA; DSOPS_DEVICE=cpu, if processors are meant.")
            : gpus.IsEmpty && there > 0
            ? Finding.Fault(check, $"{Words.Count(there, "GPU is", "GPUs are")} here ({driver}), and libtorch sees none",
                "Look at `nvidia-smi` and CUDA_VISIBLE_DEVICES; the driver may be older than libtorch's CUDA needs.")
            : gpus.IsEmpty ? Finding.Ok(check, $"none ({driver}): ranks compute on processors")
            : gpus.Length < there
            ? Finding.Warning(check, $"libtorch sees {gpus.Length} of {there} GPUs ({driver})",
                "Look at `nvidia-smi` and CUDA_VISIBLE_DEVICES.")
            : ranksPerNode > gpus.Length
            ? Finding.Fault(check, $"{ranksPerNode} ranks on a node, and {Words.Count(gpus.Length, "GPU", "GPUs")} here ({driver})",
                $"Ask for at most {gpus.Length}: --ranks-per-node, or resources.ranksPerNode of the pipeline.")
            : Finding.Ok(check, $"{gpus.Length} × {gpus[0].Name}, {Words.Size(gpus[0].Bytes)} each, {driver}");
    }

    private static Finding Nccl(WorkerFacts seen)
    {
        const string check = "worker.nccl";
        const string fix = "Install libnccl2 of your CUDA, or use a PyTorch built for CUDA, which brings libnccl.so.2.";
        return seen.Nccl is not { } version
            ? Finding.NotKnown(check, "which NCCL there is, is not known, since libtorch does not load")
            : seen.Gpus is not { IsEmpty: false } gpus
            ? Finding.Ok(check, version > 0 ? $"NCCL {Of(version)}; no GPU needs it" : "none, and no GPU needs one")
            : version == 0 && gpus.Length == 1
            ? Finding.Warning(check, "no libnccl.so.2: one GPU needs none, and gangs of several nodes would go over sockets", fix)
            : version == 0
            ? Finding.Fault(check, $"no libnccl.so.2, and {gpus.Length} GPUs: gangs would go over sockets, through host memory", fix)
            : version < seen.NcclOldest
            ? Finding.Fault(check, $"NCCL {Of(version)} is older than {Of(seen.NcclOldest)}, the oldest whose communicators can be given "
                + "up: gangs would go over sockets", fix)
            : Finding.Ok(check, $"NCCL {Of(version)}; {Of(seen.NcclOldest)} or later is needed");
    }

    private static string Of(int nccl) => $"{nccl / 10000}.{nccl / 100 % 100}.{nccl % 100}";

    /// <summary>"0.1.0+c03c86a": what stands before the commit.</summary>
    private static string Release(string version) => version.Split('+')[0];

    private static string Release(string version, int parts) => string.Join('.', version.Split('+')[0].Split('.').Take(parts));

    private static string Commit(string version) => version.Split('+') is [_, { Length: > 0 } commit] ? commit[..Math.Min(9, commit.Length)]
        : "no commit";
}
