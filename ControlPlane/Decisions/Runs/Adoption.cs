using System.Collections.Immutable;
using System.Globalization;
using DeepSeekOps.Decisions.Checkpoints;
using DeepSeekOps.Decisions.Stages;

namespace DeepSeekOps.Decisions.Runs;

/// <summary>
/// What a new run makes of checkpoints that lie under its name already. The database that knew their run is lost, or the folder is
/// another's: they are nobody's to train past, and nobody's to go on from without a word.
/// </summary>
public static class Adoption
{
    /// <summary>A run's own mark in its checkpoints. Two runs of one name are never submitted in the same tick of the clock.</summary>
    public static string RegistrationOf(DateTimeOffset submitted) =>
        submitted.UtcDateTime.ToString("yyyyMMdd'T'HHmmss'.'fffffff'Z'", CultureInfo.InvariantCulture);

    /// <summary>Why the run is not begun; null: nothing lies there, or the person said what is to become of it.</summary>
    /// <param name="folders">By stage; null: it could not be looked at.</param>
    public static string? Refusal(RunSubmission submission, ImmutableArray<StageFolder?> folders)
    {
        var taken = submission.Pipeline.Stages.Zip(folders).Where(s => s.Second is { Checkpoints.IsEmpty: false }).ToImmutableArray();
        if (taken.IsEmpty || submission.Adopt)
        {
            return null;
        }

        string what = string.Join(", ", taken.Select(s => $"{s.First.Name} {Steps(s.Second!)}"));
        string run = taken[0].Second!.Path[..^(taken[0].First.Name.Length + 1)];
        return $"Checkpoints of a run named {submission.Name} that this database does not know lie in {run} ({what})."
            + $" Submit with --adopt to go on from them, choose another name, or move that folder away to start over.";
    }

    /// <summary>The work of a new run's stage, with what it may take for its own.</summary>
    public static StageWork Registered(StageWork work, string registration, StageFolder? folder) =>
        folder is not { Checkpoints.IsEmpty: false }
        ? work with { Registrations = [registration] }
        : work with
        {
            Registrations = [registration, .. folder.Checkpoints.Select(c => c.Registration).Distinct()],
            AttemptsBefore = folder.Checkpoints.Max(c => c.Made.Attempt),
        };

    private static string Steps(StageFolder folder) => folder.Checkpoints switch
    {
        [var only] => $"step {only.Made.Step}",
        [var first, .., var last] and { Length: var count } => $"{count} checkpoints, steps {first.Made.Step} to {last.Made.Step}",
        _ => "none",
    };
}
