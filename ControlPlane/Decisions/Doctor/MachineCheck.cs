using System.Collections.Immutable;

namespace DeepSeekOps.Decisions.Doctor;

/// <summary>What a machine lets its processes have. Null: not known; <see cref="Unlimited"/>: without a limit.</summary>
public sealed record MachineFacts
{
    public const long Unlimited = long.MaxValue;

    public long? SharedMemoryBytes { get; init; }

    public long? SharedMemoryFree { get; init; }

    /// <summary>Hard: a .NET program raises its own to it.</summary>
    public long? OpenFiles { get; init; }

    public long? LockedMemory { get; init; }

    public long? CoreDump { get; init; }

    /// <summary>/proc/sys/kernel/core_pattern.</summary>
    public string CorePattern { get; init; } = "";
}

/// <summary>Whether the machine's limits let ranks work.</summary>
public static class MachineCheck
{
    /// <summary>What containers get where nobody asks for more, and what NCCL fails with ("No space left on device").</summary>
    private const long SharedMemoryBare = 64L << 20;

    /// <summary>What PyTorch's and NVIDIA's notes for containers start at (--shm-size=1g).</summary>
    private const long SharedMemoryUsual = 1L << 30;

    /// <summary>
    /// 1,024 is what shells still give; a control plane of 256 agents has four streams to each, and pages and files beside them.
    /// </summary>
    private const long OpenFilesMin = 1_024, OpenFilesUsual = 4_096;

    public static ImmutableArray<Finding> Of(MachineFacts seen, int gpus) =>
        [SharedMemory(seen, gpus), OpenFiles(seen), LockedMemory(seen, gpus), CoreDumps(seen)];

    private static Finding SharedMemory(MachineFacts seen, int gpus)
    {
        const string check = "machine.shared-memory";
        const string fix = "`mount -o remount,size=16g /dev/shm`, `docker run --shm-size=16g`, or kubernetes.sharedMemoryGiB.";
        return seen.SharedMemoryBytes is not { } bytes
            ? Finding.NotKnown(check, "how large /dev/shm is, is not known")
            : gpus < 2 ? Finding.Ok(check, $"/dev/shm has {Words.Size(bytes)}; only NCCL between GPUs needs it")
            : (seen.SharedMemoryFree ?? bytes) <= SharedMemoryBare
            ? Finding.Fault(check,
                $"/dev/shm has {Words.Size(seen.SharedMemoryFree ?? bytes)} left, and NCCL between {gpus} GPUs needs more", fix)
            : bytes < SharedMemoryUsual ? Finding.Warning(check, $"/dev/shm has {Words.Size(bytes)}, which {gpus} GPUs may fill", fix)
            : Finding.Ok(check, $"/dev/shm has {Words.Size(bytes)}");
    }

    private static Finding OpenFiles(MachineFacts seen)
    {
        const string check = "machine.open-files";
        const string fix = "`ulimit -Hn 65536` before the start, LimitNOFILE= of the service, or /etc/security/limits.conf.";
        return seen.OpenFiles is not { } most ? Finding.NotKnown(check, "how many files may be open is not known")
            : most < OpenFilesMin ? Finding.Fault(check, $"a process may open {most} files", fix)
            : most < OpenFilesUsual ? Finding.Warning(check, $"a process may open {most} files, too few for many agents and pages", fix)
            : Finding.Ok(check, most == MachineFacts.Unlimited ? "open files are not limited" : $"a process may open {most} files");
    }

    private static Finding LockedMemory(MachineFacts seen, int gpus)
    {
        const string check = "machine.locked-memory";
        return seen.LockedMemory is not { } most ? Finding.NotKnown(check, "how much memory may be locked is not known")
            : most == MachineFacts.Unlimited ? Finding.Ok(check, "memory may be locked without a limit")
            : gpus < 2 ? Finding.Ok(check, $"{Words.Size(most)} of memory may be locked; only RDMA needs more")
            : Finding.Warning(check, $"{Words.Size(most)} of memory may be locked: RDMA (InfiniBand, RoCE) registers more than that",
                "`ulimit -l unlimited` before the start, or LimitMEMLOCK=infinity of the service.");
    }

    private static Finding CoreDumps(MachineFacts seen)
    {
        const string check = "machine.core-dumps";
        return seen.CoreDump is not { } most ? Finding.NotKnown(check, "whether processes leave core dumps is not known")
            : most == 0 ? Finding.Ok(check, "a rank that crashes leaves no core dump")
            : seen.CorePattern.StartsWith('|')
            ? Finding.Ok(check, $"core dumps go to {seen.CorePattern.TrimStart('|').Split(' ')[0]}")
            : Finding.Warning(check, $"a rank that crashes writes {(most == MachineFacts.Unlimited ? "all its memory" : Words.Size(most))} "
                + $"into a file ({seen.CorePattern}), which can fill a disk", "`ulimit -c 0` before the start, or let a program take them "
                + "(systemd-coredump).");
    }
}
