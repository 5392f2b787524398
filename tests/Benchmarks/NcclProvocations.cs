using DeepSeekOps.Contracts.Worker.V1;

namespace DeepSeekOps.Benchmarks;

/// <summary>
/// `failures --set nccl`: ways in which one of two ranks on two GPUs fails by what they do together. Wants two GPUs, PyTorch's libtorch in
/// DSOPS_LIBTORCH and the compiler for C.
/// </summary>
internal static class NcclProvocations
{
    public static IEnumerable<Provocation> All => [.. Settings, .. Peers, .. Answers];

    /// <summary>What the nodes' own settings do to NCCL.</summary>
    private static IEnumerable<Provocation> Settings =>
    [
        Both("nccl-error", "no-interface", "NCCL_SOCKET_IFNAME=none9 exec $RANK"),
        Both("nccl-error", "no-network", "NCCL_P2P_DISABLE=1 NCCL_SHM_DISABLE=1 NCCL_NET=none-such exec $RANK"),
        Both("shared-memory", "small", InSmallMemory("1m")),
        Both("shared-memory", "none", InSmallMemory("64k")),
        Of("cuda-out-of-memory", "buffers", FurtherProvocations.WithFree(300)),
        Both("limit-reached", "open-files", "ulimit -n 150; exec $RANK"),
    ];

    /// <summary>What becomes of the first when the second is gone: it lets go, and is no failure of its own.</summary>
    private static IEnumerable<Provocation> Peers =>
    [
        Of("peer-ended", "killed") with { Signal = "KILL" },
        Of("peer-ended", "aborted") with { Signal = "ABRT" },
        Of("peer-ended", "terminated") with { Signal = "TERM" },
    ];

    /// <summary>What NCCL answers when network, driver or arguments are wrong: put before the worker's calls from the 400th on.</summary>
    private static IEnumerable<Provocation> Answers =>
    [
        Answered("nccl-error", "unhandled-cuda", "ncclAllReduce", 1),
        Answered("nccl-error", "system", "ncclAllReduce", 2),
        Answered("nccl-error", "internal", "ncclAllReduce", 3),
        Answered("nccl-misuse", "argument", "ncclAllReduce", 4),
        Answered("nccl-misuse", "usage", "ncclAllReduce", 5),
        Reported("nccl-error", "remote-later", 6),
        Reported("nccl-error", "system-later", 2),
        Reported("nccl-error", "internal-later", 3),
    ];

    private static Provocation Of(string @class, string name, string script = "exec $RANK", string beside = "exec $RANK") =>
        new(@class, name, script) { Beside = beside, Launch = OnTwoGpus };

    private static Provocation Both(string @class, string name, string script) => Of(@class, name, script, script);

    private static void OnTwoGpus(RankLaunch launch)
    {
        launch.Assignment.Plan.Device = "cuda";
        launch.Assignment.Plan.Layout = new ParallelLayout { Pipeline = 1, Tensor = 1, Data = 2, Expert = 2 };
        launch.Assignment.Plan.Pretraining.Tokens *= 40;
    }

    /// <summary>Ranks that meet in shared memory, of which the container has next to nothing.</summary>
    private static string InSmallMemory(string size) =>
        $"exec unshare -m bash -c 'mount -t tmpfs -o size={size} tmpfs /dev/shm || exit 99; DOTNET_EnableWriteXorExecute=0 "
        + "NCCL_P2P_DISABLE=1 NCCL_CUMEM_HOST_ENABLE=0 NCCL_CUMEM_ENABLE=0 DSOPS_AGENT_PID=$PPID exec $RANK'";

    private static Provocation Answered(string @class, string name, string call, int code) => Of(@class, name, Instead(
        $$"""
        static int instead(void *a, void *b, unsigned long n, int t, int o, void *c, void *s) {
          static int calls;
          return ++calls > 400 ? {{code}} : ((int (*)(void *, void *, unsigned long, int, int, void *, void *))theirs)(a, b, n, t, o, c, s);
        }
        """, call));

    private static Provocation Reported(string @class, string name, int code) => Of(@class, name, Instead(
        $$"""
        static int instead(void *c, int *e) {
          static time_t began;
          int r = ((int (*)(void *, int *))theirs)(c, e);
          if (!began) began = time(0);
          if (time(0) > began + 6) *e = {{code}};
          return r;
        }
        """, "ncclCommGetAsyncError"));

    /// <summary>The worker looks its calls up by name: what it finds under this one is ours, with NCCL's own behind it.</summary>
    private static string Instead(string code, string call) =>
        $$"""
        gcc -w -O0 -shared -fPIC -o $D/c.so -x c - -ldl <<'END'
        #define _GNU_SOURCE
        #include <dlfcn.h>
        #include <string.h>
        #include <time.h>
        static void *theirs;
        {{code}}
        void *dlsym(void *handle, const char *name) {
          static void *(*real)(void *, const char *);
          if (!real) real = dlvsym(RTLD_NEXT, "dlsym", "GLIBC_2.34");
          if (!real) real = dlvsym(RTLD_NEXT, "dlsym", "GLIBC_2.2.5");
          void *found = real(handle, name);
          if (found && !strcmp(name, "{{call}}")) { theirs = found; return instead; }
          return found;
        }
        END
        LD_PRELOAD=$D/c.so exec $RANK
        """;
}
