using DeepSeekOps.Worker.Data;
using DeepSeekOps.Worker.Parallel;

namespace DeepSeekOps.Worker.Training.Stages;

/// <summary>
/// Examples that do not fit into a row of a stage: told when the first is met, and once more, counted, at the stage's end. In a gang its
/// first rank tells: the first that it meets itself, and at the end those of all.
/// </summary>
internal sealed class LongExamples(StageContext context, int sequenceLength)
{
    private int _examples;
    private int _cut;
    private int _unlearned;
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
            context.Tell(batch.Cut.Count > 0
                ? $"An example of {batch.Cut[0]} tokens is longer than its row of {sequenceLength}: it is cut there{answer}. "
                    + "Further ones are counted at the stage's end. Set sequenceLength higher, or shorten them."
                : "An example has no answer to learn: it adds nothing. Further ones are counted at the stage's end.");
        }
    }

    /// <summary>Of this launch: what an earlier one counted ended with it. A call of all ranks.</summary>
    public void Sum()
    {
        // Each rank counted those of its own rows; ranks that hold other parts of the same model would count the same rows twice.
        var all = context.Mesh.Data.Gather([[_examples, _cut, _unlearned, _longest]]);
        int Of(int count) => all.Sum(rank => rank[count]);
        if (Of(1) + Of(2) > 0)
        {
            context.Tell($"{Of(1)} of {Of(0)} examples of this launch were longer than their row of {sequenceLength} tokens (the longest "
                + $"has {all.Max(rank => rank[3])}) and were cut; "
                + $"{Of(2)} had no answer left to learn, and added nothing.");
        }
    }
}
