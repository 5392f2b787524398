using System.Collections.Immutable;
using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.ControlPlane.Cli.Questions;
using DeepSeekOps.ControlPlane.Cli.Verbs;
using DeepSeekOps.ControlPlane.Client;
using DeepSeekOps.ControlPlane.Pipelines;
using DeepSeekOps.Decisions.Recipes;
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;

namespace DeepSeekOps.ControlPlane.Cli.Asking;

/// <summary>What somebody asks about.</summary>
/// <param name="Run">Empty: none is named.</param>
/// <param name="Stage">Empty: any. With an incident's number it is that one, else the newest.</param>
internal sealed record Subject(string Run, string Stage = "", int Incident = 0)
{
    /// <summary>"Last night" is within a day.</summary>
    public static readonly TimeSpan UsualSince = TimeSpan.FromHours(24);

    public TimeSpan Since { get; init; } = UsualSince;
}

/// <summary>Asks the control plane for what a question is answered from, and for nothing else.</summary>
/// <param name="site">Where the dashboard is.</param>
internal sealed class FactReader(OpsService.OpsServiceClient client, string site, CancellationToken cancellation)
{
    private const int PageMost = 1_000;
    private const int RunsListed = 100;

    /// <summary>What has been refused for a week nobody waits for.</summary>
    private static readonly TimeSpan FailedLately = TimeSpan.FromDays(7);

    /// <summary>Each is a call; as many as `dsops compare` takes.</summary>
    private const int RunsCompared = 32;

    /// <summary>Steps looked at, of now and of before: enough for a median that one slow step does not move.</summary>
    private const int StepsLooked = 5;

    /// <summary>Of a stage that has made fewer, halfway is now.</summary>
    private const int StepsApart = 4 * StepsLooked;

    /// <summary>The incidents in which the newest with a cause is looked for: silences that ended by themselves have none.</summary>
    private const int IncidentsLooked = 20;

    private CallOptions Options => ControlPlaneConnection.Options(cancellation);

    public async Task<Facts> Read(Question question, Subject about)
    {
        var needs = question.Needs | question.Wants;
        var facts = new Facts(TimeProvider.System.GetUtcNow(), about.Since) { Site = site, Name = about.Run };
        if (needs.HasFlag(Need.Run))
        {
            facts = facts with { Run = await client.GetRunAsync(new GetRunRequest { Name = about.Run }, Options) };
        }

        // What follows may need the run that was read before it.
        foreach (var (need, read) in Readers(question, about))
        {
            try
            {
                facts = needs.HasFlag(need) ? await read(facts) : facts;
            }
            catch (RpcException e) when (e.StatusCode is StatusCode.PermissionDenied)
            {
                facts = facts with { Missing = facts.Missing.Add(need, $"it may not be looked at here: {e.Status.Detail}") };
            }
        }

        return facts;
    }

    private IEnumerable<(Need Need, Func<Facts, Task<Facts>> Read)> Readers(Question question, Subject about) =>
    [
        (Need.Incident, async facts => facts with { Incident = await Incident(about) }),
        (Need.Incidents, facts => Incidents(facts, question, about)),
        (Need.Checkpoints, async facts => facts with
        {
            Checkpoints = (await CheckpointsVerb.All(client, about.Run, "", cancellation)).Checkpoints,
        }),
        (Need.Cluster, async facts => facts with { Cluster = await client.GetClusterAsync(new GetClusterRequest(), Options) }),
        (Need.Events, async facts => facts with { Events = await EventsVerb.OfRun(client, about.Run, 0, cancellation) }),
        (Need.Runs, async facts => facts with { Standing = await Standing(facts) }),
        (Need.AllRuns, async facts => facts with
        {
            Runs = await client.ListRunsAsync(new ListRunsRequest { PageSize = RunsListed }, Options),
        }),
        (Need.Health, async facts => facts with
        {
            Health = await client.GetHealthAsync(new GetHealthRequest(), Options),
            Version = await client.GetVersionAsync(new GetVersionRequest(), Options),
        }),
        (Need.Audit, async facts => facts with { Audit = await Audit(facts, question, about) }),
        (Need.Series, async facts => facts with
        {
            Series = (await client.ListSeriesAsync(new ListSeriesRequest { Run = about.Run }, Options)).Series,
        }),
        (Need.Trace, async facts => facts with { Trace = await Trace(about) }),
        (Need.Alike, Alike),
        (Need.Pace, Pace),
    ];

    /// <summary>Without an incident in it where there has been none.</summary>
    private async Task<IncidentReport> Incident(Subject about)
    {
        if (about.Incident > 0)
        {
            return await client.GetIncidentAsync(new GetIncidentRequest { Run = about.Run, Stage = about.Stage, Number = about.Incident },
                Options);
        }

        var list = await client.ListIncidentsAsync(new ListIncidentsRequest { Run = about.Run, PageSize = IncidentsLooked }, Options);
        var those = list.Incidents.Where(i => about.Stage.Length == 0 || i.Stage == about.Stage).ToList();
        return (those.FirstOrDefault(i => i.Diagnosis is not null) ?? those.FirstOrDefault()) is not { } found
            ? new IncidentReport { Simulated = list.Simulated }
            : await client.GetIncidentAsync(new GetIncidentRequest { Run = found.Run, Stage = found.Stage, Number = found.Number },
                Options);
    }

