namespace DeepSeekOps.Worker.Data;

/// <summary>A batch for fine-tuning: [rows, length] each. Segment 0 is padding; a place attends only to its own segment.</summary>
public sealed record InstanceBatch(int Rows, int Length, long[] Tokens, long[] Labels, long[] Segments, int LearnedTokens)
{
    public int Instances { get; init; }

    /// <summary>Lengths of those that were longer than a row and so were cut at its end.</summary>
    public IReadOnlyList<int> Cut { get; init; } = [];

    /// <summary>So many instances had nothing to learn in their row.</summary>
    public int Unlearned { get; init; }
}

/// <summary>
/// Whole instances packed side by side into rows with sample masking (report section 5.1: samples "isolated and mutually
/// invisible"). A step takes a fixed number of instances and as few rows as hold them, so the number of steps is known ahead.
/// </summary>
public static class PackedInstances
{
    public static InstanceBatch Pack(IReadOnlyList<Instance> instances, int length, int pad)
    {
        // A rank that got no instance computes a row of padding: those that it shares experts with wait for it in each layer.
        var rows = new List<List<Instance>>();
        var rowOf = new List<int>();
        // First fit, longest first: near the best packing, and independent of the order within the step.
        foreach (var instance in instances.OrderByDescending(i => i.Ids.Length))
        {
            var needed = Math.Min(instance.Ids.Length, length + 1) - 1;
            var row = rowOf.FindIndex(used => used + needed <= length);
            if (row < 0)
            {
                row = rows.Count;
                rows.Add([]);
                rowOf.Add(0);
            }
            rows[row].Add(instance);
            rowOf[row] += needed;
        }
        return Lay(rows.Count > 0 ? rows : [[]], length, pad) with
        {
            Instances = instances.Count,
            Cut = [.. instances.Select(i => i.Ids.Length).Where(l => l > length + 1)],
            Unlearned = instances.Count(i => !i.Learned.Take(length + 1).Skip(1).Any(l => l)),
        };
    }

    private static InstanceBatch Lay(List<List<Instance>> rows, int length, int pad)
    {
        var cells = rows.Count * length;
        var (tokens, labels, segments) = (new long[cells], new long[cells], new long[cells]);
        Array.Fill(tokens, pad);
        Array.Fill(labels, ChatTemplate.Ignored);
        var learned = 0;
        for (var row = 0; row < rows.Count; row++)
        {
            var at = row * length;
            var segment = 0;
            foreach (var instance in rows[row])
            {
                segment++;
                // The last token of an instance is only a label; one too long for a row is cut at the row's end.
                var places = Math.Min(instance.Ids.Length, length + 1) - 1;
                for (var i = 0; i < places; i++, at++)
                {
                    (tokens[at], segments[at]) = (instance.Ids[i], segment);
                    if (instance.Learned[i + 1])
                    {
                        labels[at] = instance.Ids[i + 1];
                        learned++;
                    }
                }
            }
        }
        return new InstanceBatch(rows.Count, length, tokens, labels, segments, learned);
    }
}
