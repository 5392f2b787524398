using System.Collections.Immutable;

namespace DeepSeekOps.Decisions.Doctor;

/// <summary>A mistake in a file that a person wrote.</summary>
/// <param name="Where">"cluster.yaml:12:5 teams[0].gpus".</param>
public sealed record WrittenProblem(string Where, string What, string Fix, bool Hinders);

/// <summary>A file that a person wrote for dsops.</summary>
/// <param name="Check">"settings.file" or "settings.pipeline".</param>
/// <param name="Path">Null: none was named.</param>
public sealed record WrittenFacts(string Check, string? Path)
{
    /// <summary>Why it cannot be read, and what to do; null: it can.</summary>
    public (string What, string Fix)? Unreadable { get; init; }

    public ImmutableArray<WrittenProblem> Problems { get; init; } = [];
}

/// <summary>A file with a secret that settings or an option name.</summary>
/// <param name="By">"notifications.webhookFile".</param>
public sealed record SecretFacts(string By, string Path, int? Mode)
{
    /// <summary>Why it cannot be read; empty: it can.</summary>
    public string Trouble { get; init; } = "";
}

/// <summary>Whether what people wrote can be used.</summary>
public static class SettingsCheck
{
    private const int Others = 0b111_111;

    public static ImmutableArray<Finding> Of(WrittenFacts seen) => seen switch
    {
        { Path: null } => [],
        { Unreadable: { } why } => [Finding.Fault(seen.Check, why.What.TrimEnd('.'), why.Fix)],
        { Problems.IsEmpty: true } => [Finding.Ok(seen.Check, $"{seen.Path} is right")],
        _ =>
        [
            .. seen.Problems.Select(p => new Finding(seen.Check, p.Hinders ? FindingLevel.Fault : FindingLevel.Warning,
                $"{p.Where}: {p.What.TrimEnd('.')}", p.Fix)),
        ],
    };

    public static Finding Of(SecretFacts seen)
    {
        const string check = "settings.secrets";
        return seen.Trouble.Length > 0
            ? Finding.Fault(check, $"{seen.By} names {seen.Path}, which cannot be read: {seen.Trouble}",
                "Put the file there, readable for the user of dsops alone.")
            : seen.Mode is { } mode && (mode & Others) != 0
            ? Finding.Warning(check, $"{seen.By}: others may read {seen.Path} (mode {FolderCheck.Octal(mode)})",
                $"`chmod 600 {seen.Path}`.")
            : seen.Mode is null ? Finding.NotKnown(check, $"{seen.By}: who may read {seen.Path} this system does not tell")
            : Finding.Ok(check, $"{seen.By}: {seen.Path} is read by its owner alone");
    }
}
