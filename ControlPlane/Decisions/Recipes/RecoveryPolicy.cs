using System.Text.Json.Serialization;

namespace DeepSeekOps.Decisions.Recipes;

/// <summary>
/// When a stage is brought back, when it is given up, and how long silence is waited for. Each number says where it comes from; "ours" is
/// chosen, not measured, and then stands why it is safe: too soon costs a healthy gang, too late only idle GPUs.
/// </summary>
public sealed record RecoveryPolicy
{
    /// <summary>
    /// Restarts of one cause, within <see cref="Window"/> and without a new checkpoint, before the stage fails. Default: 20. Ours: torchrun
    /// takes 3 and Determined 5, over the whole run; counted here only where nothing was saved, a launch of a minute may fail for a
    /// third of an hour before somebody is needed, and a crash of the program is given up sooner (<see cref="MaxSameFault"/>).
    /// </summary>
    public int MaxRestarts { get; init; } = 20;

    /// <summary>How far back restarts count. Default: 1 hour. Ours: 20 launches of the 2 to 3 minutes that a large model needs.</summary>
    public TimeSpan Window { get; init; } = TimeSpan.FromHours(1);

    /// <summary>
    /// Launches that may end by the same fault of the program without a new checkpoint. Default: 3, as torchrun and DLRover give up a
    /// launch that fails whatever the reason.
    /// </summary>
    public int MaxSameFault { get; init; } = 3;

    /// <summary>
    /// Steps after which a break (a number that is not finite) is forgotten; a second one sooner fails the stage. Default: 500, the longest
    /// stretch of batches that PaLM passed over to get beyond one spike (arXiv 2204.02311 section 5.1).
    /// </summary>
    public int BreakForgottenAfter { get; init; } = 500;

    /// <summary>
    /// Wait before the launch after a launch that never made a step; doubles each time. Default: 1 second. Ours: one tick, so that the
    /// first relaunch loses nothing; a launch that made steps does not wait at all.
    /// </summary>
    public TimeSpan BackOffBase { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>The longest such wait. Default: 5 minutes, at which Kubernetes caps the back-off of a container that crashes.</summary>
    public TimeSpan BackOffMax { get; init; } = TimeSpan.FromMinutes(5);

    /// <summary>
    /// A rank hangs when it made no progress for this many times the longest step it needed. Default: 5, as NVIDIA's resiliency extension
    /// learns its time-outs (Unicron takes 3 times the mean, which a slow step passes).
    /// </summary>
    public double HangFactor { get; init; } = 5;

    /// <summary>
    /// …but never before this. Default: 60 seconds, the soft limit of that extension's in-process restart; an evaluation between two steps
    /// is shorter.
    /// </summary>
    public TimeSpan HangFloor { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>
    /// Limit for a rank whose steps have not been timed yet: it loads, compiles, or makes its first step. Default: 10 minutes, which is
    /// what NCCL's watchdog in PyTorch gives a collective call, so that nobody is worse off than without us.
    /// </summary>
    /// <remarks>Stored under the name that it had first.</remarks>
    [JsonPropertyName("hangUnlearnt")]
    public TimeSpan HangLimitBeforeFirstStep { get; init; } = TimeSpan.FromMinutes(10);

    /// <summary>
    /// From the pods' creation to the first step. Default: 20 minutes. Ours: twice <see cref="HangLimitBeforeFirstStep"/>, which also
    /// covers pulling an image; torchrun gives its rendezvous alone 15 minutes, Kueue a gang's pods 30.
    /// </summary>
    public TimeSpan StartWithin { get; init; } = TimeSpan.FromMinutes(20);

    /// <summary>
    /// A gang's pod that the cluster does not list, and whose agent is silent, counts as gone after this. Default: 10 seconds. Ours: ten
    /// beats and ten looks at the cluster; two witnesses have to agree, so that a late list alone ends nothing.
    /// </summary>
    public TimeSpan PodMissingFor { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>
    /// A node that the cluster calls not ready, and whose agent is silent, counts as lost after this. Default: 30 seconds. Ours: Kubernetes
    /// needs 40 to 50 s until it says so, after which the agent has been silent for longer already; a flap of the network passes.
    /// </summary>
    public TimeSpan NodeNotReadyFor { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>
    /// An agent that says nothing although the cluster sees its pod run, and although we listened all the time, counts as lost
    /// after this. Default: 10 minutes. Ours: one witness against another, and the ranks may train on; what they do meanwhile is kept.
    /// </summary>
    public TimeSpan SilentFor { get; init; } = TimeSpan.FromMinutes(10);

    /// <summary>
    /// After this without a beat, views show a rank as unknown. Changes nothing else. Default: 5 seconds, torchft's heartbeat limit and
    /// five beats of ours.
    /// </summary>
    public TimeSpan UnknownAfter { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>
    /// How long a gang may take to save when it is paused. Default: 1 minute: BLOOM's 2.3 TB were written in 40 s. What is not saved by
    /// then is trained again from the newest checkpoint.
    /// </summary>
    public TimeSpan SaveWithin { get; init; } = TimeSpan.FromMinutes(1);

    /// <summary>
    /// A gang that lost a node, where no other is free, goes on with fewer as its layout allows. Default: true. Without it the gang waits
    /// for the node, as it does where each step must be the same to the last bit: another layout adds in another order.
    /// </summary>
    public bool Shrink { get; init; } = true;

    /// <summary>
    /// How long there has to be room for all of a gang before one with fewer nodes grows back; twice as long after each further loss within
    /// an hour. Default: 30 seconds. Ours: as long as a node that is not ready is waited for, so that one which flaps is not taken.
    /// </summary>
    public TimeSpan GrowAfter { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>
    /// Steps that all ranks of a gang with new nodes make before it counts as training; a failure until then is laid to a new node first.
    /// 0: new nodes are not checked so. Default: 2: the first step has the work that comes once (kernels, connections, buffers), the
    /// second is one like those to come.
    /// </summary>
    public int CheckSteps { get; init; } = 2;

    /// <summary>
    /// Only where the plan gives the stage so much time still. Default: 1 hour. Ours: a swap costs a launch, which is minutes; a shorter
    /// stage loses less by the ordinary recovery than by waiting for all ranks.
    /// </summary>
    public TimeSpan CheckFrom { get; init; } = TimeSpan.FromHours(1);
}
