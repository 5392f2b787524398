using DeepSeekOps.Contracts.Worker.V1;

namespace DeepSeekOps.Benchmarks;

/// <summary>A way to make a rank fail, and the class of exit that it really is.</summary>
internal sealed record Provocation(string Class, string Name, string Script = "exec $RANK")
{
    /// <summary>Changes the text of the pipeline, where the control plane's own check lets it pass.</summary>
    public Func<string, string> Pipeline { get; init; } = text => text;

    /// <summary>Changes what the rank is told, past every check.</summary>
    public Action<RankLaunch> Launch { get; init; } = _ => { };

    public string Signal { get; init; } = "";

    public long AtStep { get; init; } = 3;

    /// <summary>A first rank trains and saves; then this script damages what it left, and the second is told to go on.</summary>
    public string Damage { get; init; } = "";

    /// <summary>As <see cref="Launch"/>, of the second rank alone.</summary>
    public Action<RankLaunch> Then { get; init; } = _ => { };

    /// <summary>
    /// The shell of a second rank, with which the first trains as a gang of two; empty: it is alone. The signal is the second's.
    /// </summary>
    public string Beside { get; init; } = "";

    /// <summary>With signals and scripts that launch nothing: the rank is not told what to train.</summary>
    public bool Told { get; init; } = true;
}

/// <summary>$D is the case's own folder, $RANK the rank's command.</summary>
internal static class Provocations
{
    private const string AsNobody = "exec setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps=-all --bounding-set=-all $RANK";

    public static IEnumerable<Provocation> All =>
        [.. Signals, .. Limits, .. Libraries, .. Files, .. Data, .. Checkpoints, .. Recipes, .. Layouts];

    private static IEnumerable<Provocation> Signals =>
    [
        new("killed", "KILL-at-0") { Signal = "KILL", AtStep = 0 },
        new("killed", "KILL-at-2") { Signal = "KILL", AtStep = 2 },
        Crash("segmentation-fault", "null", "*(volatile int *)0 = 1;", 0),
        Crash("segmentation-fault", "jump", "((void (*)(void))8)();", 2),
        Crash("segmentation-fault", "stack", "{ volatile char big[1 << 30]; big[0] = 1; }", 2),
        Crash("bus-error", "mapped", "{ FILE *f = tmpfile(); int *m = mmap(0, 4096, 3, 1, fileno(f), 0); m[0] = 1; }", 0),
        Crash("bus-error", "mapped-late", "{ FILE *f = tmpfile(); int *m = mmap(0, 4096, 3, 1, fileno(f), 0); m[0] = 1; }", 2),
        Crash("arithmetic-fault", "division", "{ signal(8, 0); raise(8); }", 0),
        Crash("arithmetic-fault", "division-late", "{ signal(8, 0); raise(8); }", 2),
        Crash("illegal-instruction", "trap", "__builtin_trap();", 0),
        Crash("illegal-instruction", "trap-late", "__builtin_trap();", 2),
        Crash("aborted", "abort", "abort();", 0),
        Crash("aborted", "abort-late", "abort();", 2),
    ];

    private static IEnumerable<Provocation> Limits =>
    [
        new("terminated", "TERM", "trap - TERM; exec $RANK") { Signal = "TERM", AtStep = 2 },
        new("terminated", "HUP") { Signal = "HUP", AtStep = 2 },
        new("time-limit", "cpu", "ulimit -S -t 2; exec $RANK"),
        new("time-limit", "cpu-3", "ulimit -S -t 3; exec $RANK"),
        new("time-limit", "timeout", "timeout 2 bash -c 'DSOPS_AGENT_PID=$PPID exec $RANK'"),
        new("limit-reached", "file-size", "trap '' XFSZ; ulimit -f 100; DOTNET_EnableWriteXorExecute=0 exec $RANK"),
        new("host-out-of-memory", "address-space-3G", "ulimit -v 1500000; exec $RANK"),
        new("host-out-of-memory", "gc-heap-3M", "DOTNET_GCHeapHardLimit=0x300000 exec $RANK"),
        new("host-out-of-memory", "address-space", "ulimit -v 700000; DOTNET_GCHeapHardLimit=0x4000000 exec $RANK"),
        new("recipe-error", "model-too-large") { Launch = l => l.Assignment.Plan.Model.IntermediateSize = 900_000_000 },
    ];

