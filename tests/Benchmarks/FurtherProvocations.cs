using DeepSeekOps.Contracts.Worker.V1;

namespace DeepSeekOps.Benchmarks;

/// <summary>
/// The second set of `failures --set second`: other ways to fail than those that the rules of the dictionary were made with, written after
/// the rules were frozen, so that what it says of them is what it knows.
/// </summary>
internal static class FurtherProvocations
{
    private const string Natives = "$(dirname ${WORKER#dotnet })/runtimes/linux-x64/native";
    private const string WithoutRights = "setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps=-all --bounding-set=-all";

    public static IEnumerable<Provocation> All => [.. Signals, .. Machine, .. Calls, .. Programs, .. Given, .. Peers];

    /// <summary>`--set gpu`: wants a GPU, and PyTorch's libtorch in DSOPS_LIBTORCH.</summary>
    public static IEnumerable<Provocation> Gpu =>
    [
        Held("weights", 900),
        Held("gradients", 3_500),
        Held("moments", 5_500),
        Held("context", 20),
        OnGpu("cuda-unusable", "none-visible", "CUDA_VISIBLE_DEVICES= exec $RANK"),
        OnGpu("cuda-unusable", "seventh") with { Launch = l => Cuda(l).Device = "cuda:7" },
        // The loader would find the whole one by LD_LIBRARY_PATH.
        OnGpu("missing-library", "no-cuda-half", "mkdir $D/t; cp -rs $DSOPS_LIBTORCH/* $D/t/; rm $D/t/libtorch_cuda.so; "
            + "LD_LIBRARY_PATH=${LD_LIBRARY_PATH//$DSOPS_LIBTORCH/$D/t} DSOPS_LIBTORCH=$D/t exec $RANK"),
        OnGpu("bus-error", "cut-cuda-half", "mkdir $D/t; cp -rs $DSOPS_LIBTORCH/* $D/t/; rm $D/t/libc10_cuda.so; "
            + "head -c 5000 $DSOPS_LIBTORCH/libc10_cuda.so > $D/t/libc10_cuda.so; DSOPS_LIBTORCH=$D/t exec $RANK"),
        OnGpu("killed", "gpu-KILL") with { Signal = "KILL" },
        OnGpu("terminated", "gpu-HUP") with { Signal = "HUP" },
        OnGpu("not-finite", "gpu-rate") with { Launch = l => Rates(Cuda(l)).ForEach(s => s.To = 1e30) },
        Answered("cuda-error", "illegal-address", 700),
        Answered("cuda-error", "launch-failure", 719),
        Answered("cuda-error", "misaligned", 716),
        Answered("gpu-broken", "ecc", 214),
        Answered("gpu-broken", "nvlink", 220),
        OnGpu("disk-full", "gpu", OnMount("size=900k")),
        OnGpu("recipe-error", "sixteenth-of-a-gpu") with { Launch = l => Cuda(l).Device = "cuda:0.5" },
    ];

    private static IEnumerable<Provocation> Signals =>
    [
        new("killed", "KILL-by-timeout", "timeout -s KILL 3 bash -c 'DSOPS_AGENT_PID=$PPID exec $RANK'"),
        new("terminated", "INT") { Signal = "INT", AtStep = 2 },
        new("terminated", "QUIT") { Signal = "QUIT", AtStep = 2 },
        new("time-limit", "XCPU") { Signal = "XCPU", AtStep = 2 },
    ];

    private static IEnumerable<Provocation> Machine =>
    [
        new("disk-full", "no-inodes", OnMount("size=50m,nr_inodes=6")),
        new("read-only", "remounted", "mkdir -p $D/checkpoints; mount -t tmpfs -o size=50m tmpfs $D/checkpoints || exit 99; "
            + "(until ls $D/checkpoints/*/*/step-* || ! kill -0 $$; do sleep 0.02; done; "
            + "until mount -o remount,ro $D/checkpoints || ! kill -0 $$; do sleep 0.01; done) > /dev/null 2>&1 & "
            + "DSOPS_AGENT_PID=$$ $RANK; c=$?; umount -l $D/checkpoints; exit $c")
        {
            Launch = l => l.Assignment.Plan.Pretraining.Tokens *= 40,
        },
        new("limit-reached", "open-files", "ulimit -n 60; exec $RANK"),
        new("limit-reached", "processes", $"chmod -R a+rwX $D; {WithoutRights} bash -c 'ulimit -u 12; exec $RANK'"),
        new("host-out-of-memory", "address-space-later", "ulimit -v 2600000; exec $RANK")
        {
            Launch = l => l.Assignment.Plan.Model.IntermediateSize = 3_000_000,
        },
    ];

