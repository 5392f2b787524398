namespace DeepSeekOps.Recipes.Pipelining;

/// <summary>
/// What the spans of one rank say of one step. Small and of one size, whatever the step is: of thousands of ranks these are told, and of
/// few their spans. Moments are nanoseconds of the rank's clock.
/// </summary>
/// <param name="PassesBegan">Its first task; with <paramref name="PassesEnded"/> 0 where it has none.</param>
/// <param name="Busy">Seconds in tasks, less those in which a task waited for a neighbour of its pipeline.</param>
/// <param name="Collectives">Seconds in collective calls, the waiting for others included.</param>
/// <param name="Sends">Seconds to hand over what neighbours are sent.</param>
/// <param name="Waits">Seconds until what a neighbour sends was there.</param>
public sealed record RankStep(
    long Step, long Began, long Ended, long PassesBegan, long PassesEnded, double Busy, double Collectives, double Sends, double Waits)
{
    /// <summary>Of one micro-batch through one piece, without waits: the mean, 0 where it had none.</summary>
    public double Forward { get; init; }

    /// <summary>For inputs and, where the two are one, for weights.</summary>
    public double Backward { get; init; }

    public double Weights { get; init; }

    public double Seconds => (Ended - Began) / 1e9;

    /// <summary>What is left of the step: the rank computes, or does what no span tells.</summary>
    public double Compute => Math.Max(0, Seconds - Collectives - Sends - Waits);

    /// <summary>By another clock, which is so much ahead.</summary>
    public RankStep Moved(long nanoseconds) => this with
    {
        Began = Began + nanoseconds,
        Ended = Ended + nanoseconds,
        PassesBegan = PassesEnded == 0 ? 0 : PassesBegan + nanoseconds,
        PassesEnded = PassesEnded == 0 ? 0 : PassesEnded + nanoseconds,
    };

    /// <param name="step">The span of the whole step.</param>
    /// <param name="spans">Of the rank, of any number of steps.</param>
    public static RankStep Of(long number, Span step, IEnumerable<Span> spans)
    {
        var own = spans.Where(s => s.Began >= step.Began && s.Ended <= step.Ended && s.Kind != SpanKinds.Step).ToList();
        var tasks = own.Where(s => SpanKinds.IsTask(s.Kind)).OrderBy(s => s.Began).ToArray();
        double[] lengths = Array.ConvertAll(tasks, t => t.Seconds);
        // Tasks of a rank come one after another: the last one that has begun is the one that it waits in, if any.
        long[] begins = Array.ConvertAll(tasks, t => t.Began);
        foreach (var wait in own.Where(s => s.Kind == SpanKinds.Receive))
        {
            int at = Array.BinarySearch(begins, wait.Began);
            at = at < 0 ? ~at - 1 : at;
            if (at >= 0 && wait.Ended <= tasks[at].Ended)
            {
                lengths[at] -= wait.Seconds;
            }
        }

        double Sum(string kind) => own.Where(s => s.Kind == kind).Sum(s => s.Seconds);
        double Mean(params string[] kinds) =>
            lengths.Where((_, i) => Array.IndexOf(kinds, tasks[i].Kind) >= 0).DefaultIfEmpty().Average(length => Math.Max(0, length));
        return new RankStep(number, step.Began, step.Ended, tasks.Select(t => t.Began).DefaultIfEmpty().Min(),
            tasks.Select(t => t.Ended).DefaultIfEmpty().Max(), Math.Max(0, lengths.Sum()), Sum(SpanKinds.Collective), Sum(SpanKinds.Send),
            Sum(SpanKinds.Receive))
        {
            Forward = Mean(SpanKinds.Forward),
            Backward = Mean(SpanKinds.Backward, SpanKinds.BackwardInputs),
            Weights = Mean(SpanKinds.BackwardWeights),
        };
    }
}
