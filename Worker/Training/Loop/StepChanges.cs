using DeepSeekOps.Contracts.Worker.V1;

namespace DeepSeekOps.Worker.Training.Loop;

/// <summary>
/// How single steps are trained otherwise than the plan says. What stands in the assignment is the same in every launch, so that a kill
/// changes nothing; a fault that a drill injects is of this launch alone.
/// </summary>
internal sealed class StepChanges(Assignment assignment)
{
    private (long From, long Until, double Factor) _injected;

    /// <summary>What a step's learning rate is multiplied by.</summary>
    public double RateFactor(long step) => assignment.RateChanges.Where(c => c.FromStep <= step && step <= c.UntilStep)
        .Aggregate(step >= _injected.From && step <= _injected.Until ? _injected.Factor : 1.0, (all, change) => all * change.Factor);

    /// <summary>A drill has put noise in the place of the batch's tokens.</summary>
    public bool Spoils(long batch) => assignment.AllowsFaults
        && assignment.DataFaults.Any(f => f.FirstBatch <= batch && batch <= f.LastBatch);

    public void Inject(double factor, long from, long steps) => _injected = (from, from + steps - 1, factor);
}