    /// <summary>What the kernel answers, put before the rank's own calls on its files.</summary>
    private static IEnumerable<Provocation> Calls =>
    [
        Refusing("disk-error", "write-EIO", "pwrite64 pwrite write", "/checkpoints/", 5),
        Refusing("disk-error", "read-EIO", "pread64 pread read", "/data.txt", 5) with { Pipeline = WithData("$D/data.txt") },
        Refusing("storage-lost", "write-ESTALE", "pwrite64 pwrite write", "/checkpoints/", 116),
        Refusing("quota-exceeded", "write-EDQUOT", "pwrite64 pwrite write", "/checkpoints/", 122),
        // An image without holes' room behind it: writes succeed, and fsync tells.
        new("disk-full", "put-off", "mkdir -p $D/t $D/checkpoints; mount -t tmpfs -o size=24m tmpfs $D/t || exit 99; "
            + "truncate -s 200M $D/t/image; mkfs.ext4 -q -E nodiscard $D/t/image; mount -o loop $D/t/image $D/checkpoints || exit 99; "
            + "head -c 30M /dev/zero > $D/t/fill 2> /dev/null; DSOPS_AGENT_PID=$$ $RANK; c=$?; umount -l $D/checkpoints $D/t; exit $c"),
    ];

    private static IEnumerable<Provocation> Programs =>
    [
        new("program-not-found", "other-machine", "head -c 64 /bin/true | sed 's/\\x3e\\x00/\\xb7\\x00/' > $D/rank; "
            + "head -c 5000 /dev/zero >> $D/rank; chmod +x $D/rank; exec $D/rank"),
        new("bus-error", "cut-library", $"mkdir $D/t; cp -rs {Natives}/* $D/t/; rm $D/t/libtorch_cpu.so; "
            + $"head -c 9000 {Natives}/libtorch_cpu.so > $D/t/libtorch_cpu.so; DSOPS_LIBTORCH=$D/t exec $RANK"),
        new("missing-library", "old-c++", "printf 'int x;' | gcc -shared -fPIC -o $D/libstdc++.so.6 -x c -; LD_LIBRARY_PATH=$D exec $RANK"),
        new("missing-library", "wrong-contracts", "mkdir $D/w; cp -rs $(dirname ${WORKER#dotnet })/* $D/w/; "
            + "cp --remove-destination $(dirname ${WORKER#dotnet })/dsops-worker.* $D/w/; "
            + "rm $D/w/DeepSeekOps.Contracts.dll; head -c 4000 /dev/urandom > $D/w/DeepSeekOps.Contracts.dll; "
            + "exec dotnet $D/w/dsops-worker.dll rank"),
    ];

    private static IEnumerable<Provocation> Given =>
    [
        Data("utf-16", "data.txt", "printf 'some words %s\\n' {1..900} | iconv -t UTF-16 > $D/data.txt"),
        Data("a-folder", "data.jsonl", "mkdir $D/data.jsonl"),
        Data("text-is-a-number", "data.jsonl", "for i in {1..9}; do echo '{\"text\": '$i'}'; done > $D/data.jsonl"),
        new("bad-data", "tokenizer-cut", "echo '{\"model\": {\"type\": \"BPE\", \"vocab\": {\"a\": 0' > $D/tokenizer.json; exec $RANK")
        {
            Pipeline = text => text.Replace("tokenizer: byte", "tokenizer: $D/tokenizer.json", StringComparison.Ordinal),
        },
        new("checkpoint-mismatch", "wider")
        {
            Damage = ":", Then = l => l.Assignment.Plan.Model.HiddenSize = 128,
        },
        new("checkpoint-mismatch", "more-layers") { Damage = ":", Then = l => l.Assignment.Plan.Model.Layers = 3 },
        new("no-permission", "checkpoint-unreadable",
            $"chmod -R a+rwX $D; find $D/checkpoints -type f -exec chmod 000 {{}} +; {WithoutRights} $RANK")
        {
            Damage = ":",
        },
        new("checkpoint-damaged", "empty-parts") { Damage = "for f in $C/*/*.safetensors; do : > $f; done" },
        new("not-finite", "first-weights") { Launch = l => l.Assignment.Plan.Model.InitStd = 3e18 },
    ];

    private static IEnumerable<Provocation> Peers =>
    [
        new("peer-ended", "nobody-there") { Launch = OfTwo(9) },
    ];

    private static Provocation OnGpu(string @class, string name, string script = "exec $RANK") =>
        new(@class, name, script) { Launch = l => Cuda(l) };

