using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.Contracts.Worker.V1;
using DeepSeekOps.ControlPlane.Clusters;
using DeepSeekOps.ControlPlane.Clusters.Generation;
using DeepSeekOps.ControlPlane.Storage;
using DeepSeekOps.Decisions;
using DeepSeekOps.Decisions.Checkpoints;
using Grpc.Core;

namespace DeepSeekOps.ControlPlane.Api.Calls;

/// <summary>Trying a checkpoint. Its folder is what the ledger says of it; no path comes from outside.</summary>
internal sealed class TryCalls(
    KnownRuns known, HistoryQueries history, ITrainingCluster cluster, Generations generations, CheckpointRoot checkpoints,
    CallStreams streams)
{
    public Task Generate(GenerateRequest request, IServerStreamWriter<GenerateReply> responseStream, ServerCallContext context) =>
        streams.UntilGone(context, async token =>
        {
            var stage = Checked.Stage(request.Run, request.Stage);
            var prompt = new Prompt
            {
                Text = Checked.Prompt(request.Prompt), Chat = request.Chat, Temperature = Checked.Temperature(request.Temperature),
                MaxTokens = Checked.NewTokens(request.MaxTokens), Seed = request.Seed, Speculate = !request.NoSpeculation,
            };
            long? step = request.HasStep ? Checked.NotNegative(request.Step, "step") : null;
            var chosen = await ToTry(stage, step, token);
            var made = chosen.Made;
            prompt.Digest = made.Digest;
            prompt.Folder = checkpoints.FolderOf(made.Path)
                ?? throw Cannot($"The files of the checkpoint of {stage} step {made.Step} are not there any more; they were in "
                    + $"{Path.Combine(checkpoints.Folder, made.Path)}. "
                    + (chosen.Stored is { } copy ? $"Its copy is {copy.Uri}: bring it there, or choose another one."
                        : "Choose another one."));

            await foreach (var news in generations.Continue(prompt, $"{stage} step {made.Step}", token))
            {
                await responseStream.WriteAsync(ToProto(news, made.Step), token);
            }
        });

    private async Task<StageCheckpoint> ToTry(StageId stage, long? step, CancellationToken cancellation)
    {
        var run = await known.Described(stage.Run, cancellation);
        if (!run.Stages.Any(s => s.Name == stage.Stage))
        {
            throw new RpcException(new Status(
                StatusCode.NotFound, $"{stage.Run} has no stage named {stage.Stage}; it has "
                    + $"{string.Join(", ", run.Stages.Select(s => s.Name))}."));
        }

        if (cluster.Generation is null)
        {
            throw Cannot(
                "This cluster is simulated: its checkpoints have no weights. Start dsops with --cluster local and "
                    + "train, to try a checkpoint.");
        }

        var registered = await history.Checkpoints(stage.Run, stage.Stage, cancellation);
        var (chosen, reason) = CheckpointChoice.ToTry(stage, [.. registered.Select(c => c.Checkpoint)], step);
        return chosen ?? throw Cannot(reason);
    }

    private static GenerateReply ToProto(GenerationNews news, long step) => news.Phase switch
    {
        "busy" => throw new RpcException(new Status(StatusCode.ResourceExhausted, news.Reason)),
        "refused" => throw Cannot(news.Reason),
        "failed" => throw new RpcException(new Status(StatusCode.Aborted, news.Reason)),
        _ => new GenerateReply
        {
            Phase = news.Phase, Ended = news.Reason, Step = step, Text = news.Text, PromptTokens = news.PromptTokens, Tokens = news.Tokens,
            Passes = news.Passes, Guessed = news.Guessed, Kept = news.Kept, Seconds = news.Seconds,
        },
    };

    private static RpcException Cannot(string words) => new(new Status(StatusCode.FailedPrecondition, words));
}
