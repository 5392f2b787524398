using System.Collections.Immutable;
using DeepSeekOps.Decisions;
using DeepSeekOps.Decisions.Placement;
using DeepSeekOps.Decisions.Planning;
using DeepSeekOps.Decisions.Recipes;
using DeepSeekOps.Decisions.Runs;
using DeepSeekOps.Decisions.Simulation;
using DeepSeekOps.Recipes.Schedules;

namespace DeepSeekOps.Simulation.Tests;

/// <summary>
/// A few nodes, a few short runs that compete for them, and more faults in a quarter of an hour than a real cluster has in a month.
/// </summary>
internal static class SmallWorld
{
    public const int SlotsPerNode = 2;

    private static readonly FaultMix EveryKind = new("every kind", 0,
    [
        new("bug", 3, FaultEffect.RankExits), new("stuck collective", 3, FaultEffect.RankHangs), new("bad GPU", 2, FaultEffect.GpuFails),
        new("power", 2, FaultEffect.NodeLost), new("agent killed", 2, FaultEffect.AgentEnds),
        new("bad batch", 1, FaultEffect.NumbersBreak),
    ], "made up: every kind about as often");

    private static readonly ClusterTiming Fast =
        new(PodStart: (1, 4), Load: (2, 8), EndPod: 1.5, NotReadyAfter: 12, Repair: TimeSpan.FromMinutes(2), new StepNoise(0.05, 0, 0));

    /// <summary>Waits as short as the steps are.</summary>
    private static readonly RecoveryPolicy Impatient = new()
    {
        HangFloor = TimeSpan.FromSeconds(25),
        HangLimitBeforeFirstStep = TimeSpan.FromSeconds(60),
        StartWithin = TimeSpan.FromMinutes(4),
        SilentFor = TimeSpan.FromMinutes(2),
        SaveWithin = TimeSpan.FromSeconds(20),
        BreakForgottenAfter = 10,
        Window = TimeSpan.FromHours(8),
    };

    /// <summary>Everything in it is drawn from the seed.</summary>
    public static Scenario Drawn(int seed)
    {
        var random = new Random(seed);
        int nodes = random.Next(2, 9);
        var arrivals = ImmutableArray.CreateBuilder<Arrival>();
        var timings = ImmutableDictionary.CreateBuilder<StageId, StageTiming>();
        for (int run = random.Next(1, 4); run > 0; run--)
        {
            var pipeline = Pipeline($"run-{run}", random.Next(1, 3), () => random.Next(1, nodes + 1), () => random.Next(30, 150)) with
            {
                Priority = random.Next(4) == 0 ? Priority.Urgent : Priority.Normal,
                Recovery = Impatient with { MaxRestarts = random.Next(4, 20) },
            };
            arrivals.Add(new Arrival(TimeSpan.FromSeconds(random.Next(0, 60)), new RunSubmission(pipeline.Name, pipeline, "")));
            foreach (var stage in pipeline.Stages)
            {
                timings.Add(new StageId(pipeline.Name, stage.Name),
                    new StageTiming(1 + (3 * random.NextDouble()), random.Next(3, 12), random.NextDouble(), 4 * random.NextDouble(), 1e6,
                        1000));
            }
        }

        double secondsBetweenFaults = random.Next(20, 300);
        var mix = random.Next(8) == 0 ? FaultMix.None
            : EveryKind with { PerThousandNodeDays = 1000.0 * 86_400 / secondsBetweenFaults / nodes };
        var scenario = new Scenario(arrivals.ToImmutable(), Machines(nodes), timings.ToImmutable(), mix, Fast, DrawChaos(random),
            PlacementPolicy.Default, 1e9,
            TimeSpan.FromHours(8), seed);
        return WithChecks(WithSettings(scenario, nodes, new Random(seed + 1_000_000)), new Random(seed + 2_000_000));
    }

    /// <summary>One run of one stage on sound machines; faults come from the script.</summary>
    public static Scenario Scripted(
        int nodes, int gang, int steps, double stepSeconds, int saveEvery, bool inMemory, bool checks, ImmutableArray<ScriptedFault> script)
    {
        var pipeline = Pipeline("golden", 1, () => gang, () => steps) with { Recovery = checks ? Checking(Impatient) : Impatient };
        var disk = new StageTiming(stepSeconds, saveEvery, 0.5, 2, 1e6, 1000);
        var timing = inMemory ? InMemory(disk) : disk;
        var steady = Fast with { PodStart = (2, 2), Load = (4, 4), StepNoise = StepNoise.None, EndPod = 1 };
        return new Scenario([new Arrival(TimeSpan.Zero, new RunSubmission("golden", pipeline, ""))], Machines(nodes),
            ImmutableDictionary<StageId, StageTiming>.Empty.Add(new StageId("golden", "stage-1"), timing), FaultMix.None, steady,
            Chaos.None,
            PlacementPolicy.Default, 1e9, TimeSpan.FromHours(2), 1)
        {
            Script = script,
        };
    }

