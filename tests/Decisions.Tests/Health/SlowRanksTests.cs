using System.Collections.Immutable;
using CsCheck;
using DeepSeekOps.Decisions.Gangs;
using DeepSeekOps.Decisions.Health;
using DeepSeekOps.Decisions.Recipes;
using DeepSeekOps.Decisions.Simulation;
using DeepSeekOps.Decisions.Stages;
using Xunit;

namespace DeepSeekOps.Decisions.Tests.Health;

/// <summary>Gangs whose beats are made up: who is named, how soon, and for how much.</summary>
public sealed class SlowRanksTests
{
    private const double NamedWithin = 60;

    [Fact]
    public void A_rank_slower_by_half_is_named_within_a_minute_whatever_the_gang()
    {
        Gen.Select(Gen.Int[2, 12], Gen.Int[1, 3], Gen.Double[0.02, 3], Gen.Int[0, 1_000_000]).Sample((alike, places, step, seed) =>
        {
            // Few long steps fit into the window: theirs is ten times the scatter of six published runs, short ones have much more.
            var gang = new Gang(alike, places, step, seed, noise: step < 0.3 ? 0.1 : 10 * StepNoise.Measured.Deviation);
            gang.Train(60);
            int slow = new Random(seed).Next(alike * places);
            double asked = gang.Now;
            gang.Factor[slow] = 1.5;
            while (gang.Look()?.Slowest is null && gang.Now < asked + NamedWithin)
            {
                gang.Train(1);
            }

            Assert.Equal(slow, gang.Look()?.Slowest?.Rank.Rank);
            // Half as slow again, give or take the noise of few long steps.
            Assert.InRange(gang.Look()!.Slowest!.Times, 1.25, 2.25);
            gang.Factor[slow] = 1;
            double over = gang.Now;
            while (gang.Look()?.Slowest is not null && gang.Now < over + (3 * NamedWithin))
            {
                gang.Train(1);
            }

            Assert.Null(gang.Look()?.Slowest);
        }, iter: 60);
    }

    [Fact]
    public void Ranks_that_differ_as_on_two_busy_cores_are_named_never()
    {
        Gen.Select(Gen.Int[2, 8], Gen.Int[1, 3], Gen.Int[0, 1_000_000]).Sample((alike, places, seed) =>
        {
            var gang = new Gang(alike, places, 0.05, seed, noise: 0.3);
            var random = new Random(seed);
            for (int minute = 0; minute < 10; minute++)
            {
                // Others come and go: for seconds one rank gets half of a core, and now and then all are slow together.
                gang.All = random.NextDouble() < 0.3 ? 3 : 1;
                int hit = random.Next(gang.Factor.Length);
                gang.Factor[hit] = 2;
                gang.Train(8);
                gang.Factor[hit] = 1;
                gang.Train(52);
                Assert.Null(gang.Look()?.Slowest);
            }
        }, iter: 20);
    }

    [Fact]
    public void Steps_as_noisy_as_six_published_runs_name_nobody()
    {
        var gang = new Gang(alike: 8, places: 2, step: 2, seed: 1, noise: 0) { Drawn = StepNoise.Measured };
        for (int minute = 0; minute < 240; minute++)
        {
            gang.Train(60);
            Assert.Null(gang.Look()?.Slowest);
        }
    }

    [Fact]
    public void Rows_that_cannot_be_dealt_evenly_are_no_slowness_and_a_rank_without_its_like_is_not_judged()
    {
        var uneven = new Gang(alike: 4, places: 1, step: 0.1, seed: 3, noise: 0.05) { Uneven = 2 };
        uneven.Factor[3] = 2;
        uneven.Train(120);
        Assert.Null(uneven.Look()!.Slowest);
        var lone = new Gang(alike: 1, places: 4, step: 0.1, seed: 3, noise: 0.05);
        lone.Factor[2] = 3;
        lone.Train(120);
        Assert.Null(lone.Look());
    }

    [Fact]
    public void The_price_is_what_the_gang_was_held_up_by_while_a_rank_was_named_and_no_step_is_paid_for_twice()
    {
        var gang = new Gang(alike: 4, places: 1, step: 0.1, seed: 5, noise: 0.02);
        gang.Train(60);
        gang.Factor[1] = 1.5;
        double held = 0;
        for (int second = 0; second < 300; second++)
        {
            gang.Train(1);
            gang.Look();
            held += gang.Watch.TakeHeldUp();
        }

        // Slow steps take 0.15 s, of which a third is the price; the first half window is only noticed by its second.
        Assert.InRange(held, 80, 105);
        Assert.Equal(held, gang.Look()!.HeldUp, 6);
        gang.Factor[1] = 1;
        gang.Train(120);
        Assert.Null(gang.Look()!.Slowest);
        Assert.InRange(gang.Watch.TakeHeldUp(), 0, 10);
    }

    [Fact]
    public void Ranks_that_are_launched_again_begin_a_new_window()
    {
        var gang = new Gang(alike: 4, places: 1, step: 0.1, seed: 5, noise: 0.02);
        gang.Factor[1] = 1.5;
        gang.Train(60);
        Assert.NotNull(gang.Look()!.Slowest);
        gang.Launch();
        gang.Train(3);
        Assert.Null(gang.Look());
        gang.Train(60);
        Assert.Equal(1, gang.Look()!.Slowest!.Rank.Rank);
    }