    private static IEnumerable<Provocation> Libraries =>
    [
        new("missing-library", "no-folder", "DSOPS_LIBTORCH=$D/none exec $RANK"),
        new("missing-library", "empty-folder", "mkdir $D/torch; DSOPS_LIBTORCH=$D/torch exec $RANK"),
        new("missing-library", "no-library", "mkdir $D/torch; echo text > $D/torch/libtorch_cpu.so; DSOPS_LIBTORCH=$D/torch exec $RANK"),
        new("missing-library", "no-torchsharp", Without("TorchSharp.dll")),
        new("missing-library", "no-protobuf", Without("Google.Protobuf.dll")),
        new("missing-library", "no-contracts", Without("DeepSeekOps.Contracts.dll")),
        new("missing-library", "other-runtime", Without("none")
            .Replace("exec dotnet", """sed -i 's/"version": "[0-9.]*"/"version": "99.0.0"/' $D/w/*.runtimeconfig.json; exec dotnet""",
                StringComparison.Ordinal)),
        new("program-not-found", "no-command", "exec dsops-worker-9 rank"),
        new("no-permission", "not-executable", "echo '#!/bin/sh' > $D/rank; exec $D/rank"),
        new("program-not-found", "no-interpreter", "printf '#!/opt/none/python3\\n' > $D/rank; chmod +x $D/rank; exec $D/rank"),
        new("program-not-found", "no-assembly", "exec dotnet $D/none.dll rank"),
    ];

    private static IEnumerable<Provocation> Files =>
    [
        new("disk-full", "tmpfs-64k", OnMount("size=64k")),
        new("disk-full", "tmpfs-500k", OnMount("size=500k")),
        new("disk-full", "tmpfs-1M", OnMount("size=1M")),
        new("read-only", "mount", OnMount("ro,size=1M")),
        new("no-permission", "checkpoint-folder", $"chmod 755 $D; mkdir -m 700 -p $D/checkpoints; {AsNobody}"),
        new("no-permission", "data", $"chmod 777 $D; echo some words > $D/data.txt; chmod 600 $D/data.txt; {AsNobody}")
        {
            Pipeline = WithData("$D/data.txt"),
        },
        new("no-permission", "tokenizer", $"chmod 777 $D; echo '{{}}' > $D/tokenizer.json; chmod 600 $D/tokenizer.json; {AsNobody}")
        {
            Pipeline = text => text.Replace("tokenizer: byte", "tokenizer: $D/tokenizer.json", StringComparison.Ordinal),
        },
        new("file-missing", "data") { Pipeline = WithData("$D/none.txt") },
        new("file-missing", "link", "ln -s $D/nowhere $D/data.txt; exec $RANK") { Pipeline = WithData("$D/data.txt") },
        new("file-missing", "tokenizer")
        {
            Pipeline = text => text.Replace("tokenizer: byte", "tokenizer: $D/none.json", StringComparison.Ordinal),
        },
    ];

    private static IEnumerable<Provocation> Data =>
    [
        BadData("latin-1", "data.txt", "printf 'caf\\xe9 caf\\xe9\\n%.0s' {1..500} > $D/data.txt"),
        BadData("empty", "data.txt", ": > $D/data.txt"),
        BadData("zeros", "data.txt", "head -c 9000 /dev/zero > $D/data.txt"),
        BadData("packed", "data.txt", "seq 9000 | gzip > $D/data.txt"),
        BadData("no-json", "data.jsonl", "echo 'no json' > $D/data.jsonl"),
        BadData("cut-json", "data.jsonl", "echo '{\"text\": \"cut' > $D/data.jsonl"),
        BadData("no-text", "data.jsonl", "echo '{\"words\": 3}' > $D/data.jsonl"),
        new("bad-data", "tokenizer-text", "echo '{\"model\": 3}' > $D/tokenizer.json; exec $RANK")
        {
            Pipeline = text => text.Replace("tokenizer: byte", "tokenizer: $D/tokenizer.json", StringComparison.Ordinal),
        },
        new("not-finite", "learning-rate") { Launch = l => Rates(l).ForEach(s => s.To = 1e30) },
        new("not-finite", "learning-rate-later") { Launch = l => Rates(l).Last().To = 1e25 },
    ];

    private static IEnumerable<Provocation> Checkpoints =>
    [
        Damaged("truncated", "for f in $C/*/*.safetensors; do truncate -s 100 $f; done"),
        Damaged("bit-flipped", "for f in $C/*/*.safetensors; do printf X | dd of=$f bs=1 seek=5000 conv=notrunc 2>/dev/null; done"),
        Damaged("part-missing", "rm $C/*/*.safetensors"),
        Damaged("manifest-cut", "for f in $C/*/manifest.json; do truncate -s 50 $f; done"),
        Damaged("manifest-empty", "for f in $C/*/manifest.json; do : > $f; done"),
        Damaged("manifest-other", "for f in $C/*/manifest.json; do echo '{\"format\": 99}' > $f; done"),
    ];

