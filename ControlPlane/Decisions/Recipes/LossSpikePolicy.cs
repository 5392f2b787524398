namespace DeepSeekOps.Decisions.Recipes;

/// <summary>What is done about a loss that rose and stayed up.</summary>
public enum LossSpikePolicy
{
    /// <summary>Nothing; it is told, with what would have been done.</summary>
    Advise = 0,
    /// <summary>Back to the checkpoint before it, without the batches that it rose on.</summary>
    RollBack = 1,
    /// <summary>The run is held until a person decides.</summary>
    Pause = 2,
}