    [Fact]
    public void A_rank_that_is_slow_is_an_incident_that_ends_nothing_and_is_closed_with_its_price_when_it_is_not()
    {
        var running = new RunningStage();
        var slow = new SlowRank(new RankSeconds(2, running.Node, 0.15, 0.01, 0), "64", 0.1, 200,
            [new(2, running.Node, 0.15, 0.01, 0), new(3, running.Node, 0.1, 0.06, 0)]);
        var now = running.After(TimeSpan.FromSeconds(1));
        var told = StagePlanner.Decide(running.Stage, running.Observe(now) with { Slow = new SlowLook(slow) }, now.At);
        var incident = told.Next.NewestIncident!;
        Assert.Equal((SlowRank.Cause, 2, "advice"), (incident.Diagnosis!.Cause, incident.Diagnosis.Rank, incident.Decision!.Rung));
        Assert.Empty(told.Actions);
        Assert.IsType<Phase.Running>(told.Next.Phase);
        Assert.Contains("150 ms a step, rank 3 100 ms", incident.Sentence, StringComparison.Ordinal);
        Assert.Contains(incident.Steps, s => s.Text.StartsWith("rank 3 on ", StringComparison.Ordinal));
        var still = StagePlanner.Decide(told.Next, running.Observe(now) with { Slow = new SlowLook(slow) }, now.At);
        Assert.Same(incident, still.Next.NewestIncident);
        // Nobody knows: a new control plane, or training stands.
        Assert.True(StagePlanner.Decide(told.Next, running.Observe(now) with { Slow = null }, now.At).Next.NewestIncident!.Open);
        var over = StagePlanner.Decide(told.Next, running.Observe(now) with { Slow = new SlowLook(null) { HeldUp = 36 } }, now.At).Next;
        Assert.False(over.NewestIncident!.Open);
        Assert.Equal(36.0 / 3600 * running.Gang.Slots, over.NewestIncident.Outcome!.GpuHours!.Value, 9);
        Assert.Contains(over.Outbox, e => e.Kind == "straggler-over");
    }

    /// <summary>Ranks in places of a pipeline, of which each has its own share of work; the slowest of all makes the step.</summary>
    private sealed class Gang
    {
        private readonly Random random;
        private readonly double[] own;
        private readonly double[] waited;
        private readonly double noise;
        private readonly int places;
        private readonly double step;
        private readonly WatchedStage watched = new RunningStage().Stage.Watched;
        private long made;
        private long sequence;
        private int attempt = 1;
        private double beaten;

        public Gang(int alike, int places, double step, int seed, double noise)
        {
            (random, this.noise, this.places, this.step) = (new Random(seed), noise, places, step);
            (own, waited) = (new double[alike * places], new double[alike * places]);
            Factor = [.. Enumerable.Repeat(1.0, alike * places)];
        }

        public double[] Factor { get; }

        public double All { get; set; } = 1;

        public double Uneven { get; init; } = 1;

        public StepNoise? Drawn { get; init; }

        public PaceWatch Watch { get; } = new();

        public double Now { get; private set; }

        private WatchedStage Stage => watched with { Attempt = attempt, Peers = (Factor.Length / places, Uneven) };

        private Instant Instant => new(DateTimeOffset.UnixEpoch.AddSeconds(Now), TimeSpan.FromSeconds(Now));

        public SlowLook? Look() => Watch.Look(Stage, Instant);

        public void Launch()
        {
            attempt++;
            Array.Clear(own);
            Array.Clear(waited);
            made = 0;
        }

        public void Train(double seconds)
        {
            double until = Now + seconds;
            while (Now < until)
            {
                double[] took = [.. Factor.Select((f, rank) => f * Work(rank))];
                double longest = took.Max();
                for (int rank = 0; rank < took.Length; rank++)
                {
                    own[rank] += took[rank];
                    waited[rank] += longest - took[rank];
                }

                made++;
                double before = Now;
                Now += longest;
                // Agents beat each second; a step may take many.
                for (double beat = Math.Max(beaten + 1, before); beat <= Now; beat++)
                {
                    Beat(beaten = beat);
                }
            }
        }

        private double Work(int rank) => step * All * (1 + (0.5 * (rank / (Factor.Length / places))))
            * (Drawn?.Draw(random) ?? Math.Exp(noise * Normal()));

        private double Normal() => Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble());

        private void Beat(double at)
        {
            ImmutableArray<RankStatus> ranks = [.. Enumerable.Range(0, Factor.Length).Select(rank =>
                new RankStatus(rank, 1, RankState.Training, attempt, made, "64", TimeSpan.Zero, null, "", made)
                {
                    OwnSeconds = own[rank], WaitedSeconds = waited[rank],
                })];
            Watch.Take(new AgentBeat(new NodeId("node-0"), "a", watched.Id, attempt, ++sequence, ranks, [], [], [], [],
                ImmutableDictionary<string, double>.Empty, [], []), Stage, new Instant(DateTimeOffset.UnixEpoch, TimeSpan.FromSeconds(at)));
        }
    }
}
