using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.ControlPlane.Clusters;
using DeepSeekOps.Decisions;
using Grpc.Core;

namespace DeepSeekOps.ControlPlane.Api.Calls;

/// <summary>The cluster as it is seen, and its nodes by hand.</summary>
internal sealed class NodeCalls(WholeCluster whole, ITrainingCluster cluster, CallStreams streams)
{
    public async Task<Cluster> GetCluster(GetClusterRequest request, ServerCallContext context) => await whole.Described();

    public Task WatchCluster(GetClusterRequest request, IServerStreamWriter<Cluster> responseStream, ServerCallContext context) =>
        streams.UntilGone(context, token => CallStreams.WhenAnother(whole.Lately, responseStream, token));

    public Task<Node> CordonNode(NodeCommand request, ServerCallContext context) =>
        OnNode(request, node => whole.Grain.Cordon(node, Why(request, "cordoned by hand"), context.CancellationToken));

    public Task<Node> UncordonNode(NodeCommand request, ServerCallContext context) =>
        OnNode(request, node => whole.Grain.Uncordon(node, context.CancellationToken));

    public Task<Node> DrainNode(NodeCommand request, ServerCallContext context) =>
        OnNode(request, node => whole.Grain.Drain(node, Why(request, "drained by hand"), context.CancellationToken));

    public Task<Node> TestNode(NodeCommand request, ServerCallContext context) => OnNode(request, async node =>
        await whole.Grain.Test(node, context.CancellationToken) is { } refusal
            ? throw new RpcException(new Status(StatusCode.FailedPrecondition, refusal)) : true);

    public Task<Node> KillNode(NodeCommand request, ServerCallContext context) =>
        OnNode(request, node => Task.FromResult(request.Fault switch
        {
            "" => Faults("kill").Kill(node, Why(request, "killed by hand")),
            "slow-memory" => Faults("break").Hide(node, HiddenFault.SlowMemory),
            "wrong-product" => Faults("break").Hide(node, HiddenFault.WrongProduct),
            var other => throw new RpcException(new Status(StatusCode.InvalidArgument,
                $"fault is '{other}'. Write slow-memory or wrong-product, or leave it out: then the node breaks with what runs there.")),
        }));

    public Task<Node> HealNode(NodeCommand request, ServerCallContext context) =>
        OnNode(request, node => Task.FromResult(Faults("heal").Heal(node)));

    private async Task<Node> OnNode(NodeCommand request, Func<NodeId, Task<bool>> act)
    {
        string name = Checked.Name(request.Name, "name");
        bool found = await act(new NodeId(name));
        var nodes = (await whole.Described()).Nodes;
        return found && nodes.FirstOrDefault(n => n.Name == name) is { } node ? node : throw new RpcException(new Status(
            StatusCode.NotFound, "There is no node named "
                + $"{name}.{Nearest.To(name, nodes.Select(n => n.Name)).Take(1).Select(n => $" Did you mean {n}?").FirstOrDefault()}"
                + " `dsops cluster` lists them."));
    }

    /// <summary>A real machine is not broken on request.</summary>
    private NodeFaults Faults(string verb) => cluster.Faults ?? throw new RpcException(new Status(
        StatusCode.FailedPrecondition, $"Only nodes of a simulated cluster can be told to {verb}; this one is {cluster.Kind}. Start it "
            + "with --cluster simulated."));

    private static string Why(NodeCommand request, string otherwise) =>
        Checked.Reason(request.Reason) is { Length: > 0 } reason ? reason : otherwise;
}
