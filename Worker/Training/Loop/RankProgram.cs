using System.Diagnostics;
using DeepSeekOps.Contracts.Worker.V1;
using DeepSeekOps.Worker.Agent;
using DeepSeekOps.Worker.Libtorch;
using TorchSharp;
using static TorchSharp.torch;

namespace DeepSeekOps.Worker.Training.Loop;

/// <summary>What a rank process does between its agent's two words: launch and stop.</summary>
public static class RankProgram
{
    /// <summary>Loads libtorch and runs a small backward pass, so that a standby's first step meets warm code. Leaves no trace in numbers.</summary>
    public static void WarmUp()
    {
        LibtorchLoading.Require();
        using var scope = NewDisposeScope();
        var weight = ones([8, 8]).requires_grad_();
        var loss = nn.functional.cross_entropy(matmul(ones([4, 8]), weight), zeros([4], dtype: ScalarType.Int64));
        loss.backward();
    }

    /// <summary>Trains until the stage is done or an order ends it. Throws what makes the rank fail; the message is for people.</summary>
    public static void Run(RankLaunch launch, IRankLink link, CancellationToken stopping) =>
        Run(launch, link, TimeProvider.System, stopping);

    internal static void Run(RankLaunch launch, IRankLink link, TimeProvider clock, CancellationToken stopping)
    {
        var began = Stopwatch.GetTimestamp();
        var assignment = launch.Assignment;
        if (assignment.WorldSize > 1)
        {
            throw new NotSupportedException($"The plan asks for {assignment.WorldSize} ranks that train together; this worker trains with one. Set ranksPerNode: 1.");
        }
        LibtorchLoading.Require();
        LibtorchLoading.SetThreads(assignment.Plan.Threads > 0 ? assignment.Plan.Threads : Environment.ProcessorCount);
        link.Progress(RankState.Starting, "loading", assignment.ResumeFrom?.Step ?? 0);
        using var loop = new StageLoop(assignment, link, clock);
        Console.WriteLine($"{assignment.Attempt.Stage}: model and data ready after {Stopwatch.GetElapsedTime(began).TotalSeconds:F2} s");
        stopping.ThrowIfCancellationRequested();
        loop.Run();
        Console.WriteLine($"{assignment.Attempt.Stage}: ended at step {loop.Position.Step} after {Stopwatch.GetElapsedTime(began).TotalSeconds:F1} s");
    }
}