    private static IEnumerable<Provocation> Recipes =>
    [
        new("recipe-error", "shape") { Launch = l => Rates(l).ForEach(s => s.Shape = "zigzag") },
        new("recipe-error", "device") { Launch = l => l.Assignment.Plan.Device = "gpu" },
        new("recipe-error", "hidden-size") { Launch = l => l.Assignment.Plan.Model.HiddenSize = 1 << 20 },
        new("recipe-error", "init-std") { Launch = l => l.Assignment.Plan.Model.InitStd = 1e30 },
        new("recipe-error", "source") { Launch = l => l.Assignment.Plan.Data.Source = "builtin:nothing" },
        new("recipe-error", "no-work") { Launch = l => l.Assignment.Plan.Pretraining = null },
        new("recipe-error", "by-hand", "unset DSOPS_RANK_PORT; exec $RANK"),
        new("recipe-error", "bench-option", "exec $WORKER bench --nonsense") { Told = false },
        new("recipe-error", "generate-option", "exec $WORKER generate --nonsense") { Told = false },
        new("recipe-error", "verb", "exec $WORKER nonsense") { Told = false },
        new("cuda-unusable", "cuda") { Launch = l => l.Assignment.Plan.Device = "cuda" },
        new("cuda-unusable", "cuda-7") { Launch = l => l.Assignment.Plan.Device = "cuda:7" },
        new("agent-gone", "refused", "DSOPS_RANK_PORT=9 exec $RANK"),
        new("agent-gone", "closed") { Signal = "close", AtStep = -1 },
        new("agent-gone", "other-parent", "DSOPS_AGENT_PID=1 exec $RANK"),
    ];

    /// <summary>One of several ranks, that the pipeline's layout knows nothing of.</summary>
    private static IEnumerable<Provocation> Layouts =>
        from ranks in new[] { 2, 4, 8 }
        select new Provocation("recipe-error", $"layout-of-{ranks}")
        {
            Launch = launch =>
            {
                launch.Rank = ranks - 1;
                launch.Assignment.WorldSize = ranks;
                launch.Assignment.Ranks.Clear();
                launch.Assignment.Ranks.AddRange(
                    Enumerable.Range(0, ranks).Select(r => new RankPlacement { Rank = r, Node = "node-0", LocalRank = r }));
                launch.Roster = new GangRoster { Gang = "run/pretrain", Term = 1, Token = "0123456789abcdef0123456789abcdef" };
                launch.Roster.Members.AddRange(
                    Enumerable.Range(0, ranks).Select(r => new GangMember { Rank = r, Host = "127.0.0.1", Port = 9 }));
            },
        };

    /// <summary>A thread of native code that does it in the rank's process, some seconds after its start.</summary>
    private static Provocation Crash(string @class, string name, string code, int seconds) => new(@class, name,
        $$"""
        gcc -w -O0 -shared -fPIC -pthread -o $D/c.so -x c - <<'END'
        #define _GNU_SOURCE
        #include <pthread.h>
        #include <stdio.h>
        #include <signal.h>
        #include <stdlib.h>
        #include <string.h>
        #include <unistd.h>
        #include <sys/mman.h>
        static void *run(void *none) { usleep({{seconds}} * 1000000 + 700000); {{code}} return 0; }
        __attribute__((constructor)) static void begin(void) { pthread_t t; pthread_create(&t, 0, run, 0); }
        END
        LD_PRELOAD=$D/c.so exec $RANK
        """);

    private static List<LearningRatePiece> Rates(RankLaunch launch) => [.. launch.Assignment.Plan.Pretraining.LearningRate.Pieces];

    private static Func<string, string> WithData(string path) =>
        text => text.Replace("\"builtin:arithmetic\"", $"\"{path}\"", StringComparison.Ordinal);

    private static Provocation BadData(string name, string file, string script) =>
        new("bad-data", name, $"{script}; exec $RANK") { Pipeline = WithData($"$D/{file}") };

    private static Provocation Damaged(string name, string damage) => new("checkpoint-damaged", name) { Damage = damage };

    private static string OnMount(string options) =>
        $"mkdir -p $D/checkpoints; mount -t tmpfs -o {options} tmpfs $D/checkpoints || exit 99; DSOPS_AGENT_PID=$$ $RANK; c=$?; "
        + "umount $D/checkpoints; exit $c";

    private static string Without(string file) =>
        $"mkdir $D/w; cp -rs ${{WORKER#dotnet }} $D/w/ 2>/dev/null; cp -rs $(dirname ${{WORKER#dotnet }})/* $D/w/; rm -f $D/w/{file}; "
        + "cp --remove-destination $(dirname ${WORKER#dotnet })/dsops-worker.* $D/w/; exec dotnet $D/w/dsops-worker.dll rank";
}
