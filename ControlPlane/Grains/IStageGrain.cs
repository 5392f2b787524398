using System.Collections.Immutable;
using DeepSeekOps.Decisions.Health;
using DeepSeekOps.Decisions.Placement;
using DeepSeekOps.Decisions.Stages;
using Orleans.Concurrency;

namespace DeepSeekOps.ControlPlane.Grains;

/// <summary>A stage of a run. The key is "run/stage".</summary>
public interface IStageGrain : IGrainWithStringKey
{
    /// <summary>What the run wants. Idempotent: said on each of the run's ticks.</summary>
    Task<StageReport> Want(StageWish wish, CancellationToken cancellation = default);

    /// <summary>Takes over a stage that has ended elsewhere, of a run that was. The same again is done already.</summary>
    /// <returns>Whether it is this stage; false: another one has been here.</returns>
    Task<bool> Import(Stage ended, CancellationToken cancellation = default);

    /// <summary>An agent's first word after its start, and after each lost connection.</summary>
    [AlwaysInterleave]
    Task<WorkerReply> Register(AgentRegistration registration);

    /// <summary>Memory only, no await: news is decided on in the tick that it asks for.</summary>
    [AlwaysInterleave]
    Task<WorkerReply> Heartbeat(AgentBeat beat);

    /// <summary>
    /// Another gang needs the nodes: the stage saves, stops, and asks for nodes again. Of an older gang: nothing happens. One way and
    /// memory only, so that the cluster never waits for a stage that waits for the cluster; said again until it is done.
    /// </summary>
    [OneWay, AlwaysInterleave]
    Task Preempt(Preemption preemption);

    /// <summary>A drill's fault, handed on to the rank that it is for. Memory only.</summary>
    [AlwaysInterleave]
    Task Inject(RankFault fault);

    /// <summary>Asks the ranks to record their next steps. Memory only. Null: nobody has asked for the stage yet.</summary>
    [AlwaysInterleave]
    Task<TraceView?> Record(int steps, TimeSpan within);

    /// <summary>How far the newest recording is, from memory. Null: none since the control plane began.</summary>
    [AlwaysInterleave]
    Task<TraceView?> Recording();

    /// <summary>News cannot wait for the timer: decide now.</summary>
    [OneWay]
    Task Tick();

    /// <summary>The stage now, from memory. Null: nobody has asked for it yet.</summary>
    [AlwaysInterleave]
    Task<StageReport?> Describe();

    /// <summary>Of its newest launch; 0: it had none. From memory, and cheap: asked with each batch of lines of each rank.</summary>
    [AlwaysInterleave]
    Task<int> NewestAttempt();

    /// <summary>Every rank of its gang now, from memory; none: it has no gang.</summary>
    [AlwaysInterleave]
    Task<ImmutableArray<RankView>> Ranks();
}
