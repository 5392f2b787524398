using System.Collections.Immutable;
using System.Globalization;
using System.Text.Json;
using DeepSeekOps.Contracts.Worker.V1;
using DeepSeekOps.ControlPlane.Api;
using DeepSeekOps.ControlPlane.Clusters;
using DeepSeekOps.ControlPlane.Pipelines;
using DeepSeekOps.Decisions;
using DeepSeekOps.Decisions.Gangs;
using DeepSeekOps.Decisions.Health;
using DeepSeekOps.Decisions.Placement;
using DeepSeekOps.Decisions.Recipes;
using DeepSeekOps.Decisions.Runs;
using DeepSeekOps.Decisions.Stages;
using DeepSeekOps.Worker.Tests.Agent;
using DeepSeekOps.Worker.Training.Loop;
using Proto = DeepSeekOps.Contracts.Worker.V1;
using RankState = DeepSeekOps.Contracts.Worker.V1.RankState;
using RankStatus = DeepSeekOps.Contracts.Worker.V1.RankStatus;
using StepSample = DeepSeekOps.Contracts.Worker.V1.StepSample;

namespace DeepSeekOps.Worker.Tests.Training.Loop;

/// <summary>What a drill does to a run.</summary>
internal enum SpikeFault
{
    None = 0,
    /// <summary>The learning rate is multiplied by 30 for 20 steps, once: no launch to come repeats it.</summary>
    Rate = 1,
    /// <summary>Noise in the place of a window's tokens, whoever trains on it.</summary>
    Data = 2,
}

/// <summary>What came of it.</summary>
/// <param name="Losses">Of the steps that count, the last one trained of each.</param>
internal sealed record SpikeDrillResult(
    Stage Stage, ImmutableSortedDictionary<long, double> Losses, double HeldOut, ImmutableArray<RunEvent> Events)
{
    public IEnumerable<string> Kinds => Events.Select(e => e.Kind);
}

/// <summary>
/// A pretraining of a minute model, trained by the rank's own loop and watched, step by step, by the engine that a stage's grain hosts:
/// all that lies between is the wire's messages. One thread and no clock, so that each drill is the same each time.
/// </summary>
internal sealed class SpikeDrill(string root, long seed, SpikeFault fault, string lossSpikes = "{mode: act}")
{
    public const int Steps = 280;
    public const int FaultAt = 160;
    private const int FaultSteps = 20;
    private const int SpoiltBatches = 40;
    private const double RateFactor = 30;

    private static readonly NodeId Node = new("node-0");

