using System.Diagnostics;
using System.Net;
using DeepSeekOps.Contracts.Worker.V1;
using DeepSeekOps.Worker.Agent;
using DeepSeekOps.Worker.Checkpoints;
using DeepSeekOps.Worker.Libtorch;
using DeepSeekOps.Worker.Parallel;
using DeepSeekOps.Worker.Parallel.Nccl;
using DeepSeekOps.Worker.Parallel.Sockets;
using DeepSeekOps.Worker.Training.Learning;
using TorchSharp;
using static TorchSharp.torch;

namespace DeepSeekOps.Worker.Training.Loop;

/// <summary>What a rank process does between its agent's two words: launch and stop.</summary>
public sealed class RankProgram : IDisposable
{
    private PeerDoor? _door;
    private volatile Task _preparing = Task.CompletedTask;

    /// <summary>
    /// Loads libtorch and rehearses a step, so that a standby's first one meets warm code. And opens the door for the other ranks of a
    /// gang.
    /// </summary>
    public RankReady WarmUp()
    {
        LibtorchLoading.Require();
        Rehearsal.Play();
        _door = new PeerDoor(RankEntry.PeerAddress(Environment.GetEnvironmentVariable(RankEntry.PeerHostVariable)));
        return new RankReady { PeerPort = _door.Port };
    }

    /// <summary>
    /// Begins to make a GPU ready, as whoever waits here for its launch has time to. What goes wrong there goes wrong in the launch again,
    /// and is told then.
    /// </summary>
    public void Prepare(RankPrepare order, IRankLink link) => _preparing = Task.Factory.StartNew(
        () => link.Report(new RankReport { Prepared = GpuReadiness.Make(order) }), CancellationToken.None,
        TaskCreationOptions.LongRunning, TaskScheduler.Default);

    /// <summary>Trains until the stage is done or an order ends it. Throws what makes the rank fail; the message is for people.</summary>
    public void Run(RankLaunch launch, IRankLink link, CancellationToken stopping)
    {
        _preparing.Wait(stopping);
        if (launch.Reference is { } reference)
        {
            Compare(launch, reference, link);
        }
        else if (launch.Collectives is { } work)
        {
            LibtorchLoading.SetThreads(1);
            var device = RankContext.Entered(ComputeDevice.Choose(work.Device.Length > 0 ? work.Device : "cpu", launch.Rank));
            using var gang = Gang(launch, new GangLayout(work.WorldSize, 1, 1, 1), device);
            link.Report(new RankReport { Collectives = CollectiveBenchmark.Run(gang.Mesh.World, work.Bytes, device, gang.Carrier) });
            gang.Mesh.World.Barrier();
        }
        else if (launch.Bench is { } bench)
        {
            Time(launch, bench, link);
        }
        else if (launch.Forming is { } forming)
        {
            Form(launch, forming, link);
        }
        else
        {
            var parts = new RankParts(launch.Traceparent, link);
            using var gang = launch.Roster is null ? null
                : Gang(launch, GangLayout.Of(launch.Assignment.Plan.Layout, Math.Max(1, launch.Assignment.WorldSize)),
                    RankContext.Of(launch, Environment.ProcessorCount).Device);
            if (gang is not null)
            {
                parts.Ended("connect");
                Console.WriteLine($"Between ranks tensors go by {gang.Carrier}."
                    + (gang.Mesh.ExpertNodes is not { } nodes ? ""
                        : $" A token goes once to each of its experts' nodes ({nodes.Across.Ranks} share them), and on from there."));
            }
            Run(launch, link, TimeProvider.System, gang?.Mesh ?? Mesh.Alone(), stopping, parts);
            gang?.Leave();
        }
    }

    public void Dispose() => _door?.Dispose();

    private void Compare(RankLaunch launch, ReferenceWork work, IRankLink link)
    {
        LibtorchLoading.SetThreads(Math.Max(1, work.Threads));
        var layout = GangLayout.Of(work.Layout, work.WorldSize);
        var device = RankContext.Entered(ComputeDevice.Choose(work.Device.Length > 0 ? work.Device : "cpu", launch.Rank));
        using var gang = Gang(launch, layout, device);
        using var check = new GangCheck(work.Folder, new RankContext(launch.Rank, layout, device, Math.Max(1, work.Threads)), gang.Mesh);
        link.Report(new RankReport { Reference = check.Run() });
        // Whoever leaves first must not be missed by those that still compute.
        gang.Mesh.World.Barrier();
    }

