using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.ControlPlane.Storage.ExpertLoads;
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;

namespace DeepSeekOps.ControlPlane.Api.Calls;

/// <summary>How tokens spread over experts, as the ledger keeps it.</summary>
internal sealed class ExpertCalls(KnownRuns known, ExpertLoadQueries experts, CallStreams streams)
{
    public async Task<ExpertLoad> GetExpertLoad(GetExpertLoadRequest request, ServerCallContext context)
    {
        var (run, stage) = await ExistingExperts(request, context.CancellationToken);
        return ToProto(await experts.History(run, stage, context.CancellationToken));
    }

    public Task WatchExpertLoad(GetExpertLoadRequest request, IServerStreamWriter<ExpertLoad> responseStream,
        ServerCallContext context) =>
        streams.UntilGone(context, async token =>
        {
            var (run, stage) = await ExistingExperts(request, token);
            await foreach (var history in experts.Follow(run, stage, token))
            {
                await responseStream.WriteAsync(ToProto(history), token);
            }
        });

    private async Task<(string Run, string? Stage)> ExistingExperts(GetExpertLoadRequest request, CancellationToken cancellation)
    {
        var (run, stage) = (Checked.Name(request.Run, "run"), Checked.OptionalName(request.Stage, "stage"));
        await known.ExistingStage(run, stage, cancellation);
        return (run, stage);
    }

    private static ExpertLoad ToProto(ExpertLoadHistory? history) => history is null ? new ExpertLoad() : new ExpertLoad
    {
        Stage = history.Stage, Experts = history.Newest.Experts, First = ToProto(history.First), Newest = ToProto(history.Newest),
        Points = { history.Points.Select(
            point => new ExpertLoadPoint { Step = point.Step, Attempt = point.Attempt, Busiest = { point.Ratios } }) },
    };

    private static ExpertLoadReport ToProto(Decisions.Health.ExpertLoad load) => new()
    {
        Step = load.Step, Attempt = load.Attempt, At = load.At.ToTimestamp(),
        Layers =
        {
            load.Layers().Select((layer, row) => new LayerLoad
            {
                Name = layer.Name, Busiest = layer.Busiest, BusiestExpert = layer.BusiestExpert, Idlest = layer.Idlest,
                Variation = layer.Variation,
                WithoutTokens = layer.WithoutTokens, Ratios = { load.Row(row) },
            }),
        },
    };
}
