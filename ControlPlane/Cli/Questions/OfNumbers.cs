using System.Collections.Immutable;
using DeepSeekOps.Contracts.Ops.V1;

namespace DeepSeekOps.ControlPlane.Cli.Questions;

/// <summary>Losses, numbers that are none, and what stages measured.</summary>
internal static class OfNumbers
{
    public static readonly ImmutableArray<Question> All =
    [
        new("loss-spike", "Did the loss spike, and what was done?", About.OneRun, Need.Run | Need.Events, Need.None,
        [
            "did the loss spike", "loss spike", "did the loss rise", "did it diverge", "is the loss stable", "was there a loss spike",
            "is the loss going up", "did the loss explode", "any loss spikes",
        ], Spiked),
        new("not-finite", "Is anything NaN?", About.OneRun, Need.Run | Need.Series, Need.None,
        [
            "is there a nan", "any nans", "is anything infinite", "is any number not finite", "did it produce nan", "is the loss nan",
            "inf", "overflow", "any nan in the gradients",
        ], NotFinite),
        new("results", "What is its result?", About.OneRun, Need.Run, Need.None,
        [
            "what are the results", "evaluation", "what did the evaluation say", "how good is it", "accuracy", "what was measured",
            "benchmark scores", "how well does the model do", "what accuracy did it reach",
        ], Results),
    ];

    private static Answer Spiked(Facts facts)
    {
        var told = facts.Events!.Where(e => e.Kind.StartsWith("loss-", StringComparison.Ordinal)).ToList();
        var flagged = told.Where(e => e.Kind == "loss-flagged").ToList();
        var worst = told.LastOrDefault(e => e.Level != "info") ?? told.LastOrDefault();
        string loss = facts.Stage is { HasLoss: true } stage ? $"; it is {Words.Figure(stage.Loss)} at step {Places.Whole(stage.Step)}"
            : "";
        var answer = worst is null ? Answer.Of($"No: no step's loss of {facts.Name} was flagged{loss}")
            : Answer.Of($"Yes: {Places.Many(Math.Max(1, flagged.Count), "step was", "steps were")} flagged. {Places.Capital(worst.Text)}");
        return answer.With(Enumerable.Reverse(told).Select(e => ($"{e.Kind}, {Places.Clock(e.At, facts)}", $"{e.Stage}: {e.Text}")), 8)
            .See(Places.RunPage(facts.Name, "timeline"), $"dsops events {facts.Name}");
    }

    private static Answer NotFinite(Facts facts)
    {
        var series = facts.Series!;
        var broken = series.Where(s => s.NotFinite > 0).OrderByDescending(s => s.NotFinite).ToList();
        var answer = series.Count == 0 ? Answer.Unknown($"{facts.Name} has told no numbers yet")
            : broken.Count == 0
                ? Answer.Of($"No: none of {Places.Many(series.Sum(s => s.Points), "point", "points")} of "
                    + $"{Places.Many(series.Count, "series", "series")} is NaN or infinite")
            : Answer.Of($"Yes: {broken[0].Name} of {broken[0].Stage} has "
                + $"{Places.Many(broken[0].NotFinite, "point that is", "points that are")} NaN or infinite"
                + (broken.Count > 1 ? $", and so have {Places.Whole(broken.Count - 1)} other series" : ""));
        return answer.With(broken
            .Select(s => ($"{s.Stage} {s.Name}", $"{Places.Whole(s.NotFinite)} of {Places.Whole(s.Points + s.NotFinite)} points")))
            .With("newest loss", facts.Stage is { HasLoss: true } stage ? Words.Figure(stage.Loss) : null)
            .See(Places.RunPage(facts.Name), $"dsops incidents {facts.Name}");
    }

    private static Answer Results(Facts facts)
    {
        var run = facts.Run!;
        var measured = run.Stages.LastOrDefault(s => s.Evaluations.Count > 0);
        // What was measured at a stage's end says more than what was at its beginning.
        var newest = measured?.Evaluations
            .FirstOrDefault(e => e.Name.EndsWith("_after", StringComparison.Ordinal)) ?? measured?.Evaluations[0];
        string loss = facts.Stage is { HasLoss: true } at ? $"; its loss is {Words.Figure(at.Loss)} at step {Places.Whole(at.Step)}" : "";
        var answer = newest is null ? Answer.Unknown($"no stage of {run.Name} has measured anything yet{loss}")
            : Answer.Of($"{measured!.Name}: {newest.Name} is {Value(newest)}{loss}");
        return answer.With(Enumerable.Reverse(run.Stages).SelectMany(s => s.Evaluations.Select(e => ($"{s.Name} {e.Name}", Value(e)))), 20)
            .See(Places.RunPage(run.Name, "results"), $"dsops show {run.Name}");
    }

    private static string Value(Evaluation one) => $"{Words.Figure(one.Value)}"
        + (one is { HasLow: true, HasHigh: true } ? $" ({Words.Figure(one.Low)} to {Words.Figure(one.High)})" : "")
        + (one.Samples > 0 ? $" of {Places.Whole(one.Samples)} samples" : "");
}
