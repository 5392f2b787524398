using System.Globalization;
using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.Dashboard.Words;

namespace DeepSeekOps.Dashboard.Pages.RunDetail;

public sealed record ResultRow(string Stage, string Word, Evaluation Evaluation)
{
    /// <summary>Losses are the one kind of result that is no share of samples.</summary>
    public bool Share => !Evaluation.Name.Contains("loss", StringComparison.Ordinal);

    public string Interval => (Evaluation.HasLow && Evaluation.HasHigh, Share) switch
    {
        (true, true) => $"95 %: {Figures.Percent(Evaluation.Low)} to {Figures.Percent(Evaluation.High)}, n = {Evaluation.Samples}",
        (true, false) => $"95 %: {Figures.Loss(Evaluation.Low)} to {Figures.Loss(Evaluation.High)}, n = {Evaluation.Samples}",
        _ => Evaluation.Samples > 0 ? $"n = {Evaluation.Samples}" : "",
    };
}

public sealed record ResultGroup(string Title, IReadOnlyList<ResultRow> Rows, string? Verdict, bool Better);

/// <summary>Puts what stages measured beside what it is to be compared with.</summary>
public static class Results
{
    private const string Student = "Right answers of the student, with and without its teacher";

    private static readonly (string Prefix, string Title)[] Families =
    [
        ("heldout_loss", "Loss on texts never trained on"),
        ("expert_excess", "MaxVio: busiest expert above its fair share"),
        ("needle_", "Needle found, by context length"),
        ("sft_format_rate", "Answers in the asked-for form"),
        ("sft_accuracy", "Right answers, fine-tuned, greedy"),
        ("rl_accuracy", "Right answers on held-out problems, as sampled"),
        ("rl_greedy_accuracy", "Right answers on held-out problems, greedy"),
        ("rollouts_", "Rollouts that taught nothing"),
        ("student_", Student),
        ("teacher_", Student),
        ("mtp_guesses", "MTP acceptance rate"),
        ("samples_kept", "Teacher's samples that the verifier kept"),
    ];

    public static IReadOnlyList<ResultGroup> Of(Run run) =>
        [.. run.Stages
            .SelectMany(s => s.Evaluations.GroupBy(e => e.Name).Select(same => (Stage: s.Name, Evaluation: same.MaxBy(e => e.Step)!)))
            .Select(found =>
                (Title: Title(found.Evaluation.Name),
                    Row: new ResultRow(found.Stage, WordOf(found.Stage, found.Evaluation.Name), found.Evaluation)))
            .GroupBy(found => found.Title, found => found.Row)
            .Select(g => Group(g.Key, [.. g]))];

    private static ResultGroup Group(string title, IReadOnlyList<ResultRow> rows)
    {
        // A student is compared with itself trained without the teacher, where that was measured, else with its beginning.
        var before = rows.LastOrDefault(r => IsBaseline(r.Evaluation.Name));
        var after = rows.LastOrDefault(r => !IsBaseline(r.Evaluation.Name) && !IsBeside(r.Evaluation.Name));
        if (before is null || after is null)
        {
            return new(title, rows, null, false);
        }
        var gain = after.Evaluation.Value - before.Evaluation.Value;
        var clear = before.Evaluation.HasHigh && after.Evaluation.HasLow
            && (after.Evaluation.Low > before.Evaluation.High || before.Evaluation.Low > after.Evaluation.High);
        var amount = after.Share
            ? string.Create(CultureInfo.InvariantCulture, $"{gain * 100:+0.0;−0.0} points")
            : string.Create(CultureInfo.InvariantCulture, $"{gain:+0.000;−0.000}");
        return new(title, rows, clear ? $"{amount}, intervals apart" : amount, LowerIsBetter(after.Evaluation.Name) ? gain < 0 : gain > 0);
    }

    private static bool IsBaseline(string name) =>
        name.Contains("before", StringComparison.Ordinal)
        || name.Contains("undistilled", StringComparison.Ordinal) || name.Contains("baseline", StringComparison.Ordinal);

    // Shown with the others, and not what the stage led to.
    private static bool IsBeside(string name) =>
        name.StartsWith("teacher_", StringComparison.Ordinal) || name.EndsWith("_ema", StringComparison.Ordinal);

    private static bool LowerIsBetter(string name) =>
        name.Contains("loss", StringComparison.Ordinal) || name.StartsWith("expert_excess", StringComparison.Ordinal);

    private static string Title(string name) =>
        Families.FirstOrDefault(f => name.StartsWith(f.Prefix, StringComparison.Ordinal)).Title ?? "Held-out measures";

    // The same measure of several stages goes by their names.
    private static string WordOf(string stage, string name) => name == "mtp_guesses_kept" ? $"after {stage}" : Word(name);

    private static string Word(string name) => name switch
    {
        "student_accuracy_before" => "as it began",
        "student_accuracy_undistilled" => "trained without the teacher",
        "student_accuracy_distilled" => "distilled",
        "teacher_accuracy" => "the teacher",
        "samples_kept" => "kept",
        "heldout_loss_ema" => "moving average of the weights",
        _ when name.StartsWith("needle_", StringComparison.Ordinal) && name.EndsWith("_before", StringComparison.Ordinal) =>
            $"at {name["needle_".Length..^"_before".Length]} tokens, before",
        _ when name.StartsWith("needle_", StringComparison.Ordinal) => $"at {name["needle_".Length..]} tokens",
        _ => name.Replace("rl_accuracy_", "", StringComparison.Ordinal).Replace("rl_greedy_accuracy_", "", StringComparison.Ordinal)
            .Replace("heldout_loss_", "", StringComparison.Ordinal).Replace("expert_excess_", "", StringComparison.Ordinal)
            .Replace("rollouts_", "", StringComparison.Ordinal).Replace("sft_format_rate_", "", StringComparison.Ordinal)
            .Replace("sft_accuracy_", "", StringComparison.Ordinal).Replace('_', ' '),
    };
}
