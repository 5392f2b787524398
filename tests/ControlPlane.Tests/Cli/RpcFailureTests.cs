using DeepSeekOps.ControlPlane.Cli;
using DeepSeekOps.ControlPlane.Client;
using Grpc.Core;
using Xunit;

namespace DeepSeekOps.ControlPlane.Tests.Cli;

public sealed class RpcFailureTests
{
    [Fact]
    public void A_control_plane_that_answers_that_its_database_is_away_is_not_said_to_give_no_answer()
    {
        const string Away = "The database cannot be written since 04:22:27 UTC: it gives no answer. Look at its own log.";
        var refusal = RpcFailure.From(new RpcException(new Status(StatusCode.Unavailable, Away)));
        Assert.Equal((Away, "", ExitCode.NotReachable), (refusal.Message, refusal.Fix, refusal.Code));

        var refused = new HttpRequestException("Connection refused");
        Assert.Equal("The control plane does not answer.",
            RpcFailure.From(new RpcException(new Status(StatusCode.Unavailable, "Error starting gRPC call.", refused))).Message);
    }
}
