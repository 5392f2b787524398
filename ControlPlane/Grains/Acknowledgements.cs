using System.Collections.Immutable;
using DeepSeekOps.Decisions.Health;
using DeepSeekOps.Decisions.Runs;

namespace DeepSeekOps.ControlPlane.Grains;

/// <summary>
/// Which beats of an agent need not be sent again: those whose news is written in the stage, and whose samples are durable. Each beat
/// holds everything since the last acknowledged one, so a later beat makes up for an earlier one that had no room.
/// </summary>
internal sealed class Acknowledgements
{
    private readonly Queue<(long Sequence, Task Durable)> pending = new();
    private string agentId = "";
    private long heard;
    private long decided;
    private long durable;
    private StepSample? passed;

    /// <summary>Highest sequence that is taken for good.</summary>
    public long Acknowledged
    {
        get
        {
            while (pending.TryPeek(out var first) && first.Durable.IsCompleted)
            {
                if (!first.Durable.IsCompletedSuccessfully)
                {
                    // Lost on the way to the disk. Later beats left out what this one held: none of them counts, and what the
                    // agent sends again is passed on again.
                    passed = null;
                    pending.Clear();
                    break;
                }

                durable = first.Sequence;
                pending.Dequeue();
            }

            return Math.Min(decided, durable);
        }
    }

    public long Heard => heard;

    public void Take(AgentBeat beat, PipelineSpec pipeline, Func<ImmutableArray<StepSample>, Task?> write)
    {
        if (beat.AgentId != agentId)
        {
            (agentId, heard, decided, durable, passed) = (beat.AgentId, 0, 0, 0, null);
            pending.Clear();
        }

        if (beat.Sequence <= heard)
        {
            return;
        }

        heard = beat.Sequence;
        var fresh = beat.Samples.Where(s => passed is null || (s.Attempt, s.Step).CompareTo((passed.Attempt, passed.Step)) > 0).ToImmutableArray();
        if (fresh.IsEmpty)
        {
            pending.Enqueue((beat.Sequence, Task.CompletedTask));
            return;
        }

        var paced = Pace.AddTo(fresh, passed, pipeline, beat.Stage.Stage);
        if (write(paced) is { } written)
        {
            passed = paced[^1];
            pending.Enqueue((beat.Sequence, written));
        }
    }

    /// <summary>News up to here is written in the stage.</summary>
    public void Decided(string agent, long sequence)
    {
        if (agent == agentId && sequence > decided)
        {
            decided = sequence;
        }
    }

    public string AgentId => agentId;
}
