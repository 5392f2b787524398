using System.Collections.Immutable;
using CsCheck;
using DeepSeekOps.ControlPlane.Grains;
using DeepSeekOps.Decisions;
using DeepSeekOps.Decisions.Health;
using Xunit;

namespace DeepSeekOps.ControlPlane.Tests.Grains;

public sealed class AcknowledgementTests
{
    private static readonly StageId Stage = new("mini", "pretrain");

    /// <summary>Bits: room for samples, room for loads, the oldest write ends after the beat, it fails.</summary>
    private static readonly Gen<int[]> Histories = Gen.Int[0, 15].Array[1, 60];

    [Fact]
    public void Nothing_is_acknowledged_that_is_not_on_the_disk_and_in_the_end_everything_is() => Histories.Sample(history =>
    {
        var disk = new HashSet<(string Kind, long Step)>();
        var writes = new Queue<(TaskCompletionSource Done, ImmutableArray<(string, long)> What)>();
        int turn = 0;
        Task? Take(ImmutableArray<(string, long)> what, int room)
        {
            if ((turn & room) == 0)
            {
                return null;
            }

            writes.Enqueue((new TaskCompletionSource(), what));
            return writes.Last().Done.Task;
        }

        var ledger = LedgerOf(
            samples => Take([.. samples.Select(s => ("sample", s.Step))], 1), loads => Take([.. loads.Select(l => ("load", l.Step))], 2));
        var acknowledgements = new Acknowledgements();
        var untold = new List<(long Sequence, long Step)>();
        long sequence = 0;
        foreach (int next in history.Concat(Enumerable.Repeat(7, history.Length * 2 + 4)))
        {
            turn = next;
            untold.Add((++sequence, sequence));
            acknowledgements.Take(Beat(sequence, untold.Select(u => u.Step)), TestPipelines.Of("mini", ("pretrain", 1000)).Pipeline,
                ledger);
            if ((next & 4) != 0 && writes.TryDequeue(out var write))
            {
                Finish(write, fails: (next & 8) != 0);
            }

            long taken = acknowledgements.Durable;
            Assert.All(untold.Where(u => u.Sequence <= taken),
                u => Assert.Superset(new HashSet<(string, long)> { ("sample", u.Step), ("load", u.Step) }, disk));
            untold.RemoveAll(u => u.Sequence <= taken);
        }

        while (writes.TryDequeue(out var write))
        {
            Finish(write, fails: false);
        }

        Assert.Equal(sequence, acknowledgements.Durable);

        void Finish((TaskCompletionSource Done, ImmutableArray<(string, long)> What) write, bool fails)
        {
            if (fails)
            {
                write.Done.SetException(new IOException("the disk is full"));
                return;
            }

            disk.UnionWith(write.What);
            write.Done.SetResult();
        }
    });

    private static AgentBeat Beat(long sequence, IEnumerable<long> steps) => new(
        new NodeId("node-0"), "agent", Stage, 1, sequence, [],
        [.. steps.Select(
            step => new StepSample(step, default, "main", 1, 1, 1e-3, step, 0.1, 1, ImmutableDictionary<string, double>.Empty))], [], [],
            [],
        ImmutableDictionary<string, double>.Empty, [], [.. steps.Select(step => new ExpertLoad(step, default, 1, 1, 0, 2, [1, 1]))]);

    internal static Ledger LedgerOf(Func<ImmutableArray<StepSample>, Task?> samples, Func<ImmutableArray<ExpertLoad>, Task?> loads) => new()
    {
        AppendEvents = (_, _) => Task.CompletedTask,
        RecordCheckpoints = (_, _, _) => Task.CompletedTask,
        RecordIncident = (_, _) => Task.CompletedTask,
        KeepEvidence = (_, _) => Task.CompletedTask,
        RecordNodeIncident = (_, _) => Task.CompletedTask,
        KeepTrace = (_, _) => Task.CompletedTask,
        RecordActs = (_, _) => Task.CompletedTask,
        RecordRun = (_, _) => Task.CompletedTask,
        TakeSamples = (_, what) => samples(what),
        TakeExpertLoads = (_, what) => loads(what),
        UnfinishedRuns = _ => Task.FromResult(ImmutableArray<string>.Empty),
    };
}
