using DeepSeekOps.Contracts.Ops.V1;
using Grpc.Core;

namespace DeepSeekOps.ControlPlane.Client;

/// <summary>What a status code of the Api means to somebody at a terminal.</summary>
internal static class RpcFailure
{
    public static RefusalException From(RpcException e)
    {
        string detail = e.Status.Detail;
        return e.StatusCode switch
        {
            // Only where nobody was reached does the client say so itself; otherwise the control plane answered, with its reason.
            StatusCode.Unavailable when e.Status.DebugException is null && detail.Length > 0 =>
                new RefusalException(detail, "", ExitCode.NotReachable, e),
            StatusCode.Unavailable => new RefusalException("The control plane does not answer.",
                "Is it still running? `dsops dev` starts it again; every run goes on.", ExitCode.NotReachable, e),
            StatusCode.DeadlineExceeded => new RefusalException("The control plane did not answer in time.",
                "Try again; if it stays so, look into its log (logs/control-plane.log in the data directory).", ExitCode.NotReachable, e),
            StatusCode.InvalidArgument when ProblemsOf(e) is { Problems.Count: > 0 } problems =>
                new RefusalException(ProblemText.All(problems.Problems), "Correct the pipeline.", ExitCode.Failed,
                    e)
                { Problems = problems.Problems },
            StatusCode.Unauthenticated or StatusCode.PermissionDenied
                or StatusCode.NotFound or StatusCode.ResourceExhausted
                when detail.IndexOf(". ", StringComparison.Ordinal) is > 0 and var end =>
                new RefusalException(detail[..(end + 1)], detail[(end + 2)..], ExitCode.Failed, e),
            StatusCode.Internal or StatusCode.Unknown => new RefusalException($"The control plane failed: {detail}",
                "Its log has the details (logs/control-plane.log in the data directory).", ExitCode.Failed, e),
            _ => new RefusalException(detail, "", ExitCode.Failed, e),
        };
    }

    public static PipelineProblems? ProblemsOf(RpcException e) => e.GetRpcStatus()?.GetDetail<PipelineProblems>();
}
