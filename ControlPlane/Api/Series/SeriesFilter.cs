using System.Data.Common;
using DeepSeekOps.ControlPlane.Grains;
using DeepSeekOps.ControlPlane.Storage;

namespace DeepSeekOps.ControlPlane.Api.Series;

/// <summary>
/// Before the first byte of a series: 503 where the database gives no answer, 404 where there is no such run or stage. An empty file
/// with the status of a good one would say that the run has no points.
/// </summary>
internal sealed class SeriesFilter(RunListQueries runs, IGrainFactory grains, HealthBoard health, TimeProvider clock) : IEndpointFilter
{
    /// <summary>
    /// As long as a page takes to tell that a server hangs. What follows may take longer: ten series of a million points are read.
    /// </summary>
    internal static readonly TimeSpan AnswersWithin = TimeSpan.FromSeconds(5);

    private const string NoAnswer = "The database gives no answer. Look at its own log and at the machine it runs on. Then try again.";

    public async ValueTask<object?> InvokeAsync(EndpointFilterInvocationContext context, EndpointFilterDelegate next)
    {
        var http = context.HttpContext;
        var (run, stage) = (http.Request.Query["run"].ToString(), http.Request.Query["stage"].ToString());
        try
        {
            // On a thread of its own: SQLite waits in the call.
            string? absent = await Task.Run(() => Absent(run, stage, http.RequestAborted))
                .WaitAsync(AnswersWithin, clock, http.RequestAborted);
            return absent is null ? await next(context)
                : Results.Problem(statusCode: StatusCodes.Status404NotFound, title: "Not found", detail: absent);
        }
        catch (Exception e) when (e is DbException or TimeoutException or IOException or InvalidOperationException
            && (e is TimeoutException || health.WordsFor(e) is not null))
        {
            return Results.Problem(statusCode: StatusCodes.Status503ServiceUnavailable, title: "The database cannot be read",
                detail: health.WordsFor(e) ?? NoAnswer);
        }
    }

    /// <summary>Null: run and stage are there, or what is wrong with their names is told by their parser.</summary>
    private async Task<string?> Absent(string run, string stage, CancellationToken cancellation)
    {
        bool listed = await runs.Knows(run, cancellation);
        if (!Checked.CouldBeKept(run))
        {
            return null;
        }

        // A run that was submitted just now is listed a moment later.
        if (await grains.GetGrain<IRunGrain>(run).Describe() is not { } view)
        {
            return listed ? null : $"There is no run named '{Checked.Shown(run)}'. GET /v1/runs lists those there are.";
        }

        return stage.Length == 0 || view.Stages.Any(s => s.Name == stage) ? null
            : $"{run} has no stage '{Checked.Shown(stage)}'. Its stages are: {string.Join(", ", view.Stages.Select(s => s.Name))}.";
    }
}
