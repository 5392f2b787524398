using System.Collections.Immutable;
using DeepSeekOps.Decisions.Checkpoints;
using DeepSeekOps.Decisions.Health;
using DeepSeekOps.Decisions.Recovery;
using DeepSeekOps.Decisions.Spikes;

namespace DeepSeekOps.Decisions.Stages;

/// <summary>What was found in a stage's losses, as its record and its timeline have it.</summary>
internal static class StageLosses
{
    /// <summary>Checkpoints whose memory is kept beside the pinned ones: a few kB each, with every write.</summary>
    private const int MemoriesKept = 4;

    public static Stage Take(Stage stage, LossFinding loss, DateTimeOffset now)
    {
        var next = stage;
        if (loss.Attempt == stage.Attempt && loss.Closes is { } outcome && stage.LossActs is [.., { Outcome: LossOutcome.Open } open])
        {
            next = next with { LossActs = stage.LossActs.SetItem(stage.LossActs.Length - 1, open with { Outcome = outcome }) };
        }

        if (loss.Attempt == stage.Attempt && loss.Begins is { } begins)
        {
            next = next with { Checkpoints = CheckpointChoice.Pin(next.Checkpoints, begins, $"the loss of step {loss.Step} was flagged") };
        }

        string then = "";
        if (loss.Attempt == stage.Attempt && loss.Verdict is { } verdict)
        {
            var answer = LossRise.Decide(next.Watched, verdict, now);
            next = next with { Rise = answer is LossAnswer.Tell ? next.Rise : verdict };
            // An act says itself what it does, with the launch that it makes.
            then = answer is LossAnswer.Act ? "" : $". {answer.Words}";
        }

        return next.Say(new RunEvent(loss.At, stage.Id.Run, stage.Id.Stage, loss.Attempt, loss.Kind, loss.Level, loss.Text + then)
        {
            Step = loss.Step,
        });
    }

    /// <summary>
    /// What was known at a checkpoint is put away with it. By the first one that lies a judgement beyond the newest flag, and with nothing
    /// open, no older one is needed any more.
    /// </summary>
    public static Stage Remember(Stage stage, CheckpointMade made, ImmutableArray<LossMemory> memories)
    {
        if (memories.LastOrDefault(m => m.Step == made.Step && m.Attempt == made.Attempt) is not { } memory
            || !stage.Checkpoints.Any(c => c.Usable && c.Made == made))
        {
            return stage;
        }

        bool open = stage.LossActs is [.., { Outcome: LossOutcome.Open }] || !memory.State.Open.IsEmpty;
        var checkpoints = open ? stage.Checkpoints : CheckpointChoice.Unpin(stage.Checkpoints);
        var known = stage.LossMemories.RemoveAll(m => m.Step >= made.Step).Add(memory);
        var usable = checkpoints.Where(c => c.Usable).Select(c => c.Made.Step).ToHashSet();
        var pinned = CheckpointChoice.Pinned(checkpoints);
        long oldest = known.Length > MemoriesKept ? known[^MemoriesKept].Step : 0;
        return stage with
        {
            Checkpoints = checkpoints,
            LossMemories = [.. known.Where(m => usable.Contains(m.Step) && (m.Step >= oldest || pinned.Contains(m.Step)))],
        };
    }
}
