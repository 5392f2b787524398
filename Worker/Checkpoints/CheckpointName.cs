using System.Globalization;

namespace DeepSeekOps.Worker.Checkpoints;

/// <summary>What people call a checkpoint: a folder, run/stage, or run/stage/step.</summary>
public static class CheckpointName
{
    /// <summary>One of these makes a folder a checkpoint: weights that were put there by hand have no manifest.</summary>
    private static readonly string[] Files = [Manifest.FileName, ConfigJson.FileName];

    /// <summary>The folder meant; run/stage is its newest checkpoint.</summary>
    public static string Find(string name, string dataDirectory)
    {
        if (Directory.Exists(name))
        {
            return name;
        }

        var parts = name.Split('/');
        var root = Path.Combine(dataDirectory, "checkpoints");
        if (parts is not ([_, _] or [_, _, _]) || parts.Any(p => p is "" or "." or ".."))
        {
            throw new CheckpointFormatException($"{name} is not a folder. Name one that holds config.json, or run/stage or "
                + $"run/stage/step of {root}.");
        }

        var stage = Path.Combine(root, parts[0], parts[1]);
        var steps = Directory.Exists(stage)
            ? Directory.EnumerateDirectories(stage).Where(d => Files.Any(f => FileSeen.IsRegular(Path.Combine(d, f))))
                .Select(d => (Path: d, Step: CheckpointFolder.StepOf(Path.GetFileName(d)) ?? -1)).Where(s => s.Step >= 0)
                .OrderBy(s => s.Step).ToArray()
            : [];
        if (steps.Length == 0)
        {
            throw new CheckpointFormatException($"{stage} holds no checkpoint. `dsops checkpoints RUN` lists those of a run; --data-dir "
                + "names another data directory.");
        }

        var wanted = parts.Length == 2 ? steps[^1].Step : StepOf(parts[2]);
        return Array.Find(steps, s => s.Step == wanted).Path
            ?? throw new CheckpointFormatException($"{stage} has no checkpoint of step {parts[2]}; it has "
                + $"{string.Join(", ", steps.Select(s => s.Step))}.");
    }

    private static long StepOf(string text) =>
        long.TryParse(text.StartsWith("step-", StringComparison.Ordinal) ? text[5..] : text, NumberStyles.None,
            CultureInfo.InvariantCulture, out var step) ? step : -1;
}
