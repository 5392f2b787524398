using DeepSeekOps.Decisions.Planning;

namespace DeepSeekOps.Decisions.Recovery;

/// <summary>A gang trains with fewer nodes than its stage asks for.</summary>
/// <param name="RoomSince">Since when there has been room for all of it. Null: there was none when it was last written.</param>
/// <param name="Room">There is room for all of it now.</param>
/// <param name="Left">What it still takes as it is. Null: nobody knows.</param>
/// <param name="Reform">What forming it again costs.</param>
/// <param name="Shrinks">How often it has shrunk within the last hour.</param>
/// <param name="GrowAfter"><inheritdoc cref="Recipes.RecoveryPolicy.GrowAfter"/></param>
public sealed record GrowQuestion(
    ShrunkLayout Layout, DateTimeOffset? RoomSince, bool Room, TimeSpan? Left, TimeSpan Reform, int Shrinks, TimeSpan GrowAfter);

/// <param name="RoomSince">To be kept for the next question.</param>
public sealed record GrowAnswer(bool Grow, DateTimeOffset? RoomSince, string Reason);

/// <summary>
/// When a gang takes its whole layout again. Not at the first sight of a node: one that comes and goes would cost a launch each time, so
/// the room has to last, twice as long after each further loss; and not where the launch costs more than the rest gains by it.
/// </summary>
public static class Growing
{
    /// <summary>Losses that count for how long the room has to last.</summary>
    public static TimeSpan Remembers { get; } = TimeSpan.FromHours(1);

    /// <summary>2^6 times half a minute are half an hour: what breaks so often is a person's case, and is not kept out for ever.</summary>
    private const int DoublingsMost = 6;

    public static GrowAnswer Decide(GrowQuestion question, DateTimeOffset now)
    {
        if (!question.Room)
        {
            return new GrowAnswer(false, null, "");
        }

        var since = question.RoomSince is { } at && at <= now ? at : now;
        var lasts = Lasts(question.Shrinks, question.GrowAfter);
        if (question.Left is { } left && left * (1 - question.Layout.Rate) <= question.Reform)
        {
            return new GrowAnswer(false, since,
                $"there is room for all {question.Layout.Of} nodes, and the {Words.Duration(left)} that are left would "
                + $"gain less than the {Words.Duration(question.Reform)} of another launch");
        }

        return now - since < lasts
            ? new GrowAnswer(false, since,
                $"there is room for all {question.Layout.Of} nodes; once it has lasted {Words.Duration(lasts)} it grows back")
            : new GrowAnswer(true, since, $"grows back to {question.Layout.Of} nodes, for which there has been room for "
                + $"{Words.Duration(now - since)}; saves first");
    }

    private static TimeSpan Lasts(int shrinks, TimeSpan growAfter) => growAfter * Math.Pow(2, Math.Clamp(shrinks - 1, 0, DoublingsMost));
}