    private async Task<Facts> Incidents(Facts facts, Question question, Subject about)
    {
        var request = new ListIncidentsRequest { Run = about.Run, PageSize = PageMost };
        if (question.About == About.AnyRun)
        {
            request.Since = Timestamp.FromDateTimeOffset(facts.Now - about.Since);
        }

        var reply = await client.ListIncidentsAsync(request, Options);
        return facts with { Incidents = reply, Over = [.. await IncidentsVerb.Over(client, reply, cancellation)] };
    }

    private async Task<IReadOnlyList<RunSummary>> Standing(Facts facts)
    {
        var failed = await client.ListRunsAsync(new ListRunsRequest { State = "failed", PageSize = RunsListed }, Options);
        var paused = await client.ListRunsAsync(new ListRunsRequest { State = "paused", PageSize = RunsListed }, Options);
        var queued = await client.ListRunsAsync(new ListRunsRequest { State = "queued", PageSize = RunsListed }, Options);
        return
        [
            .. queued.Runs.Where(r => r.Reason.Contains(OfAttention.NeverStarts, StringComparison.Ordinal)),
            .. failed.Runs.Where(r => r.EndedAt is not { } ended || facts.Now - ended.ToDateTimeOffset() <= FailedLately), .. paused.Runs,
        ];
    }

    /// <summary>Of a run all of its acts may be asked about; what happened meanwhile is of a time.</summary>
    private async Task<IReadOnlyList<AuditLine>> Audit(Facts facts, Question question, Subject about)
    {
        var request = new ListAuditRequest { Run = about.Run, PageSize = PageMost };
        if (question.About == About.AnyRun)
        {
            request.Since = Timestamp.FromDateTimeOffset(facts.Now - about.Since);
        }

        return (await client.ListAuditAsync(request, Options)).Lines;
    }

    private async Task<Trace?> Trace(Subject about)
    {
        try
        {
            return await client.GetTraceAsync(new GetTraceRequest { Run = about.Run, WithoutSpans = true }, Options);
        }
        catch (RpcException e) when (e.StatusCode == StatusCode.NotFound)
        {
            return null;
        }
    }

    private async Task<Facts> Alike(Facts facts)
    {
        var own = facts.Run!;
        if (PipelineText.Parse(own.Pipeline).Spec is not { } spec)
        {
            return facts with { Missing = facts.Missing.Add(Need.Alike, $"this version does not read the pipeline of {own.Name}") };
        }

        var list = await client.ListRunsAsync(new ListRunsRequest { PageSize = PageMost }, Options);
        string[] stages = [.. own.Stages.Select(s => s.Name)];
        var others = list.Runs.Where(r => r.Name != own.Name && r.Parameters == own.Parameters
            && r.Stages.Select(s => s.Name).SequenceEqual(stages))
            .OrderByDescending(r => r.SubmittedAt?.ToDateTimeOffset()).Take(RunsCompared);
        var runs = await Task.WhenAll(others.Select(r => client.GetRunAsync(new GetRunRequest { Name = r.Name }, Options).ResponseAsync));
        return facts with
        {
            Alike =
            [
                .. runs.Select(run => (Run: run, PipelineText.Parse(run.Pipeline).Spec)).Where(other => other.Spec is not null)
                    .Select(other => new AlikeRun(other.Run.Name, other.Run.SubmittedAt?.ToDateTimeOffset() ?? default,
                        Differences(other.Spec!, spec)))
                    .OrderBy(alike => alike.Differences.Length).ThenByDescending(alike => alike.SubmittedAt),
            ],
        };
    }

    /// <summary>Each has its own name.</summary>
    private static ImmutableArray<DifferentField> Differences(PipelineSpec other, PipelineSpec own) =>
        [.. PipelineDiff.Fields([other, own]).Where(field => field.Path != "name")];

    private async Task<Facts> Pace(Facts facts)
    {
        const string Name = "tokens_per_second";
        if (facts.Stage is not { } stage)
        {
            return facts;
        }

        var list = await client.ListSeriesAsync(new ListSeriesRequest { Run = facts.Name, Stage = stage.Name }, Options);
        if (list.Series.FirstOrDefault(s => s.Name == Name) is not { } speed || speed.LastStep - speed.FirstStep < StepsApart)
        {
            return facts;
        }

        return facts with
        {
            PaceBefore = await Around(speed.FirstStep + ((speed.LastStep - speed.FirstStep) / 2)),
            PaceNow = await Around(speed.LastStep),
        };

        async Task<IReadOnlyList<Speed>> Around(long last)
        {
            long[] steps = [.. Enumerable.Range(0, StepsLooked).Select(back => last - back)];
            var told = await Task.WhenAll(steps.Select(step => client.ListSeriesAsync(
                new ListSeriesRequest { Run = facts.Name, Stage = stage.Name, AtStep = step }, Options).ResponseAsync));
            return [.. told.Zip(steps).Select(one => (Step: one.Second, Series: one.First.Series.FirstOrDefault(s => s.Name == Name)))
                .Where(one => one.Series is { HasAtStep: true } && double.IsFinite(one.Series.AtStep))
                .Select(one => new Speed(one.Step, one.Series!.AtStep))];
        }
    }
}
