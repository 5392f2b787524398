using System.Collections.Immutable;
using System.Diagnostics;
using DeepSeekOps.Decisions.Checkpoints;
using DeepSeekOps.Decisions.Stages;

namespace DeepSeekOps.Decisions.Runs;

/// <summary>
/// What <see cref="RunEngine"/> needs done in the world before it goes on. Whoever hosts it does it, in the order in which it is
/// asked, and answers on the effect itself. Idempotent: after a crash the next tick asks again.
/// </summary>
public abstract class RunEffect
{
    private RunEffect() { }

    /// <summary>The one that it is. Whoever hosts an engine has a place for each; a new effect has none here yet.</summary>
    public T Match<T>(
        Func<AskStages, T> askStages, Func<LookAtClock, T> lookAtClock, Func<LookAtFolders, T> lookAtFolders, Func<Write, T> write,
        Func<Want, T> want) => this switch
        {
            AskStages one => askStages(one),
            LookAtClock one => lookAtClock(one),
            LookAtFolders one => lookAtFolders(one),
            Write one => write(one),
            Want one => want(one),
            _ => throw new UnreachableException($"{GetType().Name} has no place in {nameof(RunEffect)}"),
        };

    /// <summary>To ask the stages how they are: this process has heard of none of them.</summary>
    public sealed class AskStages(ImmutableArray<StageId> stages) : RunEffect
    {
        public ImmutableArray<StageId> Stages { get; } = stages;

        /// <summary>The answer, by stage; null: nobody has asked for it yet.</summary>
        public ImmutableArray<StageReport?> Reports { get; set; }
    }

    /// <summary>To say what time it is. Stages tell of themselves.</summary>
    public sealed class LookAtClock : RunEffect
    {
        public DateTimeOffset? Now { get; set; }
    }

    /// <summary>To look at what lies in the checkpoint folders of a run that is to begin.</summary>
    public sealed class LookAtFolders(ImmutableArray<StageId> stages) : RunEffect
    {
        public ImmutableArray<StageId> Stages { get; } = stages;

        /// <summary>The answer, by stage; null: it cannot be seen from here. Unanswered: none can.</summary>
        public ImmutableArray<StageFolder?> Found { get; set; }
    }

    /// <summary>To write the run. No stage hears of what follows from it before it is written.</summary>
    public sealed class Write(Run next) : RunEffect
    {
        internal bool Answered { get; private set; }

        internal bool Lost { get; private set; }

        internal Run? OnDisk { get; private set; }

        public Run Next { get; } = next;

        /// <param name="written">As the disk has it now, without the events that were told already.</param>
        public void Written(Run written) => (Answered, OnDisk) = (true, written);

        /// <summary>Somebody wrote a newer record: this is it, and what was decided counts for nothing.</summary>
        public void Superseded(Run? onDisk) => (Answered, Lost, OnDisk) = (true, true, onDisk);
    }

    /// <summary>To tell a stage what is wanted of it.</summary>
    public sealed class Want(StageWish wish) : RunEffect
    {
        public StageWish Wish { get; } = wish;

        /// <summary>The answer: how the stage is, now that it knows.</summary>
        public StageReport? Report { get; set; }
    }
}
