using System.Globalization;
using DeepSeekOps.Contracts.Worker.V1;

namespace DeepSeekOps.Worker.Agent;

/// <summary>A number that training hangs on is not finite. What was done in its step is thrown away with the process.</summary>
public sealed class NotFiniteException : Exception
{
    /// <param name="sample">Of the step, for charts; null where no step told it.</param>
    public NotFiniteException(NotFinite broke, StepSample? sample = null) => (Broke, Sample) = (broke, sample);

    /// <summary>Who finds it may not know step and batch; who passes it on fills them in.</summary>
    public NotFinite Broke { get; }

    public StepSample? Sample { get; }

    /// <summary>"the gradient norm became infinite at step 41 (micro-batch 3)".</summary>
    public override string Message => string.Create(CultureInfo.InvariantCulture,
        $"the {Broke.What} became {(double.IsNaN(Broke.Value) ? "NaN" : "infinite")} at step "
            + $"{Broke.Step}{(Broke.MicroBatch > 0 ? $" (micro-batch {Broke.MicroBatch})" : "")}");
}
