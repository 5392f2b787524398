using System.Collections.Immutable;

namespace DeepSeekOps.Decisions.Exits;

/// <summary>
/// Of an error that no phrase knows: what it is about and what is wrong with it, each by a word in it. "The shard of the checkpoint is
/// truncated" is none of the phrases and yet no riddle. A guess is never sure, so that it keeps nothing from another launch.
/// </summary>
public static class Guess
{
    /// <summary>Words behind these tell a story.</summary>
    private const int WordsMax = 120;

    private const int WordMax = 14;

    /// <summary>What it is about, and what is wrong with it, in whole words; the closer first.</summary>
    private static readonly ImmutableArray<(string Class, string About, string Wrong)> Pairs =
    [
        ("not-finite", "nan nans inf infs infinite finite", "loss grad norm weight detect encounter found logits activation"),
        ("shared-memory", "shm shmem", "full exhaust insufficient fail space size resize attach alloc"),
        ("cuda-out-of-memory", "cuda gpu vram hbm device", "oom outofmemory memory alloc"),
        ("gpu-broken", "ecc nvlink nvswitch xid sxid", "uncorrect fatal fail lost fault hardware down error"),
        ("cuda-unusable",
            "driver cuda gpu gpus nvml nvidia",
            "version incompatible unsupported old older insufficient unavailable detected available found init "
            + "initialize initialization"),
        ("nccl-timeout",
            "collective allreduce allgather reducescatter broadcast barrier nccl",
            "timeout timed hang hung stuck deadlock expired"),
        ("nccl-error", "nccl rccl infiniband ib ibv rdma roce mlx5 verbs hca", "error fail failed failure down unhandled abort"),
        ("cuda-error", "cuda gpu cublas cudnn kernel", "error fail failed failure illegal invalid launch fault"),
        ("peer-ended",
            "peer peers rank ranks worker workers node process actor",
            "died dead exited disconnected crashed unresponsive vanished"),
        ("preempted",
            "preempt preempted preemption reclaimed evict evicted eviction spot",
            "job node instance pod workload notice signal place"),
        ("time-limit", "walltime wallclock runtime deadline job duration", "exceed exceeded limit expired"),
        ("quota-exceeded", "quota quotas", "exceed exceeded over limit disk storage block inode"),
        ("disk-full",
            "disk space storage volume filesystem partition inode inodes capacity",
            "full left enough insufficient exhausted out"),
        ("checkpoint-mismatch",
            "checkpoint checkpoints ckpt state_dict statedict weights pretrained",
            "mismatch mismatched shape incompatible different differs expected unexpected"),
        ("checkpoint-damaged",
            "checkpoint checkpoints ckpt weights safetensors shard snapshot",
            "corrupt corrupted truncated damaged incomplete checksum crc hash unreadable malformed deserialize"),
        ("host-out-of-memory",
            "memory mem ram heap malloc mmap alloc allocate allocation oom",
            "exhaust exhausted insufficient exceed exceeded enough out fail failed cannot unable killed"),
        ("limit-reached",
            "files descriptors fds handles threads processes pids connections sockets ulimit nofile nproc",
            "many limit exceed exceeded exhausted reached"),
        ("port-in-use", "port address addr bind listen", "use used taken occupied bound already"),
        ("read-only", "readonly", "filesystem file mount volume write disk device"),
        ("storage-lost", "nfs lustre gpfs ceph fuse mount mounted", "stale lost disconnected gone timeout unreachable unmounted hung"),
        ("no-permission",
            "permission permissions privilege privileges credential credentials auth authorization authentication "
            + "access",
            "denied deny forbidden unauthorized expired invalid required missing refused insufficient reject "
            + "rejected"),
        ("missing-library",
            "library libraries module modules package packages symbol symbols plugin dll dso abi import "
            + "dependency",
            "missing undefined mismatch incompatible load found import install installed version unresolved"),
        ("bad-data",
            "data dataset datasets sample samples record records json jsonl csv parquet arrow utf utf8 unicode "
            + "tokenizer tokenize vocab vocabulary corpus document idx gzip zip",
            "invalid corrupt corrupted malformed decode parse empty truncated unexpected unreadable broken"),
        ("file-missing", "file files directory path folder bucket key object", "missing exist exists found such"),
        ("network",
            "connection connect connecting socket network host dns resolve tcp http https tls ssl endpoint server "
            + "proxy peer rpc grpc request service upstream hostname",
            "refused reset timeout timed fail failed failure unreachable lost closed unavailable broken unable "
            + "aborted error"),
        ("recipe-error",
            "config configuration argument arguments arg option options flag parameter setting settings yaml "
            + "recipe hyperparameter",
            "invalid unknown missing unsupported must required unrecognized conflict conflicting incompatible "
            + "unexpected wrong"),
        ("disk-error", "disk block sector nvme sda filesystem inode", "error corrupt corrupted corruption bad unreadable"),
        ("program-error", "assertion assert assertions invariant check", "fail failed failure violated"),
    ];

    private static readonly Dictionary<string, (ulong About, ulong Wrong)> Words = Table();

    /// <summary>The class that the words point to; null: to none.</summary>
    public static string? Of(string text)
    {
        var known = Words.GetAlternateLookup<ReadOnlySpan<char>>();
        Span<char> word = stackalloc char[WordMax];
        ulong about = 0, wrong = 0;
        int seen = 0;
        for (int i = 0; i < text.Length && seen < WordsMax; seen++)
        {
            int length = 0;
            for (; i < text.Length && char.IsLetterOrDigit(text[i]); i++)
            {
                if (length < WordMax)
                {
                    word[length] = char.ToLowerInvariant(text[i]);
                }

                length++;
            }

            if (length is > 1 and <= WordMax && known.TryGetValue(word[..length], out var found))
            {
                about |= found.About;
                wrong |= found.Wrong;
            }

            while (i < text.Length && !char.IsLetterOrDigit(text[i]))
            {
                i++;
            }
        }

        ulong both = about & wrong;
        return both == 0 ? null : Pairs[System.Numerics.BitOperations.TrailingZeroCount(both)].Class;
    }

    private static Dictionary<string, (ulong About, ulong Wrong)> Table()
    {
        var table = new Dictionary<string, (ulong About, ulong Wrong)>(StringComparer.Ordinal);
        for (int i = 0; i < Pairs.Length; i++)
        {
            ulong bit = 1UL << i;
            foreach (string word in Pairs[i].About.Split(' '))
            {
                table[word] = (table.GetValueOrDefault(word).About | bit, table.GetValueOrDefault(word).Wrong);
            }

            foreach (string word in Pairs[i].Wrong.Split(' '))
            {
                table[word] = (table.GetValueOrDefault(word).About, table.GetValueOrDefault(word).Wrong | bit);
            }
        }

        return table;
    }
}
