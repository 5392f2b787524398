using System.Diagnostics;
using System.Globalization;
using DeepSeekOps.Contracts.Worker.V1;
using DeepSeekOps.ControlPlane.Api;
using DeepSeekOps.ControlPlane.Clusters;
using DeepSeekOps.ControlPlane.Pipelines;
using DeepSeekOps.Decisions;
using DeepSeekOps.Decisions.Exits;
using DeepSeekOps.EndToEnd.Tests;

namespace DeepSeekOps.Benchmarks;

/// <summary>
/// Makes ranks fail in each way of <see cref="Provocations"/>, and writes what they printed, with what it really was, to `--out DIR`: the
/// corpus that the tests hold the dictionary of exits to. Needs root for mounts and other users.
/// </summary>
internal static class FailureBenchmark
{
    public static Task Run(string[] args)
    {
        int at = Array.IndexOf(args, "--out");
        var set = LoadBenchmark.Text(args, "--set", "first") switch
        {
            "second" => FurtherProvocations.All,
            "gpu" => FurtherProvocations.Gpu,
            "nccl" => NcclProvocations.All,
            _ => Provocations.All,
        };
        string? only = Array.IndexOf(args, "--only") is var o and >= 0 ? args[o + 1] : null;
        if (at < 0 || at + 1 >= args.Length)
        {
            Console.Error.WriteLine("failures wants --out DIR: the folder for what the ranks printed.");
            Environment.Exit(2);
        }

        Directory.CreateDirectory(args[at + 1]);
        Table.Title("failures: ranks that are made to fail, and what the dictionary says of what they printed");
        // One thread that lives through it all: a rank dies with the thread that started it.
        var thread = new Thread(() => All(set, args[at + 1], only));
        thread.Start();
        thread.Join();
        return Task.CompletedTask;
    }

    private static void All(IEnumerable<Provocation> set, string folder, string? only)
    {
        int right = 0, all = 0;
        foreach (var provoked in set.Where(p => only is null
            || $"{p.Class}.{p.Name}".Contains(only, StringComparison.Ordinal)))
        {
            var (code, output) = Provoke(provoked);
            // Whoever lets go because of its peer has no exit that could be read wrongly.
            string told = code == TwoRanks.LetGo ? ExitClasses.PeerEnded : ExitScan.Judge(output.Split('\n'), code).Class;
            all++;
            right += told == provoked.Class ? 1 : 0;
            File.WriteAllText(Path.Combine(folder, $"{provoked.Class}.{provoked.Name}.txt"),
                string.Create(CultureInfo.InvariantCulture, $"exit {code}\n{output}"));
            Table.Line($"{provoked.Class}.{provoked.Name}",
                Table.Say($"exit {code}: {(told == provoked.Class ? "right" : $"WRONG, {told}")}"));
        }

        Table.Line("right", Table.Say($"{right} of {all}"));
    }

    private static (int Code, string Output) Provoke(Provocation provoked)
    {
        string folder = Directory.CreateTempSubdirectory("dsops-failure-").FullName;
        try
        {
            var launch = provoked.Told ? LaunchOf(provoked, folder) : null;
            if (provoked.Damage.Length > 0)
            {
                _ = LoneRank.Run("exec $RANK", LaunchOf(provoked, folder), "", -1);
                using var damage = Process.Start("bash", ["-c", $"C={folder}/checkpoints/run/pretrain; {provoked.Damage}"]);
                damage.WaitForExit();
                launch!.Assignment.Attempt.Attempt = 2;
                provoked.Then(launch);
            }

            string script = $"D={folder}; {provoked.Script}";
            var (code, output) = provoked.Beside.Length > 0
                ? TwoRanks.Run(script, $"D={folder}; {provoked.Beside}", launch!, provoked.Signal, provoked.AtStep)
                : LoneRank.Run(script, launch, provoked.Signal, provoked.AtStep);
            // The machine's own paths say nothing of the failure.
            return (code, output.Replace(folder, "/data", StringComparison.Ordinal)
                .Replace(Checkout.Root, "/opt/dsops", StringComparison.Ordinal));
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private static RankLaunch LaunchOf(Provocation provoked, string folder)
    {
        string text = provoked.Pipeline(TinyPipeline.Pretraining("run", 10, everySteps: 5)).Replace("$D", folder, StringComparison.Ordinal);
        var spec = PipelineText.Parse(text).Spec ?? throw new InvalidOperationException($"{provoked.Name}: the pipeline has problems");
        var node = new NodeId("node-0");
        var assignment = new Decisions.Stages.Assignment(new StageId("run", "pretrain"), 1, [new(0, node, 0)], 1, spec, null,
            null, null);
        var launch = new RankLaunch { Assignment = assignment.ToProto(new CheckpointRoot(Path.Combine(folder, "checkpoints"))) };
        provoked.Launch(launch);
        return launch;
    }
}
