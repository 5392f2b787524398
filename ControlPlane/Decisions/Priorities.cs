using System.Globalization;

namespace DeepSeekOps.Decisions;

/// <summary>Priorities by the words that a pipeline is written with. Placement reckons with their numbers.</summary>
public static class Priorities
{
    /// <summary>A number between two words has none.</summary>
    public static string Name(int priority) => priority switch
    {
        (int)Runs.Priority.Low => "low",
        (int)Runs.Priority.Normal => "normal",
        (int)Runs.Priority.High => "high",
        (int)Runs.Priority.Urgent => "urgent",
        _ => priority.ToString(CultureInfo.InvariantCulture),
    };
}
