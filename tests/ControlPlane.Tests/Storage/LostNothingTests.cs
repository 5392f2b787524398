using System.Collections.Immutable;
using System.Diagnostics;
using CsCheck;
using DeepSeekOps.ControlPlane.Grains;
using DeepSeekOps.ControlPlane.Storage;
using DeepSeekOps.ControlPlane.Storage.ExpertLoads;
using DeepSeekOps.ControlPlane.Storage.Series;
using DeepSeekOps.ControlPlane.Tests.Grains;
using DeepSeekOps.Decisions;
using DeepSeekOps.Decisions.Health;
using DeepSeekOps.Decisions.Recipes;
using DeepSeekOps.Decisions.Runs;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using Xunit;

namespace DeepSeekOps.ControlPlane.Tests.Storage;

/// <summary>
/// An agent's beats through acknowledgements and writers into a real database, whose writes fail, hang, or fail although they were made,
/// in every order; the control plane is begun anew meanwhile and beats come twice or not at all.
/// </summary>
public sealed class LostNothingTests(PrivatePostgres postgres)
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(10);

    private static readonly PipelineSpec Pipeline = TestPipelines.Of("mini", ("pretrain", 1000)).Pipeline;

    /// <summary>DSOPS_FULL=1 plays 150 and 30.</summary>
    public static TheoryData<DatabaseKind, int> Databases => Environment.GetEnvironmentVariable("DSOPS_FULL") == "1"
        ? new() { { DatabaseKind.Sqlite, 150 }, { DatabaseKind.Postgres, 30 } }
        : new() { { DatabaseKind.Sqlite, 40 }, { DatabaseKind.Postgres, 10 } };

    [Theory, MemberData(nameof(Databases))]
    public async Task Whatever_fails_or_hangs_or_begins_anew_every_sample_is_in_the_ledger_once(DatabaseKind kind, int histories)
    {
        await using var database = await TestDatabase.Create(kind, postgres);
        int stories = 0;
        await Gen.Int[0, 99].Array[1, 40].SampleAsync(
            async story =>
            {
                var stage = new StageId($"run-{Interlocked.Increment(ref stories)}", "pretrain");
                await using var agent = new Agent(database, stage);
                foreach (int what in story)
                {
                    await agent.Do(what);
                }

                await agent.UntilAllIsTold();
                await Demand(database, stage, agent.Steps);
            },
            iter: histories, threads: 1);
    }

    /// <summary>Every step once in each series, in order also across chunks, and every load of experts once.</summary>
    private static async Task Demand(TestDatabase database, StageId stage, ImmutableArray<(int Attempt, long Step)> wanted)
    {
        await using var connections = new OpsConnections(database.Database);
        await using var context = connections.Context();
        var chunks = await context.SeriesChunks.Where(c => c.Run == stage.Run).OrderBy(c => c.Attempt).ThenBy(c => c.FirstStep)
            .ToListAsync();
        foreach (var line in chunks.GroupBy(c => c.Name))
        {
            var steps = line.SelectMany(c => StepsOf(c.Body).Select(step => (c.Attempt, step))).ToList();
            // The pace of a step needs the one before, which a control plane that has just begun does not know.
            Assert.Equal(line.Key == "tokens_per_second" ? wanted.Intersect(steps) : wanted, steps);
            Assert.All(line, c => Assert.Equal((c.FirstStep, c.LastStep), (StepsOf(c.Body)[0], StepsOf(c.Body)[^1])));
        }

        Assert.Contains(chunks, c => c.Name == "loss");
        var loads = await context.ExpertLoads.Where(l => l.Run == stage.Run).OrderBy(l => l.Attempt).ThenBy(l => l.Step).ToListAsync();
        Assert.Equal(wanted.Where(w => HasLoad(w.Step)), loads.Select(l => (l.Attempt, l.Step)));
    }

    /// <summary>Few enough that none is thinned out.</summary>
    private static bool HasLoad(long step) => step % 200 == 1;

    private static List<long> StepsOf(byte[] body)
    {
        var points = new SeriesPoints();
        points.AddBody(body);
        return points.Step;
    }

    /// <summary>Keeps what is not acknowledged, as agents do, and sends it with each beat.</summary>
    private sealed class Agent(TestDatabase database, StageId stage) : IAsyncDisposable
    {
        private readonly List<(long Sequence, StepSample Sample)> untold = [];
        private readonly List<(int, long)> steps = [];
        private readonly TroubledLanes lanes = new(database.Database);
        private Acknowledgements acknowledgements = new();
        private ServiceProvider? room;
        private AgentBeat? last;
        private Task newest = Task.CompletedTask;
        private int attempt = 1;
        private long step;
        private long sequence;

        public ImmutableArray<(int Attempt, long Step)> Steps => [.. steps];

        public async Task Do(int what)
        {
            switch (what)
            {
                case < 45:
                    Beat(1 + what);
                    break;
                case < 50:
                    // A long absence: more than a chunk holds.
                    Beat(700);
                    break;
                case < 60:
                    lanes.Next.Enqueue(TroubledLanes.Trouble.Fails);
                    break;
                case < 70:
                    lanes.Next.Enqueue(TroubledLanes.Trouble.FailsAfterwards);
                    break;
                case < 80:
                    lanes.Next.Enqueue(TroubledLanes.Trouble.Hangs);
                    break;
                case < 85:
                    lanes.Release();
                    break;
                case < 90 when last is { } again:
                    acknowledgements.Take(again, Pipeline, Ledger());
                    break;
                case < 93:
                    // The control plane is begun anew: nothing of its memory is left.
                    await Restart();
                    break;
                case < 96:
                    (attempt, step) = (attempt + 1, Math.Max(0, step - 20));
                    break;
                default:
                    await Settled();
                    break;
            }
        }

        public async Task UntilAllIsTold()
        {
            Beat(1);
            lanes.Next.Clear();
            var watch = Stopwatch.StartNew();
            while (untold.Count > 0)
            {
                Assert.True(watch.Elapsed < Patience, $"{untold.Count} samples are never acknowledged");
                await Settled();
                Beat(0);
                await Task.Yield();
            }
        }

        /// <summary>All that was passed on has come to something.</summary>
        private async Task Settled()
        {
            lanes.Release(forGood: true);
            await newest.ContinueWith(_ => { }, TaskScheduler.Default);
            lanes.HangAgain();
        }

        public async ValueTask DisposeAsync()
        {
            lanes.Release(forGood: true);
            await (room?.DisposeAsync() ?? ValueTask.CompletedTask);
            await lanes.DisposeAsync();
        }

        private void Beat(int samples)
        {
            sequence++;
            for (int i = 0; i < samples; i++)
            {
                untold.Add((sequence, MetricWriterTests.Sample(attempt, ++step, MetricWriterTests.Loss(step))));
                steps.Add((attempt, step));
            }

            last = new AgentBeat(
                new NodeId("node-0"), "agent", stage, attempt, sequence, [], [.. untold.Select(u => u.Sample)], [], [], [],
                ImmutableDictionary<string, double>.Empty, [],
                [.. untold.Where(u => HasLoad(u.Sample.Step))
                    .Select(u => new ExpertLoad(u.Sample.Step, u.Sample.At, u.Sample.Attempt, 1, 0, 2, [1, 1]))]);
            acknowledgements.Take(last, Pipeline, Ledger());
            long taken = acknowledgements.Durable;
            untold.RemoveAll(u => u.Sequence <= taken);
        }

        private async Task Restart()
        {
            await Settled();
            await (room?.DisposeAsync() ?? ValueTask.CompletedTask);
            (room, acknowledgements) = (null, new Acknowledgements());
        }

        private Ledger Ledger()
        {
            room ??= database.Room(services => services.AddSingleton<WriteLanes>(_ => lanes.Begin()));
            var (metrics, experts) = (room.GetRequiredService<MetricWriter>(), room.GetRequiredService<ExpertLoadWriter>());
            return AcknowledgementTests.LedgerOf(
                samples => Newest(metrics.TryWrite(stage, samples, out var durable) ? durable : null),
                loads => Newest(experts.TryWrite(stage, loads)));
        }

        private Task? Newest(Task? written)
        {
            newest = Task.WhenAll(newest.ContinueWith(_ => { }, TaskScheduler.Default), written ?? Task.CompletedTask);
            return written;
        }
    }

    /// <summary>Real lanes on the real database; what is asked for goes wrong on the way there or on the way back.</summary>
    private sealed class TroubledLanes(OpsDatabase database) : IAsyncDisposable
    {
        private readonly OpsConnections connections = new(database);
        private readonly List<TaskCompletionSource> hanging = [];
        private bool released;

        public enum Trouble
        {
            Fails,
            FailsAfterwards,
            Hangs,
        }

        public System.Collections.Concurrent.ConcurrentQueue<Trouble> Next { get; } = new();

        public WriteLanes Begin() => new Lanes(this, connections, new StoreWatch(database, TimeProvider.System));

        public void Release(bool forGood = false)
        {
            lock (hanging)
            {
                released |= forGood;
                hanging.ForEach(h => h.TrySetResult());
                hanging.Clear();
            }
        }

        public void HangAgain()
        {
            lock (hanging)
            {
                released = false;
            }
        }

        public ValueTask DisposeAsync() => connections.DisposeAsync();

        private Task Hang()
        {
            lock (hanging)
            {
                if (released)
                {
                    return Task.CompletedTask;
                }

                hanging.Add(new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously));
                return hanging[^1].Task;
            }
        }

        private sealed class Lanes(TroubledLanes troubles, OpsConnections connections, StoreWatch watch) : WriteLanes(connections, watch)
        {
            public override async Task<int[]> Run(string key, IReadOnlyList<Statement> statements, CancellationToken cancellation)
            {
                Trouble? trouble = troubles.Next.TryDequeue(out var next) ? next : null;
                if (trouble == Trouble.Hangs)
                {
                    await troubles.Hang();
                }

                int[] rows = trouble == Trouble.Fails ? throw Broken() : await base.Run(key, statements, cancellation);
                return trouble == Trouble.FailsAfterwards ? throw Broken() : rows;
            }

            private static StoreUnwritableException Broken() => new(new StoreTrouble("it is a drill", "Nothing is to be done."));
        }
    }
}
