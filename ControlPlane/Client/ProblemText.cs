using DeepSeekOps.Contracts.Ops.V1;

namespace DeepSeekOps.ControlPlane.Client;

/// <summary>Problems of a pipeline file in the form that editors and people know from compilers.</summary>
internal static class ProblemText
{
    public static string All(IReadOnlyCollection<Problem> problems, string file = "")
    {
        int errors = problems.Count(problem => problem.Severity == Severity.Error);
        string head = errors == 1 ? "The pipeline has a problem:" : $"The pipeline has {errors} problems:";
        return string.Join('\n', problems.Select(problem => "  " + One(problem, file)).Prepend(head));
    }

    public static string One(Problem problem, string file = "")
    {
        string place = problem.Line > 0 ? $"{file}:{problem.Line}:{Math.Max(1, problem.Column)}: ".TrimStart(':')
            : file.Length > 0 ? $"{file}: " : "";
        bool said = problem.Value.Length == 0 || IsItsKey(problem) || problem.Message.Contains(problem.Value, StringComparison.Ordinal);
        string what = problem.Field.Length == 0 ? "" : said ? $"{problem.Field}: " : $"{problem.Field}: {problem.Value}: ";
        string fix = problem.Fix.Length == 0 ? "" : $" Fix: {problem.Fix}";
        string level = problem.Severity == Severity.Warning ? "warning: " : "";
        return PlainText.Of($"{place}{level}{what}{problem.Message}{fix}");
    }

    /// <summary>Of a key that is not known, the value shown is the key.</summary>
    private static bool IsItsKey(Problem problem) =>
        problem.Field == problem.Value || problem.Field.EndsWith($".{problem.Value}", StringComparison.Ordinal);
}
