namespace DeepSeekOps.Worker.Training.Learning;

/// <summary>What the weights are before anyone trains them or reads others over them.</summary>
public enum FirstWeights
{
    /// <summary>By seed and name: the same numbers on every device, in every layout.</summary>
    Drawn,

    /// <summary>Other numbers than a stage's, and sooner: for measuring speeds.</summary>
    DrawnInPlace,

    /// <summary>Whatever lay in memory, until they are drawn or read.</summary>
    Later,
}
