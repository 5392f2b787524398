using DeepSeekOps.Contracts.Ops.V1;
using Grpc.Core;

namespace DeepSeekOps.Dashboard.Streams;

/// <summary>What went wrong with a call, as people want to read it.</summary>
public static class Faults
{
    public static readonly TimeSpan Deadline = TimeSpan.FromSeconds(15);

    /// <summary>Every call has a deadline; gRPC takes it as a moment.</summary>
    public static DateTime DeadlineFromNow() => TimeProvider.System.GetUtcNow().UtcDateTime + Deadline;

    public static string InWords(RpcException fault) => fault.StatusCode switch
    {
        StatusCode.Unavailable => "The control plane cannot be reached.",
        StatusCode.DeadlineExceeded => $"The control plane took longer than {Deadline.TotalSeconds:0} s to answer.",
        _ when fault.Status.Detail.Length > 0 => fault.Status.Detail,
        var code => $"The control plane answered {code}.",
    };

    /// <summary>The problems that a refused pipeline's status carries, none where it carries none.</summary>
    public static IReadOnlyList<Problem> Problems(RpcException fault)
    {
        if (fault.Trailers.GetValueBytes("grpc-status-details-bin") is not { } bytes)
        {
            return [];
        }
        var status = Google.Rpc.Status.Parser.ParseFrom(bytes);
        return [.. status.Details.Where(d => d.Is(PipelineProblems.Descriptor)).SelectMany(d => d.Unpack<PipelineProblems>().Problems)];
    }
}
