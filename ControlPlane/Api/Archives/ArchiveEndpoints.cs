using System.Data.Common;
using DeepSeekOps.ControlPlane.Api.People;
using DeepSeekOps.ControlPlane.Storage.Backups;
using DeepSeekOps.Decisions.People;
using Grpc.Core;
using Microsoft.AspNetCore.Http.Features;

namespace DeepSeekOps.ControlPlane.Api.Archives;

/// <summary>A whole run as a file, out and in. No calls of gRPC: a file may be larger than any message.</summary>
internal static class ArchiveEndpoints
{
    public const string Path = "/archives";

    /// <summary>Ours: a run of 57 days on 2,048 simulated GPUs has a tenth of it.</summary>
    private const long BytesMax = 4L << 30;

    public static void AddArchives(this IServiceCollection services) => services.AddSingleton<RunPorter>();

    public static void MapArchives(this IEndpointRouteBuilder routes)
    {
        routes.MapGet(Path, Leave).WithMetadata(new NeededRight("export-run", new Need(Role.Viewer, Reach.Run)));
        // A history that somebody made up is believed by all who read it.
        routes.MapPost(Path, Come).WithMetadata(new NeededRight(RunPorter.Import, new Need(Role.Admin, Reach.InTheText)))
            .DisableAntiforgery();
    }

    private static Task<IResult> Leave(HttpContext http, RunPorter porter) => InWords(http, async () =>
    {
        string run = Checked.Name(http.Request.Query["run"].ToString(), "run");
        var file = PassingFile.Create();
        try
        {
            await porter.Export(run, file, http.RequestAborted);
            file.Position = 0;
            // It is deleted when it has been sent.
            return Results.Stream(file, "application/octet-stream", $"{run}.dsops");
        }
        catch
        {
            await file.DisposeAsync();
            throw;
        }
    });

    private static Task<IResult> Come(HttpContext http, RunPorter porter) => InWords(http, async () =>
    {
        if (http.Features.Get<IHttpMaxRequestBodySizeFeature>() is { IsReadOnly: false } size)
        {
            size.MaxRequestBodySize = BytesMax;
        }

        await using var file = PassingFile.Create();
        await http.Request.Body.CopyToAsync(file, http.RequestAborted);
        file.Position = 0;
        return Results.Json(await porter.Bring(http, file, http.RequestAborted));
    });

    private static async Task<IResult> InWords(HttpContext http, Func<Task<IResult>> work)
    {
        try
        {
            return await work();
        }
        catch (BackupUnusableException e)
        {
            return Problem(StatusCodes.Status422UnprocessableEntity, $"{char.ToUpperInvariant(e.Message[0])}{e.Message[1..]}.", e.Fix);
        }
        catch (RpcException e)
        {
            return Problem(StatusOf(e.StatusCode), e.Status.Detail, "");
        }
        catch (BadHttpRequestException e)
        {
            return Problem(e.StatusCode, e.Message, FormattableString.Invariant($"A file has at most {BytesMax >> 30} GB."));
        }
        catch (IOException e) when (!http.RequestAborted.IsCancellationRequested)
        {
            return Problem(StatusCodes.Status507InsufficientStorage, $"The file could not be kept: {e.Message.TrimEnd('.')}.",
                $"Free space in {System.IO.Path.GetTempPath()} of the control plane.");
        }
        catch (Exception e) when (e is DbException or TimeoutException
            && http.RequestServices.GetRequiredService<HealthBoard>().WordsFor(e) is { } words)
        {
            return Problem(StatusCodes.Status503ServiceUnavailable, words, "Then try again: what is there already is not put in twice.");
        }
    }

    private static IResult Problem(int status, string detail, string fix) => Results.Problem(statusCode: status,
        title: "The run was not moved", detail: detail, extensions: new Dictionary<string, object?> { ["fix"] = fix });

    private static int StatusOf(StatusCode code) => code switch
    {
        StatusCode.NotFound => StatusCodes.Status404NotFound,
        StatusCode.InvalidArgument => StatusCodes.Status400BadRequest,
        StatusCode.PermissionDenied => StatusCodes.Status403Forbidden,
        StatusCode.AlreadyExists or StatusCode.FailedPrecondition => StatusCodes.Status409Conflict,
        StatusCode.Unavailable => StatusCodes.Status503ServiceUnavailable,
        _ => StatusCodes.Status500InternalServerError,
    };
}
