using System.Collections.Immutable;
using DeepSeekOps.Decisions.Checkpoints;
using DeepSeekOps.Decisions.Health;

namespace DeepSeekOps.Decisions.Stages;

/// <summary>What agents say and are told. Memory only: what they bring is decided on by the next tick.</summary>
public sealed partial class StageEngine
{
    /// <summary>Nothing to decide on yet: the first beat brings what the agent could not say before.</summary>
    public WorkerReply Register(AgentRegistration registration, Instant now)
    {
        if (Stage is { } known && AgentFence.Refusal(
            Vitals, Of(known).Watched, registration.Node, registration.AgentId, registration.Attempt, registration.Gang, now)
            is { } refusal)
        {
            return Refused(refusal);
        }

        Vitals = Vitals.Take(registration, now);
        var order = Stage is { } stage ? WorkerOrders.For(stage, registration.Node, registration.Attempt, registration.Ranks) : Unknown;
        return new WorkerReply(order, WorkerOrders.BeatSoon, 0) { Undecided = Undecided(now) };
    }

    /// <param name="keep">
    /// Hands what goes to the ledger on, samples and loads of experts, and says up to which beat of this agent it is durable.
    /// </param>
    public HeardBeat Heartbeat(AgentBeat beat, Instant now, Func<AgentBeat, long> keep)
    {
        if (Stage is not { } stage)
        {
            return new HeardBeat(new WorkerReply(Unknown, WorkerOrders.BeatEvery, 0), News: false);
        }

        var (_, watched, pinned) = Of(stage);
        if (AgentFence.Refusal(Vitals, watched, beat.Node, beat.AgentId, beat.Attempt, beat.Gang, now) is { } refusal)
        {
            return new HeardBeat(Refused(refusal), News: false) { Refused = true };
        }

        beat = AgentFence.Within(beat, watched);
        bool news = Beats.HasNews(beat, watched, Vitals);
        Vitals = Vitals.Take(beat, watched, rejoining && !beat.Ranks.IsEmpty, now);
        paces.Take(beat, watched, now);
        var found = losses.Take(beat.Samples, watched);
        Vitals = Vitals.Found(found);
        // A run that is lost is not left to train until the next tick, and a checkpoint that may be needed not to be deleted.
        news |= found.Any(f => f.Verdict is not null || f.Begins is not null);
        rejoining &= beat.Ranks.IsEmpty;
        // Without news nothing in it has to be written into the stage.
        var of = heard[beat.Node] = Hear(beat, decided: !news && Vitals.News.IsEmpty);
        tracing.Take(stage, beat, now);
        long durable = keep(beat);
        var order = WorkerOrders.For(stage, beat.Node, beat.Attempt, beat.Ranks);
        order = order is WorkerOrder.Continue && Rendezvous.For(stage, beat, Vitals) is { } form ? form : order;
        bool soon = news || order is not WorkerOrder.Continue || stage.Phase is Phase.Starting or Phase.Checking or Phase.Restarting;
        var reply = new WorkerReply(order, soon ? WorkerOrders.BeatSoon : WorkerOrders.BeatEvery, Math.Min(of.Decided, durable))
        {
            Undecided = Undecided(now),
            Pinned = pinned,
            Faults = [.. faults.For(beat, now)],
            Trace = tracing.For(beat),
            Read = StageReading.For(stage, beat.Node),
        };
        return new HeardBeat(reply, news || TraceToKeep is not null);
    }

    /// <summary>
    /// Before an agent is started its stage is written, so that this database is not the one that the agent was started from. It trains on
    /// and keeps its reports until a person knows better.
    /// </summary>
    private static WorkerOrder Unknown => new WorkerOrder.Continue();

    private static WorkerReply Refused(string why) => new(new WorkerOrder.Stop(why, null), WorkerOrders.BeatEvery, 0);

    /// <summary>
    /// A decision that is not made or cannot be written is none: its agents are told so, and act by themselves where they must. A turn that
    /// its host never ends, whatever it failed at, stays open.
    /// </summary>
    private string Undecided(Instant now)
    {
        if (!deciding)
        {
            return "";
        }

        undecided ??= now;
        var waited = now.Since(undecided.Value);
        return waited > WorkerOrders.UndecidedAfter
            ? $"the control plane has not been able to decide anything for {Words.Duration(waited)}" : "";
    }

    /// <summary>What every beat asks of the stage is worked out once for a record: hundreds of agents beat between two writes.</summary>
    private Known Of(Stage stage) => known is { } one && ReferenceEquals(one.Stage, stage) ? one
        : known = new Known(stage, stage.Watched,
            CheckpointChoice.LeftAlone(stage.Checkpoints, stage.Wish.Work.KeepCheckpoints));

    private Heard Hear(AgentBeat beat, bool decided)
    {
        var known = heard.GetValueOrDefault(beat.Node);
        var next = known.Agent != beat.AgentId ? new Heard(beat.AgentId, beat.Sequence, 0)
            : known with { Sequence = Math.Max(known.Sequence, beat.Sequence) };
        return decided ? next with { Decided = Math.Max(next.Decided, beat.Sequence) } : next;
    }

    private sealed record Known(Stage Stage, WatchedStage Watched, ImmutableArray<long> Pinned);

    /// <summary>Of one node's agent: its newest beat, and the newest whose news is written in the stage.</summary>
    private readonly record struct Heard(string? Agent, long Sequence, long Decided);
}

/// <summary>What a beat is answered.</summary>
/// <param name="News">It changes what is decided: a tick that is not waited for is due.</param>
public sealed record HeardBeat(WorkerReply Reply, bool News)
{
    /// <summary>It is of an attempt, gang or agent that is over: nothing of it was taken.</summary>
    public bool Refused { get; init; }
}
