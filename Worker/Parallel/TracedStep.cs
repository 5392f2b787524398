using DeepSeekOps.Recipes.Pipelining;

namespace DeepSeekOps.Worker.Parallel;

/// <summary>What the spans of all ranks of a gang say of one step. Seconds.</summary>
/// <param name="Seconds">From its first rank's begin to its last rank's end.</param>
/// <param name="Bubbles">
/// By rank: of the time between the gang's first task and its last, what the rank computed nothing in. It waited for a neighbour then, or
/// had nothing to do.
/// </param>
/// <param name="Formula">The published bubble of this schedule with these chunks; 0 where there is no pipeline.</param>
/// <param name="Collectives">By rank: in collective calls, waiting included.</param>
public sealed record TracedStep(double Seconds, IReadOnlyList<double> Bubbles, double Formula, IReadOnlyList<double> Collectives)
{
    private static readonly string[] Tasks = ["forward", "backward", "backward_inputs", "backward_weights"];

    /// <param name="ranks">Each rank's spans, of any number of steps.</param>
    public static IReadOnlyList<TracedStep> Of(IReadOnlyList<IReadOnlyList<Span>> ranks, GangLayout layout)
    {
        var steps = ranks.Select(spans => spans.Where(s => s.Kind == "step").OrderBy(s => s.Began).ToList()).ToList();
        return [.. Enumerable.Range(0, steps.Min(s => s.Count)).Select(number =>
            One([.. ranks.Zip(steps, (spans, own) => Within(spans, own[number]))], [.. steps.Select(own => own[number])], layout))];
    }

    private static TracedStep One(List<List<Span>> ranks, List<Span> steps, GangLayout layout)
    {
        var tasks = ranks.ConvertAll(spans => spans.Where(s => Array.IndexOf(Tasks, s.Kind) >= 0).ToList());
        var all = tasks.SelectMany(t => t).ToList();
        var passes = all.Count == 0 ? 0 : Between(all.Min(t => t.Began), all.Max(t => t.Ended));
        var busy = ranks.Zip(tasks, (spans, own) => own.Sum(Length) - own.Sum(task => Within(spans, task).Where(Waits).Sum(Length)));
        double Mean(params string[] kinds) => ranks.Zip(tasks, (spans, own) =>
        {
            var some = own.Where(t => Array.IndexOf(kinds, t.Kind) >= 0).ToList();
            return some.Select(task => Length(task) - Within(spans, task).Where(Waits).Sum(Length)).DefaultIfEmpty().Average();
        }).Average();
        var weights = Mean("backward_weights");
        var backward = Mean("backward", "backward_inputs") + weights;
        return new TracedStep(
            Between(steps.Min(s => s.Began), steps.Max(s => s.Ended)), [.. busy.Select(b => passes - b)],
            layout.Pipeline == 1 ? 0 : BubbleFormula.Of(layout.Schedule, layout.Pipeline, Mean("forward"), backward, weights),
            [.. ranks.Select(spans => spans.Where(s => s.Kind == "collective").Sum(Length))]);
    }

    /// <summary>A rank that waits for a neighbour in its pipeline computes nothing.</summary>
    private static bool Waits(Span span) => span.Kind == "receive";

    private static List<Span> Within(IEnumerable<Span> spans, Span outer) =>
        [.. spans.Where(s => s.Began >= outer.Began && s.Ended <= outer.Ended && s != outer)];

    private static double Length(Span span) => Between(span.Began, span.Ended);

    private static double Between(long began, long ended) => (ended - began) / 1e9;
}
