using System.Collections.Immutable;
using System.Globalization;
using DeepSeekOps.Decisions.Planning;

namespace DeepSeekOps.Decisions.Recovery;

/// <summary>A gang has lost nodes and no other is free: what it could do.</summary>
/// <param name="Gpus">Of the whole gang; all of them stand while it waits.</param>
/// <param name="Ways">Its layouts for the nodes that there are, the fastest first.</param>
/// <param name="DealsUnevenly">What would run them can train with shares of experts that differ in size.</param>
/// <param name="Return">Until there are enough nodes again, as expected.</param>
/// <param name="ReturnBasis">Who says so.</param>
/// <param name="Reform">What it costs to form a gang again, from its end until it trains: once more, to grow back.</param>
public sealed record ShrinkQuestion(
    int Gpus, ImmutableArray<ShrunkLayout> Ways, bool DealsUnevenly, TimeSpan Return, string ReturnBasis, TimeSpan Reform);

/// <param name="Reason">With the prices of what was weighed.</param>
public abstract record ShrinkAnswer(string Reason)
{
    public sealed record GoOn(ShrunkLayout Layout, string Reason) : ShrinkAnswer(Reason);

    public sealed record Wait(string Reason) : ShrinkAnswer(Reason);
}

/// <summary>
/// A lost node without a spare: fewer nodes go on with the same global batch, or the gang waits for the node. Both are priced in hours of
/// the whole gang's GPUs until the node is back; the cheaper is done.
/// </summary>
public static class Shrinking
{
    public static ShrinkAnswer Decide(ShrinkQuestion question)
    {
        double wait = Hours(question, question.Return);
        string waiting = $"waiting for the node costs {Price(wait)} ({Words.Duration(question.Return)}, {question.ReturnBasis})";
        var can = question.Ways.Where(w => !w.OnlySimulated || question.DealsUnevenly).ToImmutableArray();
        string cannot = question.Ways.FirstOrDefault(w => w.OnlySimulated && !question.DealsUnevenly) is { } uneven
            ? $"; {Told(question, uneven)}, but no worker of ours trains with shares of experts that differ in size" : "";
        if (can.IsEmpty)
        {
            return new ShrinkAnswer.Wait($"no layout of it has so few nodes{cannot}; {waiting}");
        }

        var cheapest = can.MinBy(w => Cost(question, w))!;
        string others = string.Concat(can.Where(w => w != cheapest).Select(w => $"; {Told(question, w)}")) + cannot;
        string what = $"{Told(question, cheapest)} until it is back, growing back included";
        return Cost(question, cheapest) < wait
            ? new ShrinkAnswer.GoOn(cheapest, $"goes on with {what}; {waiting}{others}")
            : new ShrinkAnswer.Wait($"waits: {waiting}, and going on with {what}{others}");
    }

    /// <summary>What the missing pace and the growing back cost.</summary>
    private static double Cost(ShrinkQuestion question, ShrunkLayout way) =>
        Hours(question, (question.Return * (1 - way.Rate)) + question.Reform);

    private static string Told(ShrinkQuestion question, ShrunkLayout way) =>
        $"{way.InWords} ({way.RateInWords}) costs {Price(Cost(question, way))}";

    private static double Hours(ShrinkQuestion question, TimeSpan time) => question.Gpus * time.TotalHours;

    private static string Price(double gpuHours) => string.Create(CultureInfo.InvariantCulture, $"{gpuHours:#,0.##} GPU-h");
}
