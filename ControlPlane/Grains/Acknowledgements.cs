using System.Collections.Immutable;
using DeepSeekOps.Decisions.Health;
using DeepSeekOps.Decisions.Recipes;

namespace DeepSeekOps.ControlPlane.Grains;

/// <summary>
/// Up to which beat of an agent its samples and loads of experts are durable; that its news is written too is the engine's to know.
/// Each beat holds everything since the last acknowledged one, so a later beat makes up for an earlier one that had no room.
/// </summary>
internal sealed class Acknowledgements
{
    private readonly Queue<(long Sequence, Task Durable, StepSample? Newest)> pending = new();
    private string agentId = "";
    private long heard;
    private long durable;
    private StepSample? passed;

    /// <summary>The newest sample that is durable: the pace of the one after it is reckoned from it.</summary>
    private StepSample? kept;
    private ExpertLoad? passedLoad;

    /// <summary>What is on its way of beats that had room for one of the two only: the next beat counts when this does.</summary>
    private Task unqueued = Task.CompletedTask;

    /// <summary>Highest sequence of which all that goes to the ledger is durable.</summary>
    public long Durable
    {
        get
        {
            Settle();
            return durable;
        }
    }

    public void Take(AgentBeat beat, PipelineSpec pipeline, Ledger ledger)
    {
        if (beat.AgentId != agentId)
        {
            (agentId, heard, durable, passed, kept, passedLoad) = (beat.AgentId, 0, 0, null, null, null);
            pending.Clear();
            unqueued = Task.CompletedTask;
        }

        // Before the beat is looked at: what it holds of a write that failed has to be passed on once more.
        Settle();
        if (beat.Sequence <= heard)
        {
            return;
        }

        heard = beat.Sequence;
        var samples = Samples(beat, pipeline, ledger);
        var loads = Loads(beat, ledger);
        unqueued = Task.WhenAll(unqueued, samples ?? Task.CompletedTask, loads ?? Task.CompletedTask);
        if (samples is not null && loads is not null)
        {
            pending.Enqueue((beat.Sequence, unqueued, passed));
            unqueued = Task.CompletedTask;
        }
    }

    private void Settle()
    {
        while (pending.TryPeek(out var first) && first.Durable.IsCompletedSuccessfully)
        {
            (durable, kept) = (first.Sequence, first.Newest ?? kept);
            pending.Dequeue();
        }

        if (unqueued.IsFaulted || pending.Any(p => p.Durable.IsFaulted))
        {
            // Lost on the way to the disk. Later beats left out what this one held: none of them counts, whatever becomes of it, and
            // what the agent sends again is passed on again.
            (passed, passedLoad, unqueued) = (null, null, Task.CompletedTask);
            pending.Clear();
        }
    }

    /// <summary>Null: no room.</summary>
    private Task? Samples(AgentBeat beat, PipelineSpec pipeline, Ledger ledger)
    {
        var fresh = beat.Samples.Where(s => passed is null || (s.Attempt, s.Step).CompareTo((passed.Attempt, passed.Step)) > 0)
            .ToImmutableArray();
        if (fresh.IsEmpty)
        {
            return Task.CompletedTask;
        }

        var paced = Pace.AddTo(fresh, passed ?? kept, pipeline, beat.Stage.Stage);
        var written = ledger.TakeSamples(beat.Stage, paced);
        passed = written is null ? passed : paced[^1];
        return written;
    }

    private Task? Loads(AgentBeat beat, Ledger ledger)
    {
        var fresh = beat.ExpertLoads
            .Where(l => passedLoad is null || (l.Attempt, l.Step).CompareTo((passedLoad.Attempt, passedLoad.Step)) > 0).ToImmutableArray();
        if (fresh.IsEmpty)
        {
            return Task.CompletedTask;
        }

        var written = ledger.TakeExpertLoads(beat.Stage, fresh);
        passedLoad = written is null ? passedLoad : fresh[^1];
        return written;
    }
}
