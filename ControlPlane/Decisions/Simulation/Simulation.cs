using System.Collections.Immutable;
using DeepSeekOps.Decisions.Gangs;
using DeepSeekOps.Decisions.Goodput;
using DeepSeekOps.Decisions.Health;
using DeepSeekOps.Decisions.Placement;
using DeepSeekOps.Decisions.Recipes;
using DeepSeekOps.Decisions.Recovery;
using DeepSeekOps.Decisions.Stages;

namespace DeepSeekOps.Decisions.Simulation;

/// <summary>
/// A cluster of machines and the control plane's own deciders on a virtual clock. Only what can change a decision happens: a gang that
/// trains and is well costs one event per checkpoint, and the control plane ticks each second while anything else is the case.
/// </summary>
public sealed class Simulation
{
    /// <summary>When every simulation begins; maintenance of a scenario is planned against it.</summary>
    public static readonly DateTimeOffset Start = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);
    private static readonly TimeSpan TickEvery = TimeSpan.FromSeconds(1);

    private readonly Scenario scenario;
    private readonly Agenda agenda = new(Start);
    private readonly Random faultDraws;
    private readonly Random chaosDraws;
    private readonly VirtualCluster cluster;
    private readonly VirtualControlPlane controlPlane;
    private readonly Action<Simulation>? inspect;
    private DateTimeOffset backAt;
    private bool news = true;
    private long ticks;

    /// <param name="inspect">Called after each tick.</param>
    public Simulation(Scenario scenario, Deciders? deciders = null, Action<Simulation>? inspect = null)
    {
        (this.scenario, this.inspect) = (scenario, inspect);
        // Streams of their own, so that another message drawn does not move the faults.
        faultDraws = new Random(scenario.Seed);
        chaosDraws = new Random(unchecked(scenario.Seed * 31) + 7);
        cluster = new VirtualCluster(agenda, scenario.Machines, scenario.Timing, stage => scenario.Stages[stage], scenario.ActiveParameters,
            new Random(unchecked(scenario.Seed * 17) + 3))
        {
            RefusalChance = scenario.Chaos.Refusal,
        };
        controlPlane = new VirtualControlPlane(cluster, () => agenda.Now, deciders ?? Deciders.Real, scenario.Policy)
        {
            Crashes = () => Drawn(scenario.Chaos.Crash),
            ClusterSilent = () => Drawn(scenario.Chaos.ClusterSilent),
        };
        foreach (var arrival in scenario.Arrivals)
        {
            agenda.After(arrival.After, () =>
            {
                controlPlane.Submit(arrival.Submission);
                news = true;
            });
        }

        foreach (var fault in scenario.Script)
        {
            agenda.After(fault.At, () => cluster.Strike(cluster.Nodes[fault.Node], fault.Cause, Start + fault.Until));
        }

        foreach (var at in scenario.Policy.Maintenance.SelectMany(w => new[] { w.From, w.Until }))
        {
            agenda.At(at, () => news = true);
        }

        ScheduleFault();
    }

    public DateTimeOffset Now => agenda.Now;

    public TimeSpan Elapsed => agenda.Now - Start;

    /// <summary>Entries of the agenda that came to pass, and ticks of the control plane.</summary>
    public long Events => agenda.Happened + ticks;

    public PlacementPolicy Policy => scenario.Policy;

    public IEnumerable<NodeSeen> Machines => scenario.Machines;

    public int Gpus => scenario.Machines.Sum(m => m.Slots);

    public GoodputLedger Ledger => cluster.Ledger;

    public IReadOnlyDictionary<StageId, Stage> Stages => controlPlane.Stages;

    public IReadOnlyDictionary<string, Runs.Run> RunsByName => controlPlane.Runs;

    public ImmutableArray<GangGrant> Held => controlPlane.Held;

    /// <summary>Attempts that make steps at this moment.</summary>
    public IEnumerable<(StageId Stage, int Attempt)> Training =>
        cluster.Jobs.Where(j => j.State is JobState.Training or JobState.Saving).Select(j => (j.Stage, j.Attempt));

    /// <summary>What each attempt that makes steps was told to leave out.</summary>
    public IEnumerable<(StageId Stage, int Attempt, ImmutableArray<long> LeftOut)> LeavingOut =>
        cluster.Jobs.Where(j => j.State is JobState.Training or JobState.Saving).Select(j => (j.Stage, j.Attempt, j.LeftOut));

    /// <summary>What each attempt that makes steps is laid out as: ranks that are there, those it was told of, what it trains.</summary>
    public IEnumerable<(StageId Stage, int Attempt, int Ranks, int World, PipelineSpec Pipeline)> LaidOut =>
        cluster.Jobs.Where(j => j.State is JobState.Training or JobState.Saving && j.Pipeline is not null)
            .Select(j => (j.Stage, j.Attempt, j.Gang.Slots, j.World, j.Pipeline!));

    /// <summary>Agents that run, whatever the control plane knows.</summary>
    public IEnumerable<(GangId Gang, NodeId Node)> LiveAgents => cluster.LivePods.Select(p => (p.Gang, p.Node));

    /// <summary>Pods that were made and have not ended, whether their agent runs already or not.</summary>
    public IEnumerable<(GangId Gang, NodeId Node)> MadePods =>
        cluster.Pods.Where(p => p.Phase != PodPhase.Exited).Select(p => (p.Gang, p.Node));

    /// <summary>The newest checkpoint of each agent that it was told is known: if it is forgotten now, nobody tells it again.</summary>
    public IEnumerable<(StageId Stage, long Step)> Acknowledged =>
        cluster.Pods.Where(p => p is { Alive: true, Acknowledged: not null }).Select(p => (p.Stage, p.Acknowledged!.Step));

    /// <summary>When something last went wrong with a stage's gang.</summary>
    /// <summary>As its ranks have it; 0: none of that attempt is there.</summary>
    public long StepOf(StageId stage, int attempt) =>
        cluster.Jobs.FirstOrDefault(j => j.Stage == stage && j.Attempt == attempt)?.Step ?? 0;

    public DateTimeOffset? LastFaultOf(StageId stage) => cluster.LastFault.TryGetValue(stage, out var at) ? at : null;

    /// <summary>
    /// All of the gang's machines run, none has a bad GPU, none has booted under its pod, and no agent was killed, told of yet or not.
    /// </summary>
    public bool IsSound(GangGrant gang) => gang.Nodes.All(n => cluster.Nodes[n] is { Up: true, GpuBad: false })
        && cluster.PodsOf(gang).All(p => p is not { Phase: PodPhase.Exited, ExitCode: VirtualCluster.Booted }
            and not { Alive: false, ExitCode: VirtualCluster.Killed });

    public IReadOnlyList<RunEvent> Told => controlPlane.Told;

    /// <summary>Incidents that automation handed to a person.</summary>
    public int Handed => controlPlane.Handed.Count;

    internal VirtualCluster Cluster => cluster;

    /// <summary>Until all runs have ended, or the limit.</summary>
    public void Run()
    {
        var end = Start + scenario.Limit;
        while (agenda.Now < end && !(controlPlane.Runs.Count == scenario.Arrivals.Length && controlPlane.Ended))
        {
            if (agenda.Next == agenda.Now)
            {
                agenda.Step(Account);
                continue;
            }

            var tick = NextTick();
            if (tick is { } at && (agenda.Next is not { } next || at <= next))
            {
                agenda.MoveTo(at < end ? at : end, Account);
                Tick();
            }
            else if (agenda.Next is { } soon && soon < end)
            {
                agenda.Step(Account);
            }
            else
            {
                agenda.MoveTo(end, Account);
            }
        }
    }

    /// <summary>On the whole second. Null: nothing but an entry of the agenda can change a decision.</summary>
    private DateTimeOffset? NextTick()
    {
        if (!news && !cluster.NodesChanged && scenario.Chaos == Chaos.None && Calm.Is(cluster, controlPlane))
        {
            return null;
        }

        var passed = agenda.Now - Start;
        return Start + ((Math.Floor(passed / TickEvery) + 1) * TickEvery);
    }

    private void Tick()
    {
        ticks++;
        news = cluster.NodesChanged = false;
        foreach (var pod in cluster.Pods.Where(p => p.Alive).ToList())
        {
            Beat(pod);
        }

        if (agenda.Now >= backAt)
        {
            try
            {
                news = controlPlane.Tick();
            }
            catch (ControlPlaneEndedException)
            {
                controlPlane.Restart();
                backAt = agenda.Now + scenario.Chaos.CrashDown;
            }
        }

        inspect?.Invoke(this);
    }

    private void Beat(VirtualPod pod)
    {
        if (Drawn(scenario.Chaos.BeatLost))
        {
            return;
        }

        if (!pod.Registered)
        {
            var first = pod.Registration();
            Deliver(pod, () => controlPlane.Register(first));
            return;
        }

        var beat = cluster.BeatOf(pod);
        for (int copy = Drawn(scenario.Chaos.BeatTwice) ? 2 : 1; copy > 0; copy--)
        {
            Deliver(pod, () => controlPlane.Heartbeat(beat));
        }
    }

    private void Deliver(VirtualPod pod, Func<WorkerReply> send)
    {
        if (Drawn(scenario.Chaos.BeatLate))
        {
            agenda.After(Agenda.Round(chaosDraws.NextDouble() * scenario.Chaos.BeatLateSeconds), Arrive);
        }
        else
        {
            Arrive();
        }

        void Arrive()
        {
            // Nobody listens while the control plane is away; the agent says it again.
            if (agenda.Now >= backAt && send() is var reply && pod.Alive)
            {
                pod.Take(reply);
            }
        }
    }

    private void ScheduleFault()
    {
        double perDay = scenario.Faults.PerThousandNodeDays / 1000 * scenario.Machines.Length;
        if (perDay <= 0)
        {
            return;
        }

        agenda.After(Agenda.Round(-Math.Log(1 - faultDraws.NextDouble()) / perDay * 86_400), () =>
        {
            var node = scenario.Machines[faultDraws.Next(scenario.Machines.Length)].Id;
            cluster.Strike(cluster.Nodes[node], scenario.Faults.Draw(faultDraws));
            ScheduleFault();
        });
    }

    private void Account(TimeSpan span) => cluster.Account(span, controlPlane.Held, stage => controlPlane.Stages.GetValueOrDefault(stage),
        controlPlane.Waiting is [var first, ..] ? first.Stage : null);

    private bool Drawn(double chance) => chance > 0 && chaosDraws.NextDouble() < chance;
}