    private void Time(RankLaunch launch, BenchWork work, IRankLink link)
    {
        LibtorchLoading.SetThreads(Math.Max(1, work.Threads));
        var layout = GangLayout.Of(work.Layout, work.WorldSize);
        var device = RankContext.Entered(ComputeDevice.Choose(work.Device, launch.Rank));
        var rank = new RankContext(launch.Rank, layout, device, Math.Max(1, work.Threads));
        using var gang = Gang(launch, layout, device);
        var figures = new StepBenchmark(StepBenchmark.ShapeOf(work), rank, gang.Mesh, TimeProvider.System).Measure(work);
        figures.Carrier = gang.Carrier;
        link.Report(new RankReport { Bench = figures });
        gang.Mesh.World.Barrier();
    }

    /// <exception cref="PeerLostException">A rank is gone: what is to end it. Or an order does.</exception>
    private void Form(RankLaunch launch, FormingWork work, IRankLink link)
    {
        LibtorchLoading.SetThreads(1);
        var layout = GangLayout.Of(work.Layout, work.WorldSize);
        if (work.Shrinks)
        {
            ShrinkingBenchmark.Run(work, launch.Rank, () => Sockets(launch, layout), Told, link);
            return;
        }

        FormingBenchmark.Run(layout, launch.Rank, work.Device.Length > 0 ? work.Device : "cpu", () => Sockets(launch, layout), Told, link);
        void Told(FormingTimes times) => link.Report(new RankReport { Forming = times });
    }

    private GangMesh Gang(RankLaunch launch, GangLayout layout, Device device) =>
        new(Sockets(launch, layout), layout, launch.Rank, device);

    private SocketMesh Sockets(RankLaunch launch, GangLayout layout) => launch.Roster is { } roster && _door is { } door
        ? new SocketMesh(layout, launch.Rank, Rosters.Of(roster), door)
        : throw new InvalidDataException("The launch is for a rank of a gang and names no roster: its agent is older than this worker.");

    /// <summary>Null: the launch names none, or it cannot be used, which is told: the gang then goes on from checkpoints only.</summary>
    private static StateMemory? Memory(RankLaunch launch, IRankLink link)
    {
        try
        {
            return StateMemory.Open(launch);
        }
        catch (IOException e)
        {
            link.Note($"Rank {launch.Rank} keeps no state in memory: {e.Message}");
            return null;
        }
    }

    internal static void Run(
        RankLaunch launch, IRankLink link, TimeProvider clock, Mesh mesh, CancellationToken stopping, RankParts? parts = null)
    {
        var began = Stopwatch.GetTimestamp();
        var assignment = launch.Assignment;
        if (assignment.WorldSize > 1 && mesh.World.Ranks != assignment.WorldSize)
        {
            throw new InvalidDataException(
                $"The launch is for rank {launch.Rank} of a gang of {assignment.WorldSize} and names no roster: its agent is older than "
                + "this worker.");
        }
        LibtorchLoading.Require();
        var rank = RankContext.Of(launch, Environment.ProcessorCount);
        LibtorchLoading.SetThreads(rank.Threads);
        CustomBackward.Forget();
        mesh = mesh.Timed();
        using var time = mesh.Time;
        using var counting = new CountingLink(link, mesh.Calls, mesh.Time);
        link = mesh.World.Ranks > 1 ? counting.Pulsing() : counting;
        // Whoever is to end without saving need not wait for others; with saving the step that is under way is still wanted.
        using var ending = link.Stopping.Register(() =>
        {
            if (link.StopOrder is { Save: false } stop)
            {
                mesh.Calls.Abort(stop.Reason);
            }
        });
        using var leaving = link.Regrouping.Register(() => mesh.Calls.Abort("the rank is to leave its gang"));
        link.Progress(RankState.Starting, "loading", assignment.ResumeFrom?.Step ?? 0);
        using var memory = Memory(launch, link);
        using var loop = new StageLoop(assignment, link, clock, rank, mesh, memory, parts);
        parts?.Ended("build");
        Console.WriteLine($"{assignment.Attempt.Stage}: model and data ready after {Stopwatch.GetElapsedTime(began).TotalSeconds:F2} s");
        stopping.ThrowIfCancellationRequested();
        loop.Run();
        Console.WriteLine($"{assignment.Attempt.Stage}: ended at step {loop.Position.Step} after "
            + $"{Stopwatch.GetElapsedTime(began).TotalSeconds:F1} s");
    }
}