    /// <summary>
    /// Spares, a group, quotas and maintenance, drawn apart so that the worlds themselves stay what they were. Machines are added for the
    /// spares, or the largest gang could never start.
    /// </summary>
    private static Scenario WithSettings(Scenario scenario, int nodes, Random random)
    {
        int spares = random.Next(3);
        var group = new NodeGroup("all", ImmutableDictionary<string, string>.Empty.Add(Fabric.LeafLabel, "leaf-000"), []);
        ImmutableArray<MaintenanceWindow> windows = random.Next(3) > 0 ? [] :
        [
            .. Enumerable.Range(1, random.Next(1, 3))
                .Select(i => new MaintenanceWindow($"window-{i}", [new NodeId($"node-{random.Next(nodes):0000}")], "",
                Decisions.Simulation.Simulation.Start.AddMinutes(random.Next(2, 20)),
                Decisions.Simulation.Simulation.Start.AddMinutes(random.Next(21, 40)), "firmware")),
        ];
        bool quotas = random.Next(3) == 0;
        // In one half of the worlds agents hold their ranks' states.
        var stages = random.Next(2) == 0 ? scenario.Stages
            : scenario.Stages.ToImmutableDictionary(s => s.Key, s => InMemory(s.Value));
        return scenario with
        {
            Stages = stages,
            Machines = Machines(nodes + spares),
            Arrivals = random.Next(3) > 0 ? scenario.Arrivals
                : [.. scenario.Arrivals.Select(a => a with { Submission = OfGroup(a.Submission, group.Name) })],
            Policy = PlacementPolicy.Default with
            {
                Spares = spares,
                Groups = [group],
                Maintenance = windows,
                Borrow = !quotas,
                QuotaSlots = quotas ? ImmutableDictionary<string, int>.Empty.Add(new PipelineSpec().Team, nodes * SlotsPerNode)
                    : ImmutableDictionary<string, int>.Empty,
            },
        };
    }

    /// <summary>In one half of the worlds every stage counts as long, and new nodes are checked by its first steps.</summary>
    private static Scenario WithChecks(Scenario scenario, Random random) => random.Next(2) == 0 ? scenario : scenario with
    {
        Arrivals = [.. scenario.Arrivals.Select(a => a with
        {
            Submission = a.Submission with
            {
                Pipeline = a.Submission.Pipeline with { Recovery = Checking(a.Submission.Pipeline.Recovery) },
            },
        })],
    };

    private static RecoveryPolicy Checking(RecoveryPolicy policy) => policy with { CheckFrom = TimeSpan.Zero };

    /// <summary>A recovery in place takes some seconds, from the newest step that all have.</summary>
    private static StageTiming InMemory(StageTiming timing) => timing with
    {
        InMemory = true,
        InPlace = new RecoveryBudget([new("noticed", 0, 1, ""), new("decided", 0, 1, ""), new("formed", 1, 3, "")]),
    };

    private static RunSubmission OfGroup(RunSubmission submission, string group) => submission with
    {
        Pipeline = submission.Pipeline with
        {
            Stages = [.. submission.Pipeline.Stages.Select(
                s => s with { Resources = submission.Pipeline.ResourcesOf(s) with { Group = group } })],
        },
    };

    private static ImmutableArray<NodeSeen> Machines(int nodes) => [.. Fabric.H800(nodes).Select(n => n with { Slots = SlotsPerNode })];

    private static PipelineSpec Pipeline(string name, int stages, Func<int> nodes, Func<int> steps) => new()
    {
        Name = name,
        Stages =
        [
            .. Enumerable.Range(1, stages).Select(i => new StageSpec
            {
                Name = $"stage-{i}",
                Recipe = new StageRecipe.Pretraining { Tokens = steps() * 1000L, SequenceLength = 100, BatchSize = BatchRamp.Constant(10) },
                Resources = new ResourceSpec { Nodes = nodes(), RanksPerNode = SlotsPerNode },
            }),
        ],
    };

    private static Chaos DrawChaos(Random random) => random.Next(3) switch
    {
        0 => Chaos.None,
        1 => new Chaos(BeatLost: 0.02, BeatTwice: 0.05, BeatLate: 0.1, BeatLateSeconds: 2, Crash: 0.002, TimeSpan.FromSeconds(5),
            ClusterSilent: 0.01, Refusal: 0.02),
        _ => new Chaos(BeatLost: 0.2, BeatTwice: 0.2, BeatLate: 0.3, BeatLateSeconds: 6, Crash: 0.02, TimeSpan.FromSeconds(15),
            ClusterSilent: 0.1, Refusal: 0.1),
    };
}
