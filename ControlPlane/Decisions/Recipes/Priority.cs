using System.Globalization;

namespace DeepSeekOps.Decisions.Recipes;

/// <summary>Which of two gangs goes first. The number is what placement compares.</summary>
public enum Priority
{
    Low = 0,
    Normal = 100,
    High = 200,
    Urgent = 300,
}

/// <summary>Priorities by the words that a pipeline is written with. Placement reckons with their numbers.</summary>
public static class Priorities
{
    /// <summary>A number between two words has none.</summary>
    public static string Name(int priority) => priority switch
    {
        (int)Priority.Low => "low",
        (int)Priority.Normal => "normal",
        (int)Priority.High => "high",
        (int)Priority.Urgent => "urgent",
        _ => priority.ToString(CultureInfo.InvariantCulture),
    };
}
