using System.Collections.Immutable;
using DeepSeekOps.Decisions.Health;
using DeepSeekOps.Decisions.Planning;
using DeepSeekOps.Decisions.Recipes;

namespace DeepSeekOps.Decisions.Stages;

/// <summary>
/// What a stage still takes, between two ends that it misses once in ten times each. The one forecast of the control plane: the queue,
/// pages and the command line all have it from here.
/// </summary>
/// <param name="Scale">Measured time over the plan's cost of the same steps, or what it was taken to be. Null: neither measured nor
/// planned.</param>
/// <param name="StepsMeasured">Steps that <paramref name="Scale"/> is the median of; 0: it is the plan's, or another stage's.</param>
public sealed record StageOutlook(TimeSpan Likely, TimeSpan Low, TimeSpan High, double? Scale, int StepsMeasured)
{
    /// <summary>
    /// Of its newest steps the median counts: one that took ten times as long, or the first after a restart, moves nothing.
    /// </summary>
    private const int StepsAsked = 32;

    /// <summary>Fewer steps scatter by more than their own spread shows; compiling and filling caches is in the first.</summary>
    private const int StepsEnough = 8;

    /// <summary>The error of a pace from too few steps. One raw step was off by a factor of two after a restart.</summary>
    private const double TooFewError = 0.5;

    /// <summary>Machines age and networks fill: a pace that is measured to the last digit still drifts by so much.</summary>
    private const double LeastError = 0.02;

    /// <summary>Of a normal distribution: from the median to the tenth and ninetieth percentile.</summary>
    private const double ToPercentile = 1.2816;

    /// <summary>A normal distribution's deviation over its median absolute deviation.</summary>
    private const double DeviationOfMedian = 1.4826;

    /// <summary>From the measured steps of the stage. Null: it made none yet, or ended otherwise than well.</summary>
    public static StageOutlook? Of(Stage stage, Observation seen) =>
        Measured(stage, seen) is not { } asItIs ? null
        : stage.Shrunk is not { Layout: { } layout } shrunk ? asItIs
        : asItIs with
        {
            // As it is until its nodes should be back, and then with all of them; at best now, at worst never.
            Likely = UntilWhole(asItIs.Likely, layout.Rate, shrunk.Since + shrunk.Return - seen.Now.At),
            Low = asItIs.Low * layout.Rate,
            // What others of its run are expected to take is told of their whole layouts.
            Scale = asItIs.Scale * layout.Rate,
        };

    /// <summary>What it still takes if it stays as it is laid out. Null: nothing says it.</summary>
    public static TimeSpan? AsItIs(Stage stage, Observation seen) => Measured(stage, seen)?.Likely;

    private static TimeSpan UntilWhole(TimeSpan asItIs, double rate, TimeSpan away)
    {
        var fewer = away < TimeSpan.Zero ? TimeSpan.Zero : away;
        return asItIs <= fewer ? asItIs : fewer + ((asItIs - fewer) * rate);
    }

    private static StageOutlook? Measured(Stage stage, Observation seen)
    {
        if ((seen.Latest ?? stage.Latest) is not { } sample || stage.Phase is Phase.Failed or Phase.Cancelled
            || StageCourse.Of(stage.Wish.Pipeline, stage.Id.Stage) is not { } course)
        {
            return null;
        }

        ImmutableArray<StepTime> times = !seen.Times.IsEmpty ? seen.Times
            : [new StepTime(sample.Step, sample.Tokens, sample.StepSeconds) { Attempt = sample.Attempt }];
        // Steps of a layout before this one went at another pace; until there are others, they stand for it.
        double slower = 1;
        if (times.Any(t => t.Attempt >= stage.LayoutFrom))
        {
            times = times.RemoveAll(t => t.Attempt < stage.LayoutFrom);
        }
        else
        {
            slower = 1 / (stage.Shrunk?.Layout?.Rate ?? 1);
        }

        double[] ratios = [.. times.TakeLast(StepsAsked).Where(t => t.Seconds > 0 && double.IsFinite(t.Seconds))
            .Select(t => slower * t.Seconds / course.StepAt(t.Step, t.Tokens)).Where(r => double.IsFinite(r) && r > 0)];
        if (ratios.Length == 0)
        {
            return null;
        }

        double scale = Median(ratios);
        double deviation = DeviationOfMedian * Median([.. ratios.Select(r => Math.Abs(r - scale))]) / scale;
        double error = ratios.Length < StepsEnough ? TooFewError
            : Math.Max(LeastError, ToPercentile * deviation / Math.Sqrt(ratios.Length));
        // A stage that is completed has nothing left, and its pace still says what the plan is worth here.
        double left = stage.Phase is Phase.Completed ? 0 : course.After(sample.Step, sample.Tokens);
        return Between(course, left, scale, error, ratios.Length);
    }

    /// <summary>
    /// Of a stage that has not begun, by the plan and how others of its run compare with theirs. Null: nothing turns the plan into time.
    /// </summary>
    public static StageOutlook? ByPlan(PipelineSpec pipeline, string stage, double? scale)
    {
        return StageCourse.Of(pipeline, stage) is not { } course || (scale is null && !course.InSeconds) ? null
            : Between(course, course.After(0, 0), scale ?? 1, course.Error, 0);
    }

    private static StageOutlook Between(StageCourse course, double cost, double scale, double error, int steps)
    {
        double seconds = cost * scale, likely = seconds / course.Availability;
        // Without a failure at the low end, with twice as many as expected at the high one.
        double high = likely + (likely - seconds);
        return new StageOutlook(Span(likely), Span(seconds * Math.Max(0, 1 - error)), Span(high * (1 + error)), scale, steps);
    }

    private static double Median(double[] values)
    {
        Array.Sort(values);
        int half = values.Length / 2;
        return values.Length % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
    }

    /// <summary>A hundred years is as good as for ever, and a TimeSpan still holds it.</summary>
    internal static TimeSpan Span(double seconds) =>
        double.IsFinite(seconds) ? TimeSpan.FromSeconds(Math.Clamp(seconds, 0, TimeSpan.FromDays(36_500).TotalSeconds)) : TimeSpan.Zero;
}
