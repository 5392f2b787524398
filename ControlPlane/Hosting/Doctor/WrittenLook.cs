using DeepSeekOps.ControlPlane.Client;
using DeepSeekOps.ControlPlane.Pipelines;
using DeepSeekOps.Decisions.Doctor;
using DeepSeekOps.Decisions.Planning;
using DeepSeekOps.Recipes;

namespace DeepSeekOps.ControlPlane.Hosting.Doctor;

/// <summary>What people wrote: the cluster's settings, and the pipeline that is to be submitted.</summary>
internal static class WrittenLook
{
    public static async Task<(WrittenFacts Facts, ClusterSettings? Settings)> Settings(
        string? file, int? nodes, CancellationToken cancellation)
    {
        var facts = new WrittenFacts("settings.file", file);
        var (text, unreadable) =
            await Text("--cluster-settings", file, SettingsFile.BytesMax, "Begin from deploy/examples/cluster.yaml.", cancellation);
        if (text is null)
        {
            return (facts with { Unreadable = unreadable }, file is null ? new ClusterSettings() : null);
        }

        var parse = ClusterSettingsText.Parse(text, nodes);
        return (facts with { Problems = [.. parse.Problems.Select(p => Of(file!, p))] }, parse.Settings);
    }

    /// <summary>With the bytes of its largest checkpoint, and the store that it names.</summary>
    public static async Task<(WrittenFacts Facts, double CheckpointBytes, string Store)> Pipeline(
        string? file, CancellationToken cancellation)
    {
        var facts = new WrittenFacts("settings.pipeline", file);
        var (text, unreadable) = await Text("--submit", file, PipelineSubmission.BytesMax, "Begin from deploy/examples/mini.yaml.",
            cancellation);
        if (text is null)
        {
            return (facts with { Unreadable = unreadable }, 0, "");
        }

        // Its data is looked for by the submission, with patience for each file.
        var parse = PipelineText.Parse(text, Path.GetDirectoryName(Path.GetFullPath(file!)));
        facts = facts with { Problems = [.. parse.Problems.Select(p => Of(file!, p))] };
        return parse.Spec is not { } spec ? (facts, 0, "")
            : (facts, PipelineForecast.Of(spec).Stages.Max(s => s.CheckpointBytes), spec.Checkpoints.Store);
    }

    /// <summary>Files with secrets that settings and options name, and what names them.</summary>
    public static IEnumerable<(string By, string Path)> Secrets(
        ClusterSettings settings, string? databaseFile, string? clientSecretFile = null)
    {
        if (settings.Notifications is { WebhookFile: { Length: > 0 } webhook })
        {
            yield return ("notifications.webhookFile", webhook);
        }

        if (settings.Notifications?.Mail is { PasswordFile: { Length: > 0 } password })
        {
            yield return ("notifications.mail.passwordFile", password);
        }

        if (clientSecretFile is { Length: > 0 } client)
        {
            yield return ("--oidc-client-secret-file", client);
        }

        // A pipe of the shell is read once, and was.
        if (databaseFile is { Length: > 0 } database && File.Exists(database)
            && File.GetAttributes(database).HasFlag(FileAttributes.Normal))
        {
            yield return ("--database-file", database);
        }
    }

    private static WrittenProblem Of(string file, PipelineProblem problem) => new(
        $"{file}:{problem.Line}:{problem.Column}{(problem.Field.Length > 0 ? $" {problem.Field}" : "")}", problem.Message, problem.Fix,
        problem.Severity == ProblemSeverity.Error);

    private static async Task<(string? Text, (string What, string Fix)? Unreadable)> Text(
        string option, string? file, int most, string fix, CancellationToken cancellation)
    {
        try
        {
            return (file is null ? null : await FileLooks.ReadText(file, most, cancellation), null);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or BadInputException)
        {
            return (null, ($"{option} {file} cannot be read: {e.Message}", fix));
        }
    }
}
