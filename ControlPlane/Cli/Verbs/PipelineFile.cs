using DeepSeekOps.ControlPlane.Pipelines;

namespace DeepSeekOps.ControlPlane.Cli.Verbs;

/// <summary>A pipeline from a file, for the verbs that need no control plane.</summary>
internal static class PipelineFile
{
    public static async Task<Decisions.Runs.PipelineSpec> Read(string file, Terminal terminal, CancellationToken cancellation)
    {
        string text;
        try
        {
            text = await File.ReadAllTextAsync(file, cancellation);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new RefusalException($"'{file}' cannot be read: {e.Message}", "Name a pipeline file, such as deploy/examples/deepseek-v3.yaml.", cause: e);
        }
        var pipeline = PipelineText.Parse(text, Path.GetDirectoryName(Path.GetFullPath(file)));
        foreach (var warning in pipeline.Warnings)
        {
            await terminal.Error.WriteLineAsync($"warning: {file}:{warning}");
        }
        return pipeline.Spec ?? throw new RefusalException(
            string.Join('\n', pipeline.Errors.Select(p => $"{file}:{p}")), "Correct the places named.");
    }
}
