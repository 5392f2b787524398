using System.Diagnostics;

namespace DeepSeekOps.Worker.Agent;

/// <summary>What an exception says of the program and not of the moment: its type, and where in our code it came from.</summary>
internal static class Fault
{
    private const string Ours = "DeepSeekOps.";

    /// <summary>
    /// "System.InvalidOperationException at DeepSeekOps.Worker.Training.Loop.StageLoop.Advance"; without a frame only the type.
    /// </summary>
    public static string Of(Exception failed)
    {
        // A failure of many tasks, or one wrapped on its way up, is that of the innermost.
        var first = failed;
        while (first.InnerException is { } inner)
        {
            first = inner;
        }

        string[] frames = [.. new StackTrace(first, fNeedFileInfo: false).GetFrames().Select(Name).Where(name => name.Length > 0)];
        string frame = frames.FirstOrDefault(f => f.StartsWith(Ours, StringComparison.Ordinal)) ?? frames.FirstOrDefault() ?? "";
        string type = first.GetType().FullName ?? first.GetType().Name;
        return frame.Length == 0 ? type : $"{type} at {frame}";
    }

    private static string Name(StackFrame frame) =>
        frame.GetMethod() is { } method ? $"{method.DeclaringType?.FullName}.{method.Name}" : "";
}
