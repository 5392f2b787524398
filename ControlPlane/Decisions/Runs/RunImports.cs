using System.Collections.Immutable;
using DeepSeekOps.Decisions.Backups;
using DeepSeekOps.Decisions.Stages;

namespace DeepSeekOps.Decisions.Runs;

/// <summary>Whether a run may leave as a file, and whether one in a file may come in. Null: it may.</summary>
public static class RunImports
{
    public sealed record Refusal(string Why, string Fix);

    /// <summary>What trains on would be in the file as it was at some moment, and go on in two places.</summary>
    public static Refusal? OfExport(RunView run) => run.Ended ? null : new(
        $"{run.Name} is {run.State}: a whole run is exported when it has ended",
        "Wait for its end or cancel it; the other formats take what is there now.");

    /// <param name="simulatedHere">Whether this control plane's cluster is.</param>
    /// <param name="here">Changes of the tables that this program knows, in order.</param>
    /// <param name="version">Of this program.</param>
    public static Refusal? OfImport(RunManifest file, bool simulatedHere, ImmutableArray<string> here, string version) =>
        !file.Migrations.SequenceEqual(here) ? new(
            $"it was written by dsops {file.Version}, whose tables are not those of {version} here",
            "Import it with the version that wrote it, or export it again with this one.")
        : file.Simulated == simulatedHere ? null
        : file.Simulated ? new($"{file.Run} was simulated, and what this control plane tells is measured",
            "Import it into one with `--cluster simulated`, which labels every figure.")
        : new($"{file.Run} was really trained, and this control plane labels every figure as simulated",
            "Import it into one whose cluster is local or Kubernetes.");

    /// <summary>States are not believed: what would go on training, or is of another run, does not come in.</summary>
    public static Refusal? OfStates(RunManifest file, Run run, ImmutableArray<Stage> stages)
    {
        string? wrong = run.Name != file.Run ? $"its state is of a run {run.Name}"
            : run.Pipeline.Team != file.Team ? $"its state is of team {run.Pipeline.Team}"
            : !run.Phase.Terminal ? "the run has not ended in it"
            : stages.FirstOrDefault(s => s.Wish.Stage.Run != run.Name || run.Stages.All(k => k.Work.Name != s.Wish.Stage.Stage))
                is { } other
                ? $"a stage {other.Wish.Stage} is in it, which the run does not have"
            : stages.Select(s => s.Wish.Stage).Distinct().Count() != stages.Length ? "a stage is in it twice"
            : stages.FirstOrDefault(s => !s.Phase.Terminal) is { } open ? $"stage {open.Wish.Stage} has not ended in it" : null;
        return wrong is null ? null : new($"it is not what dsops exports: {wrong}", "Export the run again.");
    }
}
