using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.ControlPlane.Grains;
using Grpc.Core;

namespace DeepSeekOps.ControlPlane.Api;

/// <summary>The ranks of a stage one by one: a run's view tells the odd ones of many alone.</summary>
internal sealed partial class OpsGrpcService
{
    private const int RanksUsual = 200;

    public override async Task<ListRanksReply> ListRanks(ListRanksRequest request, ServerCallContext context)
    {
        var (run, stage) = (Checked.Name(request.Run, "run"), Checked.Name(request.Stage, "stage"));
        string? state = Checked.OptionalName(request.State, "state");
        string? node = Checked.OptionalName(request.Node, "node");
        int size = Checked.PageSize(request.PageSize, RanksUsual, PageMost);
        await ExistingStage(run, stage, context.CancellationToken);
        var all = await grains.GetGrain<IStageGrain>($"{run}/{stage}").Ranks();
        var wanted = all.Where(rank => !request.HasAfter || rank.Rank > request.After)
            .Where(rank => node is null || rank.Node == node)
            .Select(rank => rank.ToProto()).Where(rank => state is null || rank.State == state).Take(size + 1).ToList();
        return new ListRanksReply { Ranks = { wanted.Take(size) }, More = wanted.Count > size };
    }
}
