using DeepSeekOps.Decisions.Gangs;

namespace DeepSeekOps.Decisions.Stages;

/// <summary>
/// A stage whose database was put back from a backup. What it knows is as old as the backup: its gang may have ended since, been launched
/// again under later numbers, or still train for nobody.
/// </summary>
public static class StagePutBack
{
    /// <summary>
    /// Numbers of attempts that the time after the backup may have used up, on disks and in agents that come back late. None of them is
    /// given a second time. Ours: at the rate of Llama 3's 54 days (466 interruptions of one job) a backup four months old.
    /// </summary>
    public const int NumbersLost = 1_000;

    /// <param name="made">When the backup was made.</param>
    public static Stage Of(Stage stage, DateTimeOffset made, DateTimeOffset now)
    {
        // One that has ended is taken up by a person's retry alone, and one that has not begun is fenced by having no gang.
        if (stage.Phase.Terminal || stage.Phase is Phase.Waiting)
        {
            return stage;
        }

        // A request is taken back as a gang without nodes: under its number somebody may have been placed meanwhile.
        var gang = stage.Phase is Phase.Queued ? stage.NoNodes(now) : stage.Phase.GangOrNull;
        var later = stage with { Attempt = stage.Attempt + NumbersLost, AttemptsSkipped = stage.AttemptsSkipped + NumbersLost };
        return stage.Phase is Phase.Stopping || gang is null ? later : Ended(later, gang, made, now);
    }

    private static Stage Ended(Stage stage, GangGrant gang, DateTimeOffset made, DateTimeOffset now)
    {
        string why = FormattableString.Invariant($"the database was put back from a backup of {made.UtcDateTime:yyyy-MM-dd HH:mm} UTC");
        string what = gang.Nodes.IsEmpty ? "asks for nodes again"
            : $"gang {gang.Id.Number} may have ended or gone on since; a new one goes on from the newest checkpoint that is there";
        return stage.Say(now, "put-back", EventLevel.Warning, $"{why}: {what}")
            .Stop(gang, new Ending.Relaunch(why, now), $"{why}: {what}", now, stage.Policy.SaveWithin).Next;
    }
}
