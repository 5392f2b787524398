using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.ControlPlane.Api.People;
using DeepSeekOps.ControlPlane.Client;
using DeepSeekOps.ControlPlane.Clusters.Kubernetes;
using DeepSeekOps.ControlPlane.Grains;
using DeepSeekOps.Decisions.Runs;
using Grpc.Core;

namespace DeepSeekOps.ControlPlane.Hosting;

/// <summary>
/// TrainingPipelines and their runs: each second it looks, asks the planner for the next step of each, and does it. Submissions go through
/// the same door as those of people.
/// </summary>
internal sealed partial class DeclaredPipelines(
    TrainingPipelines pipelines, HouseClient house, IGrainFactory grains, TimeProvider clock,
    FirstSilo first, ILogger<DeclaredPipelines> log) : BackgroundService
{
    private static readonly TimeSpan Every = TimeSpan.FromSeconds(1);

    /// <summary>
    /// By uid, what this process did to a resource and when. It is only about how often: what begins after us does it at once.
    /// </summary>
    private Dictionary<string, Lately> lately = new(StringComparer.Ordinal);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(Every, clock);
        try
        {
            do
            {
                var all = await pipelines.Seen(stoppingToken);
                lately = all.ToDictionary(p => p.Uid, p => lately.GetValueOrDefault(p.Uid) ?? new Lately(), StringComparer.Ordinal);
                // Of several silos one does it. While that changes two may: what both do is refused to the second, or the same.
                foreach (var seen in first.IsUs ? all : [])
                {
                    await Turn(seen, lately[seen.Uid], stoppingToken);
                }
            }
            while (await timer.WaitForNextTickAsync(stoppingToken));
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            // The control plane stops; resources stay as they are, and so do their runs.
        }
    }

    private async Task Turn(SeenPipeline seen, Lately before, CancellationToken cancellation)
    {
        var run = await Find(seen.Declared.Watched);
        var decision = DeclarationPlanner.Decide(
            seen.Declared, run, clock.GetUtcNow(), Since(before.Tried), Since(before.Told));
        if (decision.Step is not (DeclarationStep.Stay or DeclarationStep.Tell) && before.Reason != decision.Reason)
        {
            LogStep(decision.Reason);
            before.Reason = decision.Reason;
        }

        try
        {
            await Do(seen, decision.Step, before, cancellation);
            before.Trouble = "";
        }
        catch (ClusterCallException e)
        {
            // What was decided on an older version of the object is refused (409), and decided again on the new one.
            if (e.Code != System.Net.HttpStatusCode.Conflict && before.Trouble != e.Message)
            {
                before.Trouble = e.Message;
                LogTrouble(seen.Declared.Resource, e.Message);
            }
        }
    }

    private async Task Do(SeenPipeline seen, DeclarationStep step, Lately before, CancellationToken cancellation)
    {
        switch (step)
        {
            case DeclarationStep.Hold hold:
                await pipelines.Hold(seen, hold.Run, cancellation);
                break;
            case DeclarationStep.LetGo:
                await pipelines.LetGo(seen, cancellation);
                break;
            case DeclarationStep.Tell tell:
                await Tell(seen, tell.Status, before, cancellation);
                break;
            case DeclarationStep.Cancel cancel:
                await Cancel(cancel.Run, seen.Declared.Resource, cancellation);
                break;
            case DeclarationStep.Submit:
                before.Tried = clock.GetTimestamp();
                if (await Submit(seen, cancellation) is { } answer)
                {
                    var run = await Find(seen.Declared.Watched);
                    await Tell(seen, DeclarationPlanner.StatusOf(seen.Declared, run, answer, clock.GetUtcNow()), before, cancellation);
                }

                break;
            case DeclarationStep.Stay:
                break;
            default:
                throw new System.Diagnostics.UnreachableException($"step {step}");
        }
    }

    private async Task Tell(SeenPipeline seen, DeclarationStatus status, Lately before, CancellationToken cancellation)
    {
        await pipelines.Tell(seen, status, cancellation);
        before.Told = clock.GetTimestamp();
    }

    /// <summary>Null: nobody could say; the next round asks again.</summary>
    private async Task<DeclarationAnswer?> Submit(SeenPipeline seen, CancellationToken cancellation)
    {
        try
        {
            await house.Client.SubmitRunAsync(
                new SubmitRunRequest { Text = seen.Text, DeclaredBy = seen.Declared.Resource },
                ControlPlaneConnection.Options(cancellation).WithHeaders(new Metadata { { TokenHeader.Door, OpsActs.Kubectl } }));
            return DeclarationAnswer.Taken;
        }
        catch (RpcException e) when (e.StatusCode == StatusCode.InvalidArgument)
        {
            // The text was made from the object, so its lines are nobody's; its fields are those of the spec.
            var problems = RpcFailure.ProblemsOf(e)?.Problems.Where(p => p.Severity == Severity.Error).ToList() ?? [];
            return new DeclarationAnswer(DeclarationVerdict.Refused, problems.Count == 0 ? e.Status.Detail
                : string.Join('\n', problems.Select(p => ProblemText.One(new Problem(p) { Line = 0 }))));
        }
        catch (RpcException e) when (e.StatusCode == StatusCode.AlreadyExists)
        {
            return new DeclarationAnswer(DeclarationVerdict.SpecChanged, $"{e.Status.Detail}\nThe run goes on with the pipeline that it "
                + "began with. Fix: put the spec back, or apply the changed one as a resource of another name.");
        }
        catch (RpcException e) when (e.StatusCode == StatusCode.FailedPrecondition)
        {
            return new DeclarationAnswer(DeclarationVerdict.Refused, e.Status.Detail);
        }
        catch (RpcException e) when (!cancellation.IsCancellationRequested)
        {
            LogTrouble(seen.Declared.Resource, e.Status.Detail);
            return null;
        }
    }

    private async Task Cancel(string run, string resource, CancellationToken cancellation)
    {
        try
        {
            Asked.For(OpsActs.OfResource("cancel-run", run, resource, $"{resource} was deleted", clock.GetUtcNow()));
            await grains.GetGrain<IRunGrain>(run).Cancel($"{resource} was deleted", cancellation);
        }
        catch (Exception e) when (Away(e))
        {
            LogTrouble(resource, e.Message);
        }
        finally
        {
            Asked.ForNothing();
        }
    }

    private async Task<RunFound> Find(string run)
    {
        if (!Api.Checked.CouldBeKept(run))
        {
            return new RunFound.None();
        }

        try
        {
            return await grains.GetGrain<IRunGrain>(run).Summary() is { } there ? new RunFound.There(there) : new RunFound.None();
        }
        catch (Exception e) when (Away(e))
        {
            return new RunFound.Unknown(e.Message);
        }
    }

    /// <summary>The grain's silo or its database is away, or starts; the next round asks again.</summary>
    private static bool Away(Exception e) => e is OrleansException or TimeoutException or System.Data.Common.DbException or IOException
        or InvalidOperationException;

    private TimeSpan? Since(long? stamp) => stamp is { } at ? clock.GetElapsedTime(at) : null;

    private sealed class Lately
    {
        public long? Tried { get; set; }

        public long? Told { get; set; }

        public string Reason { get; set; } = "";

        public string Trouble { get; set; } = "";
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "{Reason}")]
    private partial void LogStep(string reason);

    [LoggerMessage(Level = LogLevel.Warning, Message = "{Resource}: {Why}")]
    private partial void LogTrouble(string resource, string why);
}
