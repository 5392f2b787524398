using System.Collections.Immutable;
using System.Text.Json.Serialization;
using DeepSeekOps.Decisions.Checkpoints;
using DeepSeekOps.Decisions.Tracing;

namespace DeepSeekOps.Decisions.Stages;

/// <summary>What an agent is told to do. Every reply carries one.</summary>
[JsonDerivedType(typeof(Continue), "continue")]
[JsonDerivedType(typeof(Start), "start")]
[JsonDerivedType(typeof(SaveCheckpoint), "save-checkpoint")]
[JsonDerivedType(typeof(RollBack), "roll-back")]
[JsonDerivedType(typeof(RestartRanks), "restart-ranks")]
[JsonDerivedType(typeof(Stop), "stop")]
[JsonDerivedType(typeof(Form), "form")]
public abstract record WorkerOrder
{
    private WorkerOrder() { }

    /// <summary>The one that it is. A new order has no place here: whoever obeys or sends orders does not compile until it has.</summary>
    public abstract T Match<T>(
        Func<Continue, T> goOn, Func<Start, T> start, Func<SaveCheckpoint, T> save, Func<RollBack, T> rollBack,
        Func<RestartRanks, T> restart, Func<Form, T> form, Func<Stop, T> stop);

    /// <summary>Nothing changes. With no rank running: wait.</summary>
    public sealed record Continue : WorkerOrder
    {
        public override T Match<T>(
            Func<Continue, T> goOn, Func<Start, T> start, Func<SaveCheckpoint, T> save, Func<RollBack, T> rollBack,
            Func<RestartRanks, T> restart, Func<Form, T> form, Func<Stop, T> stop) => goOn(this);
    }

    /// <summary>Launch the ranks of this assignment; none is running.</summary>
    public sealed record Start(Assignment Assignment) : WorkerOrder
    {
        public override T Match<T>(
            Func<Continue, T> goOn, Func<Start, T> start, Func<SaveCheckpoint, T> save, Func<RollBack, T> rollBack,
            Func<RestartRanks, T> restart, Func<Form, T> form, Func<Stop, T> stop) => start(this);
    }

    /// <summary>Save at the next step boundary.</summary>
    public sealed record SaveCheckpoint(string Reason) : WorkerOrder
    {
        public override T Match<T>(
            Func<Continue, T> goOn, Func<Start, T> start, Func<SaveCheckpoint, T> save, Func<RollBack, T> rollBack,
            Func<RestartRanks, T> restart, Func<Form, T> form, Func<Stop, T> stop) => save(this);
    }

    /// <summary>Go back to a step. Which batches are left out from there on stands in the assignment.</summary>
    /// <param name="SkipSteps">So many of them are left out for the first time.</param>
    public sealed record RollBack(Assignment Assignment, long ToStep, long SkipSteps, string Reason) : WorkerOrder
    {
        public override T Match<T>(
            Func<Continue, T> goOn, Func<Start, T> start, Func<SaveCheckpoint, T> save, Func<RollBack, T> rollBack,
            Func<RestartRanks, T> restart, Func<Form, T> form, Func<Stop, T> stop) => rollBack(this);
    }

    /// <summary>End all ranks of older attempts and launch those of this one, in place.</summary>
    public sealed record RestartRanks(Assignment Assignment, string Reason) : WorkerOrder
    {
        public override T Match<T>(
            Func<Continue, T> goOn, Func<Start, T> start, Func<SaveCheckpoint, T> save, Func<RollBack, T> rollBack,
            Func<RestartRanks, T> restart, Func<Form, T> form, Func<Stop, T> stop) => restart(this);
    }

    /// <summary>The gang's ranks are all there: tell those of the node who is in it.</summary>
    public sealed record Form(Roster Roster) : WorkerOrder
    {
        public override T Match<T>(
            Func<Continue, T> goOn, Func<Start, T> start, Func<SaveCheckpoint, T> save, Func<RollBack, T> rollBack,
            Func<RestartRanks, T> restart, Func<Form, T> form, Func<Stop, T> stop) => form(this);
    }

    /// <summary>End all ranks, then the agent.</summary>
    /// <param name="SaveWithin">Save first, waiting this long at most. Null: end at once.</param>
    public sealed record Stop(string Reason, TimeSpan? SaveWithin) : WorkerOrder
    {
        public override T Match<T>(
            Func<Continue, T> goOn, Func<Start, T> start, Func<SaveCheckpoint, T> save, Func<RollBack, T> rollBack,
            Func<RestartRanks, T> restart, Func<Form, T> form, Func<Stop, T> stop) => stop(this);
    }
}

/// <summary>The answer to an agent.</summary>
/// <param name="BeatEvery">When to send the next beat at the latest; short while a decision is under way.</param>
/// <param name="Acknowledged">What beats up to this sequence carried is written down and need not be sent again.</param>
public sealed record WorkerReply(WorkerOrder Order, TimeSpan BeatEvery, long Acknowledged)
{
    /// <summary>Why the order is no decision; empty: it is one.</summary>
    public string Undecided { get; init; } = "";

    /// <summary>Steps of checkpoints that retention leaves alone, as <see cref="Assignment.Pinned"/>; what is said last counts.</summary>
    public ImmutableArray<long> Pinned { get; init; } = [];

    /// <summary>What a drill asks ranks of the node to do wrong; each is said several times.</summary>
    public ImmutableArray<RankFault> Faults { get; init; } = [];

    /// <summary>Steps to record; said until it is over. Null: none.</summary>
    public TraceOrder? Trace { get; init; }

    /// <summary>Files of a checkpoint to read again; said until it is told. Null: none.</summary>
    public ReadOrder? Read { get; init; }
}