    private readonly Lock telling = new();
    private readonly List<RunEvent> events = [];
    private readonly SortedDictionary<long, double> losses = [];
    private DateTimeOffset now = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);
    private StageEngine engine = null!;
    private Stage? disk;
    private GangGrant? held;
    private long sequence;
    private double heldOut = double.NaN;
    private bool injected;

    /// <summary>The rank is killed at this step, once. 0: never.</summary>
    public long KillAt { get; init; }

    /// <summary>The control plane forgets all but what is written, at this step, once. 0: never.</summary>
    public long ForgetAt { get; init; }

    private bool killed;
    private bool forgot;

    public SpikeDrillResult Run()
    {
        var spec = PipelineText.Parse(Pipeline(seed, lossSpikes)).Spec
            ?? throw new InvalidOperationException("The drill's pipeline is refused.");
        engine = new StageEngine(null, Seen);
        var run = RunCommands.Begin(new RunSubmission("drill", spec, ""), now);
        Do(engine.Want(new StageWish(new StageId("drill", "pretrain"), 1, Intent.Train, "a drill", run.Stages[0].Work with
        {
            Registrations = [""],
        }, spec, null, null, null)));
        while (!disk!.Phase.Terminal && disk.Phase is not Phase.Paused && disk.Hold.Length == 0)
        {
            now += TimeSpan.FromSeconds(1);
            Tick();
            // Where no rank runs, the agent asks for work.
            if (OrderOf(Beat(0, RankState.Starting, 0, [], [])) is { } assignment)
            {
                Train(assignment);
            }
        }

        return new SpikeDrillResult(disk, losses.ToImmutableSortedDictionary(), heldOut, [.. events]);
    }

    private Instant Seen => Instant.OfOneClock(now);

    /// <summary>A launch of the rank, until it is done or told otherwise.</summary>
    private void Train(Proto.Assignment assignment)
    {
        int attempt = assignment.Attempt.Attempt;
        assignment.AllowsFaults = fault != SpikeFault.None;
        if (fault == SpikeFault.Data)
        {
            assignment.DataFaults.Add(new DataFault { FirstBatch = FaultAt, LastBatch = FaultAt + SpoiltBatches - 1 });
        }

        var link = new RecordingRankLink();
        long at = 0;
        link.OnReport = report =>
        {
            switch (report.KindCase)
            {
                case RankReport.KindOneofCase.Sample:
                    at = report.Sample.Step;
                    losses[at] = report.Sample.Loss;
                    report.Sample.Attempt = attempt;
                    Told(link, attempt, at, [report.Sample], []);
                    break;
                case RankReport.KindOneofCase.Checkpoint:
                    report.Checkpoint.Attempt = attempt;
                    Told(link, attempt, at, [], [report.Checkpoint]);
                    break;
                case RankReport.KindOneofCase.Evaluation when report.Evaluation.Name == "heldout_loss_after":
                    heldOut = report.Evaluation.Value;
                    break;
            }
        };
        new RankProgram().Run(new RankLaunch { Assignment = assignment }, link, CancellationToken.None);
        if (link.Reports.Any(r => r.Done is not null))
        {
            Hear(Beat(attempt, RankState.Done, Steps, [], []));
            Tick();
        }
        else if (killed && at == KillAt)
        {
            Hear(Beat(attempt, RankState.Exited, at, [], []));
            Tick();
        }

        link.Dispose();
    }

    private void Told(RecordingRankLink link, int attempt, long step, StepSample[] samples, CheckpointReport[] checkpoints)
    {
        // A save is told by its own thread.
        using var alone = telling.EnterScope();
        now += TimeSpan.FromSeconds(samples.Length);
        if (step == FaultAt - 1 && fault == SpikeFault.Rate && !injected)
        {
            injected = true;
            link.OrderFault(new Proto.RankFault { Rate = new RateFault { Factor = RateFactor, Steps = FaultSteps } });
        }

        if (step == ForgetAt && !forgot)
        {
            forgot = true;
            engine = new StageEngine(disk, Seen);
        }

        if (step == KillAt && !killed)
        {
            killed = true;
            link.OrderStop("killed", save: false);
        }

        var reply = Hear(Beat(attempt, RankState.Training, step, samples, checkpoints));
        Tick();
        reply = Hear(Beat(attempt, RankState.Training, step, [], []));
        link.Pinned = [.. reply.PinnedSteps];
        if (reply.Order.KindCase is not (Order.KindOneofCase.Continue or Order.KindOneofCase.SaveCheckpoint))
        {
            link.OrderStop(reply.Order.KindCase.ToString(), save: false);
        }
    }

    private HeartbeatRequest Beat(int attempt, RankState state, long step, StepSample[] samples, CheckpointReport[] checkpoints)
    {
        var beat = new HeartbeatRequest
        {
            Node = Node.Name, AgentId = "agent", Sequence = ++sequence,
            Attempt = new AttemptRef { Run = "drill", Stage = "pretrain", Attempt = Math.Max(attempt, held?.Gang ?? 0) },
            Samples = { samples }, Checkpoints = { checkpoints },
        };
        if (attempt > 0)
        {
            var rank = new RankStatus
            {
                Pid = 1, State = state, Attempt = attempt, Step = step,
                SinceProgress = Google.Protobuf.WellKnownTypes.Duration.FromTimeSpan(TimeSpan.Zero),
            };
            if (state == RankState.Exited)
            {
                rank.ExitCode = 137;
            }

            beat.Ranks.Add(rank);
        }

        return beat;
    }

    private Proto.WorkerReply Hear(HeartbeatRequest beat) =>
        engine.Heartbeat(beat.ToRecord(), Seen, b => b.Sequence).Reply.ToProto(new CheckpointRoot(root), (_, _) => "");

    private Proto.Assignment? OrderOf(HeartbeatRequest beat) => Hear(beat).Order switch
    {
        { Start: { } start } => start.Assignment,
        { RestartRanks: { } restart } => restart.Assignment,
        { RollBack: { } back } => back.Assignment,
        _ => null,
    };

    private void Tick() => Do(engine.Tick());

    private void Do(IEnumerable<StageEffect> effects)
    {
        foreach (var effect in effects)
        {
            switch (effect)
            {
                case StageEffect.Look look:
                    var pods = held is null ? ImmutableArray<PodSeen>.Empty : [new PodSeen(held.Id, Node, PodPhase.Running, 1, null, "")];
                    var node = new NodeSeen(Node, NodeHealth.Ready, "", 1, ImmutableDictionary<string, string>.Empty);
                    held = look.Request is { } asked ? new GangGrant(asked.Stage, asked.Id.Number, [Node], 1, now) : held;
                    look.Seen(new ClusterSnapshot([node], pods, now),
                        look.Request is null ? null : new PlacementDecision.Placed(held!, "there is one node"), Seen, default);
                    break;
                case StageEffect.Write write:
                    events.AddRange(write.Next.Outbox);
                    // What the disk has is what JSON gives back.
                    disk = JsonSerializer.Deserialize<Stage>(JsonSerializer.Serialize(write.Next with { Outbox = [] }))!;
                    write.Written(disk);
                    break;
                case StageEffect.EndPods end:
                    end.Certain = true;
                    break;
                case StageEffect.Release:
                    held = null;
                    break;
            }
        }
    }

    private static string Pipeline(long seed, string lossSpikes) => string.Create(CultureInfo.InvariantCulture, $$"""
        apiVersion: deepseekops/v1
        name: drill
        seed: {{seed}}
        model: {preset: mini, layers: 2, denseLayers: 1, hiddenSize: 16, intermediateSize: 32, moeIntermediateSize: 16, heads: 2,
          qLoraRank: 8, kvLoraRank: 8, qkNopeHeadDim: 8, qkRopeHeadDim: 8, vHeadDim: 8, routedExperts: 4, activeExperts: 2, groups: 2,
          limitedGroups: 1, mtpDepth: 0}
        data: {source: "builtin:arithmetic", tokenizer: byte, heldout: 4}
        resources: {nodes: 1, ranksPerNode: 1, device: cpu, threads: 1}
        checkpoints: {everySteps: 20, keep: 3}
        lossSpikes: {{lossSpikes}}
        stages:
          - name: pretrain
            kind: pretraining
            tokens: {{Steps * 64 * 16}}
            sequenceLength: 16
            batchSize: 64
            learningRate:
              - {shape: linear, to: 1e-2, untilStep: 20}
              - {shape: constant, to: 1e-2, untilStep: {{FaultAt + FaultSteps}}}
              - {shape: cosine, to: 3e-4, untilStep: {{Steps}}}
        """);
}
