using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.ControlPlane.Api;
using DeepSeekOps.ControlPlane.Client;
using DeepSeekOps.ControlPlane.Pipelines;
using DeepSeekOps.Recipes;

namespace DeepSeekOps.ControlPlane.Cli.Verbs;

/// <summary>A pipeline from a file, for the verbs that need no control plane.</summary>
internal static class PipelineFile
{
    public static async Task<Decisions.Recipes.PipelineSpec> Read(string file, Terminal terminal, CancellationToken cancellation)
    {
        string text;
        try
        {
            text = await FileLooks.ReadText(file, PipelineSubmission.BytesMax, cancellation);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or BadInputException)
        {
            throw new RefusalException($"'{file}' cannot be read: {e.Message}",
                "Name a pipeline file, such as deploy/examples/deepseek-v3.yaml.", cause: e);
        }
        var pipeline = PipelineText.Parse(text, Path.GetDirectoryName(Path.GetFullPath(file)));
        foreach (var warning in pipeline.Warnings)
        {
            await terminal.Error.WriteLineAsync($"warning: {file}:{warning}");
        }
        return pipeline.Spec ?? throw Refused(pipeline, file, "Correct the places named.");
    }

    public static RefusalException Refused(PipelineParse pipeline, string file, string fix)
    {
        Problem[] problems = [.. pipeline.Problems.Select(problem => problem.ToProto())];
        return new RefusalException(ProblemText.All(problems, file), fix) { Problems = problems };
    }
}
