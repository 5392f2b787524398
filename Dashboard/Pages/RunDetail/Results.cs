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
    private static readonly (string Prefix, string Suffix, string Title)[] Families =
    [
        ("rl_", "", "Right answers on held-out problems"),
        ("needle_", "", "Needle found, by context length"),
        ("student_", "", "Student, distilled and not"),
        ("distill", "", "Student, distilled and not"),
        ("", "format_rate", "Answers in the asked-for form"),
    ];

    public static IReadOnlyList<ResultGroup> Of(Run run) =>
        [.. run.Stages
            .SelectMany(s => s.Evaluations.GroupBy(e => e.Name).Select(same => (Stage: s.Name, Evaluation: same.MaxBy(e => e.Step)!)))
            .Select(found => (Title: Title(found.Evaluation.Name), Row: new ResultRow(found.Stage, Word(found.Evaluation.Name), found.Evaluation)))
            .GroupBy(found => found.Title, found => found.Row)
            .Select(g => Group(g.Key, [.. g]))];

    private static ResultGroup Group(string title, IReadOnlyList<ResultRow> rows)
    {
        var before = rows.FirstOrDefault(r => IsBaseline(r.Evaluation.Name));
        var after = rows.LastOrDefault(r => !IsBaseline(r.Evaluation.Name) && r.Share);
        if (before is null || after is null)
        {
            return new(title, rows, null, false);
        }
        var points = (after.Evaluation.Value - before.Evaluation.Value) * 100;
        var clear = before.Evaluation.HasHigh && after.Evaluation.HasLow && after.Evaluation.Low > before.Evaluation.High;
        var words = string.Create(CultureInfo.InvariantCulture, $"{points:+0.0;−0.0} points{(clear ? ", intervals apart" : "")}");
        return new(title, rows, words, points > 0);
    }

    private static bool IsBaseline(string name) =>
        name.Contains("before", StringComparison.Ordinal)
        || name.Contains("undistilled", StringComparison.Ordinal) || name.Contains("baseline", StringComparison.Ordinal);

    private static string Title(string name) =>
        Families.FirstOrDefault(f =>
            name.StartsWith(f.Prefix, StringComparison.Ordinal) && name.EndsWith(f.Suffix, StringComparison.Ordinal)).Title
        ?? "Held-out measures";

    private static string Word(string name) =>
        name.Replace("rl_accuracy_", "", StringComparison.Ordinal).Replace("student_accuracy_", "", StringComparison.Ordinal)
            .Replace("needle_", "at ", StringComparison.Ordinal).Replace('_', ' ');
}
