namespace DeepSeekOps.Decisions.Spikes;

/// <summary>
/// The numbers of the rule that watches a loss: flag at once, act late. docs/spikes.md has the measurements. Fitted on public runs of
/// families other than Megatron-LM's, whose spikes then tell how well it finds what it was not fitted on.
/// </summary>
public static class SpikeRule
{
    /// <summary>
    /// The level is the median of so many samples before the one that is judged. Between 11 and 15 nothing changes; with 9 an outlier among
    /// them moves it, with 21 it lags behind a loss that falls.
    /// </summary>
    public const int LevelOver = 11;

    /// <summary>From so many on there is a level.</summary>
    public const int LevelFrom = 5;

    /// <summary>
    /// The spread is what 68 % of so many distances from the level stay within: one standard deviation of whatever distribution. Twice as
    /// many remember the noise of an earlier part of the run; half as many are too few for a tail.
    /// </summary>
    public const int SpreadOver = 100;

    /// <summary>From so many distances on there is a spread.</summary>
    public const int SpreadFrom = 20;

    /// <summary>
    /// A loss so many spreads above its level is flagged: the least, in quarters, at which no curve of the other families without events is
    /// flagged outside of a single batch's outlier.
    /// </summary>
    public const double FlagAt = 8.5;

    /// <summary>
    /// …and this part of its level: half of the smallest rise that people called a spike (6 %). Losses may be logged by two digits, and
    /// then have no spread at all.
    /// </summary>
    public const double FlagPart = 0.03;

    /// <summary>A flag is judged after so many samples: the 68 known spikes of one public family all came back by themselves.</summary>
    public const int JudgedAfter = 20;

    /// <summary>
    /// A rise may have begun so many samples before its flag, and not more: with six of eleven the level itself would have risen. So many
    /// batches before the flag are not trusted, and no checkpoint that has trained one of them.
    /// </summary>
    public const int BeginsBefore = LevelOver / 2;

    /// <summary>The median of so many newest samples is judged.</summary>
    public const int JudgedOver = 10;

    /// <summary>
    /// So many spreads above the level of before the flag it is still up. In 70 public runs this told all 6 losses that stayed up, and 3
    /// that did not; 3 spreads told 4 that did not.
    /// </summary>
    public const double StaysAt = 5;

    /// <summary>
    /// Back within so many samples after the flag, it was one batch's: of the outliers of single batches in public runs, 9 in 10 are gone
    /// with the next sample, the others have moved the weights a little and are with the one after it.
    /// </summary>
    public const int BackWithin = 2;

    /// <summary>Back is what is less than so many spreads above the level…</summary>
    public const double BackAt = 3;

    /// <summary>…or has lost all but this part of its rise.</summary>
    public const double BackPart = 0.25;

    /// <summary>
    /// A gradient norm so many times its median of <see cref="SpreadOver"/> samples, twice in a row, is flagged. In seven public runs with
    /// norms, none with an event, single norms reach 17 times, two in a row never 5.
    /// </summary>
    public const double GradientAt = 5;

    /// <param name="now">The median of the newest losses.</param>
    /// <param name="level">Of before the rise.</param>
    public static bool StaysUp(double now, double level, double spread) =>
        now > level + (StaysAt * spread) && now > level + (FlagPart * Math.Abs(level));

    /// <summary>So many flagged steps are remembered, so that a batch is known when it is trained again.</summary>
    public const int StepsRemembered = 64;
}
