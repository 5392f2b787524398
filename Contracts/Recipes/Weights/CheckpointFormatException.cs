namespace DeepSeekOps.Recipes.Weights;

/// <summary>Weights or their config.json are not what they should be: which file, what is wrong, and what to do.</summary>
public sealed class CheckpointFormatException : BadInputException
{
    public CheckpointFormatException(string message)
        : this(message, "")
    {
    }

    public CheckpointFormatException(string what, string fix)
        : base(what, fix)
    {
    }
}