    /// <summary>Another program has all of the GPU's memory but so many MiB; the rank's weights alone are 2,300.</summary>
    private static Provocation Held(string name, int free) => OnGpu("cuda-out-of-memory", name, WithFree(free)) with
    {
        Launch = l => Cuda(l).Model.IntermediateSize = 3_000_000,
    };

    /// <summary>The rank, while another program has all of the first GPU's memory but so many MiB.</summary>
    internal static string WithFree(int free) =>
        $$"""
        cat > $D/hold.py <<'END'
        import time, torch
        x = torch.empty(torch.cuda.mem_get_info()[0] - {{free}} * 2**20, dtype=torch.uint8, device="cuda")
        print("held", flush=True)
        time.sleep(600)
        END
        python3 $D/hold.py > $D/held & H=$!
        trap "kill $H" EXIT; until grep -q held $D/held; do sleep 0.2; done
        DSOPS_AGENT_PID=$$ $RANK
        """;

    /// <summary>What a broken device answers to the call that the host waits in, from its 200th time on.</summary>
    private static Provocation Answered(string @class, string name, int code) => OnGpu(@class, name,
        $$"""
        gcc -w -O0 -shared -fPIC -o $D/c.so -x c - -ldl <<'END'
        #define _GNU_SOURCE
        #include <dlfcn.h>
        static int calls;
        int cudaStreamSynchronize(void *s) {
          static int (*real)(void *);
          if (!real) real = dlsym(dlopen("libcudart.so.13", RTLD_NOLOAD | RTLD_LAZY), "cudaStreamSynchronize");
          return __sync_add_and_fetch(&calls, 1) > 200 ? {{code}} : real(s);
        }
        END
        LD_PRELOAD=$D/c.so exec $RANK
        """);

    private static Provocation Refusing(string @class, string name, string calls, string path, int number) => new(@class, name,
        $$"""
        (cat <<'END'
        #define _GNU_SOURCE
        #include <dlfcn.h>
        #include <errno.h>
        #include <stdio.h>
        #include <string.h>
        #include <unistd.h>
        static int ours(int fd) {
          char link[64], path[4096];
          snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
          int n = readlink(link, path, sizeof path - 1);
          if (n < 0) return 0;
          path[n] = 0;
          return strstr(path, "{{path}}") != 0;
        }
        #define REFUSE(name) long name(int fd, void *a, long b, long c) { \
          static long (*real)(int, void *, long, long); \
          if (!real) real = dlsym(RTLD_NEXT, #name); \
          if (ours(fd)) { errno = {{number}}; return -1; } \
          return real(fd, a, b, c); }
        END
        for call in {{calls}}; do echo "REFUSE($call)"; done) | 
          sed 's/#include <unistd.h>/extern long readlink(const char *, char *, unsigned long);/' > $D/c.c
        seq 9000 > $D/data.txt
        gcc -w -O0 -shared -fPIC -o $D/c.so $D/c.c -ldl; LD_PRELOAD=$D/c.so exec $RANK
        """);

    private static Provocation Data(string name, string file, string script) =>
        new("bad-data", name, $"{script}; exec $RANK") { Pipeline = WithData($"$D/{file}") };

    private static string OnMount(string options) =>
        $"mkdir -p $D/checkpoints; mount -t tmpfs -o {options} tmpfs $D/checkpoints || exit 99; "
        + "DSOPS_AGENT_PID=$$ $RANK; c=$?; umount $D/checkpoints; exit $c";

    private static Func<string, string> WithData(string path) =>
        text => text.Replace("\"builtin:arithmetic\"", $"\"{path}\"", StringComparison.Ordinal);

    private static TrainingPlan Cuda(RankLaunch launch)
    {
        launch.Assignment.Plan.Device = "cuda";
        return launch.Assignment.Plan;
    }

    private static List<LearningRatePiece> Rates(TrainingPlan plan) => [.. plan.Pretraining.LearningRate.Pieces];

    /// <summary>One of two ranks, whose other is not at its port.</summary>
    private static Action<RankLaunch> OfTwo(int port) => launch =>
    {
        launch.Assignment.WorldSize = 2;
        launch.Assignment.Plan.Layout = new ParallelLayout { Pipeline = 1, Tensor = 1, Data = 2, Expert = 2 };
        launch.Assignment.Ranks.Clear();
        launch.Assignment.Ranks.AddRange(
            Enumerable.Range(0, 2).Select(r => new RankPlacement { Rank = r, Node = "node-0", LocalRank = r }));
        launch.Roster = new GangRoster { Gang = "run/pretrain", Term = 1, Token = "0123456789abcdef0123456789abcdef" };
        launch.Roster.Members.AddRange(
            Enumerable.Range(0, 2).Select(r => new GangMember { Rank = r, Host = "127.0.0.1", Port = port }));
    };
}
