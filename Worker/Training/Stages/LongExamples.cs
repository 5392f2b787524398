using DeepSeekOps.Worker.Agent;
using DeepSeekOps.Worker.Data;

namespace DeepSeekOps.Worker.Training.Stages;

/// <summary>
/// Examples that do not fit into a row of a stage: told when the first is met, and once more, counted, at the stage's end.
/// </summary>
internal sealed class LongExamples(IRankLink link, int sequenceLength)
{
    private long _examples;
    private long _cut;
    private long _unlearned;
    private int _longest;

    public void Take(InstanceBatch batch)
    {
        var first = _cut + _unlearned == 0 && batch.Cut.Count + batch.Unlearned > 0;
        _examples += batch.Instances;
        _cut += batch.Cut.Count;
        _unlearned += batch.Unlearned;
        _longest = Math.Max(_longest, batch.Cut.DefaultIfEmpty().Max());
        if (first)
        {
            var answer = batch.Unlearned > 0 ? ", and no answer of it is left to learn" : "";
            link.Note(batch.Cut.Count > 0
                ? $"An example of {batch.Cut[0]} tokens is longer than its row of {sequenceLength}: it is cut there{answer}. "
                    + "Further ones are counted at the stage's end. Set sequenceLength higher, or shorten them."
                : "An example has no answer to learn: it adds nothing. Further ones are counted at the stage's end.");
        }
    }

    /// <summary>Of this launch: what an earlier one counted ended with it.</summary>
    public void Sum()
    {
        if (_cut + _unlearned > 0)
        {
            link.Note($"{_cut} of {_examples} examples of this launch were longer than their row of {sequenceLength} tokens (the longest "
                + $"has {_longest}) and were cut; "
                + $"{_unlearned} had no answer left to learn, and added nothing.");
        }
    }
}
