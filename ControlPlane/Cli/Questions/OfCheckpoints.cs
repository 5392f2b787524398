using System.Collections.Immutable;
using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.ControlPlane.Cli.Verbs;

namespace DeepSeekOps.ControlPlane.Cli.Questions;

/// <summary>From where a run would go on, and whether that can be trusted.</summary>
internal static class OfCheckpoints
{
    public static readonly ImmutableArray<Question> All =
    [
        new("resume-from", "Which checkpoint would it be resumed from?", About.OneRun, Need.Run | Need.Checkpoints, Need.None,
        [
            "which checkpoint", "newest checkpoint", "latest checkpoint", "from which step would it go on",
            "where would it restart from", "from where would it resume", "which step would it resume from", "last save",
            "where does it continue from after a crash",
        ], From),
        new("trusted", "Is that checkpoint trusted?", About.OneRun, Need.Run | Need.Checkpoints, Need.None,
        [
            "is the checkpoint trusted", "can i trust the checkpoint", "was the checkpoint verified", "is the checkpoint good",
            "is the checkpoint whole", "was it read again", "is the newest checkpoint ok", "is the last checkpoint good",
            "checkpoint verification", "is the newest checkpoint safe",
        ], Trusted),
        new("quarantined", "Is a checkpoint in quarantine, and why?", About.OneRun, Need.Checkpoints, Need.None,
        [
            "which checkpoints are quarantined", "is any checkpoint damaged", "bad checkpoints", "corrupt checkpoint",
            "which checkpoint was refused", "are there broken checkpoints", "why was the checkpoint refused",
            "which checkpoints are bad",
        ], Quarantined),
    ];

    private static Answer From(Facts facts)
    {
        if (facts.Stage is not { } stage)
        {
            return Answer.Unknown($"{facts.Name} has no stage");
        }

        string which = $"{facts.Name}/{stage.Name}";
        var used = stage.HasCheckpointStep ? Newest(facts, stage) : null;
        var refused = facts.Checkpoints!.LastOrDefault(c => c.Stage == stage.Name && c.State == "quarantined");
        var answer = stage.HasCheckpointStep
            ? Answer.Of($"{which} would go on from step {Places.Whole(stage.CheckpointStep)}; {Places.Whole(stage.Step)} are made")
            : refused is not null
                ? Answer.Of($"None of {which} may be used: the newest, of step {Places.Whole(refused.Step)}, was refused: {refused.Reason}")
                : Answer.Of($"{which} has no checkpoint yet: it would begin again at its step 0"
                    + (stage.BeganFrom.Length > 0 ? $", from {stage.BeganFrom}" : ""));
        return (used is null ? answer
            : answer.With("state", used.State).With("made", $"{Places.Ago(used.At, facts)}, attempt {used.Attempt}")
                .With("size", Words.Bytes(used.Bytes)).With("loss", Words.Figure(used.Loss)).With("path", used.Path)
                .With("copy", used.StoreUri))
            .See(Places.RunPage(facts.Name, "checkpoints"), $"dsops checkpoints {facts.Name}");
    }

    private static Answer Trusted(Facts facts)
    {
        if (facts.Stage is not { HasCheckpointStep: true } stage)
        {
            return Answer.Unknown($"{facts.Name} has no checkpoint that could be gone on from")
                .See(Places.RunPage(facts.Name, "checkpoints"),
                $"dsops checkpoints {facts.Name}");
        }

        bool whole = stage.HasVerifiedStep && stage.VerifiedStep == stage.CheckpointStep;
        return Answer.Of($"{(whole ? "Yes" : "Not yet")}. {ShowVerb.Trust(stage, facts.Now)}")
            .With("read again", stage.HasVerifiedStep ? Words.Moment(stage.VerifiedAt.ToDateTimeOffset()) : null)
            .With("last try", Newest(facts, stage)?.Unread)
            .See(Places.RunPage(facts.Name, "checkpoints"), $"dsops checkpoints {facts.Name}");
    }

    private static Answer Quarantined(Facts facts)
    {
        var all = facts.Checkpoints!;
        var bad = all.Where(c => c.State == "quarantined").ToList();
        string states = string.Join(", ", all.GroupBy(c => c.State).OrderByDescending(g => g.Count())
            .ThenBy(g => g.Key, StringComparer.Ordinal)
            .Select(g => $"{Places.Whole(g.Count())} {g.Key}"));
        return (bad.Count > 0
                ? Answer.Of($"Yes, {Places.Whole(bad.Count)}: step {Places.Whole(bad[^1].Step)} of {bad[^1].Stage}, {bad[^1].Reason}")
                : Answer.Of(all.Count == 0 ? $"No: {facts.Name} has no checkpoint yet"
                    : $"No: of {Places.Many(all.Count, "checkpoint", "checkpoints")} {states}"))
            .With("all", bad.Count > 0 ? states : null)
            .With(Enumerable.Reverse(bad).Select(c => ($"{c.Stage} step {Places.Whole(c.Step)}", $"{c.Reason}; {c.Path}")))
            .See(Places.RunPage(facts.Name, "checkpoints"), $"dsops checkpoints {facts.Name}");
    }

    private static Checkpoint? Newest(Facts facts, Stage stage) => facts.Checkpoints!.LastOrDefault(c => c.Stage == stage.Name
        && c.Step == stage.CheckpointStep && c.State is not ("quarantined" or "deleted"));
}
