using System.Text.Json.Serialization;

namespace DeepSeekOps.Decisions.Recipes;

/// <summary>What must hold before a stage begins.</summary>
[JsonDerivedType(typeof(Metric), "metric")]
[JsonDerivedType(typeof(Approval), "approval")]
public abstract record Gate
{
    private Gate() { }

    /// <summary>The last value of a series or evaluation of an earlier stage lies within limits; both ends are open.</summary>
    /// <param name="Stage">The earlier stage; never empty in a checked pipeline.</param>
    /// <param name="Name">"loss", "accuracy", or any series the stage reports.</param>
    public sealed record Metric(string Stage, string Name, double? Below, double? Above) : Gate
    {
        public bool Holds(double value) => double.IsFinite(value) && !(value >= Below) && !(value <= Above);
    }

    /// <summary>A person says go.</summary>
    public sealed record Approval : Gate;
}
