namespace DeepSeekOps.Dashboard.Words;

public static class Priorities
{
    /// <summary>By the words that a pipeline is written with; a number between two words stays one.</summary>
    public static string Name(int priority) => priority switch
    {
        0 => "low",
        100 => "normal",
        200 => "high",
        300 => "urgent",
        _ => Figures.Whole(priority),
    };
}
