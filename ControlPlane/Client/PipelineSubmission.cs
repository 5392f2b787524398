using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.ControlPlane.Pipelines;
using DeepSeekOps.Recipes;
using DeepSeekOps.Recipes.Data;
using Grpc.Core;

namespace DeepSeekOps.ControlPlane.Client;

/// <summary>A pipeline file on its way to the control plane: `dsops submit FILE` and `dsops dev --submit FILE`.</summary>
internal static class PipelineSubmission
{
    /// <summary>More than a pipeline may have, so that one too long is told as such.</summary>
    public const int BytesMax = 8 << 20;

    public static async Task<string> Read(string path, CancellationToken cancellation)
    {
        if (Directory.Exists(path))
        {
            throw new RefusalException($"{path} is a folder.", "Name a pipeline file in it.");
        }
        try
        {
            return path == "-" ? await Console.In.ReadToEndAsync(cancellation) : await FileLooks.ReadText(path, BytesMax, cancellation);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or BadInputException)
        {
            throw new RefusalException($"Cannot read {path}: {e.Message}",
                "Check the path of the pipeline file, or pipe its text in: dsops submit -", ExitCode.Failed, e);
        }
    }

    /// <summary>Problems name the file, as a compiler does.</summary>
    public static async Task<SubmitRunReply> Submit(
        OpsService.OpsServiceClient client, string path, string text, string name, CancellationToken cancellation, string? data = null,
        bool adopt = false)
    {
        try
        {
            return await client.SubmitRunAsync(
                new SubmitRunRequest { Text = text, Name = name, Folder = FolderOf(path), Data = Here(data), Adopt = adopt },
                ControlPlaneConnection.Options(cancellation));
        }
        catch (RpcException e) when (e.StatusCode == StatusCode.InvalidArgument
            && RpcFailure.ProblemsOf(e) is { Problems.Count: > 0 } found)
        {
            throw new RefusalException(ProblemText.All(found.Problems, path == "-" ? "" : path), "Correct the file and submit it again.",
                ExitCode.Failed, e)
            {
                Problems = found.Problems,
            };
        }
        catch (RpcException e) when (e.StatusCode == StatusCode.AlreadyExists)
        {
            throw new RefusalException(e.Status.Detail, "Give this one another name (--name NAME, or `name:` in the file).",
                ExitCode.Failed, e);
        }
    }

    /// <summary>Paths on the command line begin where it was typed, not at the pipeline's file.</summary>
    private static string Here(string? data) => data is null ? ""
        : DataSource.IsBuiltin(data) ? data : DataSource.Join(DataSource.Split(data).Select(Path.GetFullPath));

    private static string FolderOf(string path) =>
        Path.GetFullPath(path == "-" ? "." : Path.GetDirectoryName(path) is { Length: > 0 } folder ? folder : ".");
}
