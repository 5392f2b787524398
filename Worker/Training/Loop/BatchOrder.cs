namespace DeepSeekOps.Worker.Training.Loop;

/// <summary>
/// Which batch of the stage's data order a step takes. A batch that is left out moves all data after it up by one step, so that the stage
/// makes as many steps on as many tokens as planned.
/// </summary>
/// <param name="wanted">Numbers of the batches to leave out, from 1.</param>
/// <param name="passed">Those that the checkpoint of step <paramref name="step"/> has passed over.</param>
internal sealed class BatchOrder(IEnumerable<long> wanted, IEnumerable<long> passed, long step)
{
    private readonly HashSet<long> _wanted = [.. wanted];
    private readonly List<long> _passed = [.. passed];
    private long _taken = step + passed.Count();

    /// <summary>The batch of the last step, or of the one under way.</summary>
    public long Taken => _taken;

    /// <summary>Those before <see cref="Taken"/>.</summary>
    public IReadOnlyList<long> LeftOut => [.. _passed];

    /// <summary>The number of batches to pass over before the next step takes its own.</summary>
    public int Pass()
    {
        var count = 0;
        while (_wanted.Contains(++_taken))
        {
            _passed.Add(_taken);
            count++;
        }
        return count;
    }
}
