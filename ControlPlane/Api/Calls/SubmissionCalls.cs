using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.ControlPlane.Api.People;
using DeepSeekOps.ControlPlane.Clusters;
using DeepSeekOps.ControlPlane.Grains;
using DeepSeekOps.ControlPlane.Pipelines;
using DeepSeekOps.Decisions.Planning;
using DeepSeekOps.Decisions.Runs;
using DeepSeekOps.Recipes.Files;
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using Run = DeepSeekOps.Contracts.Ops.V1.Run;

namespace DeepSeekOps.ControlPlane.Api.Calls;

/// <summary>Pipelines as text: checked, forecast, submitted, cloned.</summary>
internal sealed class SubmissionCalls(
    IGrainFactory grains, KnownRuns known, WholeCluster whole, ITrainingCluster cluster, FileLooks looks, GpuPrice price,
    CheckpointRoot checkpoints, TimeProvider clock)
{
    private const int ProblemsTold = 100;

    /// <summary>A status travels in headers, of which a client takes 64 kB.</summary>
    private const int StatusBytesMax = 16 << 10;
    private const int ErrorsInWords = 20;
    private const int WordsMax = 4_000;

    public async Task<CheckPipelineReply> CheckPipeline(CheckPipelineRequest request, ServerCallContext context)
    {
        var parse = await Parse(request.Text, request.Folder, name: "", context, toRun: true);
        var reply = new CheckPipelineReply { Problems = { Told(parse.Problems) } };
        if (parse.Spec is { } sound && !parse.Errors.Any())
        {
            reply.Plan = sound.ToPlan();
        }
        // Whatever files are missing, the size of what it asks for is known.
        if ((parse.Spec ?? (await Parse(request.Text, request.Folder, "", context, known: _ => true)).Spec) is { } spec)
        {
            reply.CannotStart = await whole.Grain.CannotStart(spec, context.CancellationToken) ?? "";
        }
        return reply;
    }

    private Run Told(RunView run) => run.ToProto(clock.GetUtcNow(), price.DollarsPerHour);

    public async Task<Forecast> ForecastPipeline(CheckPipelineRequest request, ServerCallContext context)
    {
        // A forecast reads no file, so none has to be there yet: `dsops plan` says the same of the same text.
        var parse = await Parse(request.Text, request.Folder, name: "", context, known: _ => true);
        var forecast = parse.Spec is { } spec && !parse.Errors.Any() ? PipelineForecast.Of(spec).ToProto() : new Forecast();
        forecast.Problems.AddRange(Told(parse.Problems));
        return forecast;
    }

    public async Task<SubmitRunReply> SubmitRun(SubmitRunRequest request, ServerCallContext context)
    {
        var parse = await Parse(request.Text, request.Folder, request.Name, context, request.Data, toRun: true);
        if (parse.Spec is not { } spec || parse.Errors.Any())
        {
            throw Refused(parse);
        }
        // The notation and the door say the same of names; a run that one of them let in alone could not be asked for.
        Checked.Name(spec.Name, "name");
        foreach (var stage in spec.Stages)
        {
            Checked.Name(stage.Name, "stage");
        }
        ActInterceptor.Found(context, spec.Name);
        Gate.DemandTeam(context, "submit-run", spec.Name, spec.Team);
        var result = await grains.GetGrain<IRunGrain>(spec.Name).Submit(
            new RunSubmission(spec.Name, spec, request.Text) { Adopt = request.Adopt, DeclaredBy = Checked.DeclaredBy(request.DeclaredBy) },
            context.CancellationToken);
        var warnings = parse.Warnings.Select(problem => problem.ToProto());
        return result switch
        {
            SubmitResult.Created created =>
                new SubmitRunReply { Run = Told(created.Run), Created = true, Warnings = { warnings } },
            SubmitResult.Same same => new SubmitRunReply { Run = Told(same.Run), Warnings = { warnings } },
            SubmitResult.Different different => throw new RpcException(new Status(
                StatusCode.AlreadyExists,
                $"{spec.Name} exists with another pipeline. It differs in:\n  {string.Join("\n  ", different.Differences)}")),
            SubmitResult.Occupied occupied => throw new RpcException(new Status(StatusCode.FailedPrecondition, occupied.Reason)),
            _ => throw new System.Diagnostics.UnreachableException($"result {result}"),
        };
    }

    public async Task<CloneRunReply> CloneRun(CloneRunRequest request, ServerCallContext context)
    {
        string name = Checked.Name(request.Name, "name");
        string newName = Checked.Name(request.NewName, "newName");
        var submission = await grains.GetGrain<IRunGrain>(name).Submission()
            ?? throw await known.NoSuchRun(name, context.CancellationToken);
        string? stage = Checked.OptionalName(request.Stage, "stage");
        if (stage is not null && submission.Pipeline.Stages.All(s => s.Name != stage))
        {
            throw Checked.Invalid($"stage '{stage}' is not in {name}; it has "
                + $"{string.Join(", ", submission.Pipeline.Stages.Select(s => s.Name))}.");
        }
        var copy = submission.Pipeline with { Name = newName };
        return new CloneRunReply
        {
            Text = PipelineText.ToYaml(
                Checked.NotNegative(request.Nodes, "nodes") is var nodes && nodes > 0 ? copy.OnNodes(nodes, stage) : copy),
        };
    }

    public static Task<GetSchemaReply> GetSchema(GetSchemaRequest request, ServerCallContext context) =>
        Task.FromResult(new GetSchemaReply { JsonSchema = PipelineText.Schema() });

    /// <summary>A simulated cluster reads no data, so its pipelines may name files that are elsewhere.</summary>
    private Task<PipelineParse> Parse(
        string text, string folder, string name, ServerCallContext context, string data = "", bool toRun = false,
        Func<string, bool>? known = null)
    {
        string pipeline = Checked.Pipeline(text);
        string? named = Checked.OptionalName(name, "name");
        PipelineSetting[] settings = data.Length > 0 ? [new PipelineSetting("data.source", Checked.Data(data))] : [];
        Func<string, bool> exists = known
            ?? (cluster.Simulated ? _ => true : file => FileSeen.At(file).Kind is not (FileKind.Missing or FileKind.Dangling));
        bool trains = toRun && !cluster.Simulated;
        return looks.Run(
            () => PipelineText.Parse(pipeline, folder.Length > 0 ? folder : null, exists, named, settings,
                trains, trains ? new StoreTerms(checkpoints.Store, checkpoints.WithoutKeys) : null),
            PipelineText.Silent, context.CancellationToken);
    }

    /// <summary>More than a person mends before he looks again would only make the answer too large.</summary>
    private static List<Problem> Told(IEnumerable<PipelineProblem> problems)
    {
        var told = problems.Take(ProblemsTold + 1).Select(problem => problem.ToProto()).ToList();
        if (told.Count > ProblemsTold)
        {
            told[ProblemsTold] = new Problem
            {
                Severity = Severity.Error, Line = told[ProblemsTold].Line, Column = told[ProblemsTold].Column,
                Message = $"There are more problems from here on; these are the first {ProblemsTold}.", Fix = "Mend these first.",
            };
        }

        return told;
    }

    private static string InWords(IReadOnlyList<string> errors)
    {
        string words = string.Join('\n', errors.Take(ErrorsInWords));
        words = words.Length <= WordsMax ? words : string.Concat(words.AsSpan(0, WordsMax), "…");
        return errors.Count <= ErrorsInWords ? words : $"{words}\nand {errors.Count - ErrorsInWords} more; fix these first.";
    }

    /// <summary>All problems at once, as a detail for programs and in words for people.</summary>
    private static RpcException Refused(PipelineParse parse)
    {
        var problems = new PipelineProblems { Problems = { Bounded.First([.. Told(parse.Problems)], StatusBytesMax) } };
        return new Google.Rpc.Status
        {
            Code = (int)StatusCode.InvalidArgument,
            Message = InWords([.. parse.Errors.Select(problem => problem.ToString())]),
            Details = { Any.Pack(problems) },
        }.ToRpcException();
    }
}
