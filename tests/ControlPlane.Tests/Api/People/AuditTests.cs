using System.Net.Http.Json;
using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.ControlPlane.Client;
using Grpc.Core;
using Xunit;

namespace DeepSeekOps.ControlPlane.Tests.Api.People;

/// <summary>What calls of people leave behind, over the real ports of the control plane of <see cref="AccessTests"/>.</summary>
[Collection(nameof(AccessTests))]
public sealed class AuditTests(AccessTests.Host host)
{
    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Who_did_what_why_and_from_where_is_told_also_of_what_was_refused()
    {
        using var channel = TokenChannel.To(host.Endpoints.Grpc, host.Key.PeoplesToken);
        var client = new OpsService.OpsServiceClient(channel);
        var headers = new Metadata { { TokenHeader.Door, "cli" }, { TokenHeader.User, Uri.EscapeDataString("änn@laptop") } };
        await client.CordonNodeAsync(
            new NodeCommand { Name = "node-0", Reason = "a fan is loud\n" }, headers, cancellationToken: Cancelled);
        await client.CordonNodeAsync(new NodeCommand { Name = "node-0", Reason = "again" }, headers, cancellationToken: Cancelled);
        await Assert.ThrowsAsync<RpcException>(() => client.CancelRunAsync(
            new RunCommand { Name = "nobodys", Reason = "\u001b[31mred" }, headers, cancellationToken: Cancelled).ResponseAsync);
        await client.GetVersionAsync(new GetVersionRequest(), headers, cancellationToken: Cancelled);
        await client.UncordonNodeAsync(new NodeCommand { Name = "node-0" }, cancellationToken: Cancelled);

        var lines = (await client.ListAuditAsync(new ListAuditRequest(), cancellationToken: Cancelled)).Lines;
        string[] told = [.. lines.Reverse().Where(l => l.Target is "node-0" or "nobodys")
            .Select(l => $"{l.Who}|{l.Act}|{l.Target}|{l.Why}")];
        Assert.Equal(
            ["änn|cordon-node|node-0|a fan is loud", "änn|cordon-node|node-0|again", "änn|cancel-run|nobodys|[31mred",
                "owner|uncordon-node|node-0|"], told);
        var refused = Assert.Single(lines, l => l.Act == "cancel-run");
        Assert.StartsWith("refused: There is no run named nobodys.", refused.Outcome, StringComparison.Ordinal);
        Assert.Equal(("owner's token", "cli on laptop, 127.0.0.1"), (refused.By, refused.From));
        Assert.DoesNotContain(lines, l => l.Act.Contains("ersion", StringComparison.Ordinal));
        var verdict = await client.VerifyAuditAsync(new VerifyAuditRequest(), cancellationToken: Cancelled);
        Assert.Equal((0L, lines.Count), (verdict.Found, (int)verdict.Lines));
    }

    [Fact]
    public async Task By_rest_it_is_told_too_and_an_anchor_that_is_none_is_refused_in_words()
    {
        using var ask = new HttpRequestMessage(HttpMethod.Post, "/v1/runs/rests:pause");
        ask.Content = JsonContent.Create(new { reason = "x" });
        ask.Headers.Authorization = new("Bearer", host.Key.PeoplesToken);
        await host.Http.SendAsync(ask, Cancelled);
        using var channel = TokenChannel.To(host.Endpoints.Grpc, host.Key.PeoplesToken);
        var client = new OpsService.OpsServiceClient(channel);
        var line = Assert.Single((await client.ListAuditAsync(new ListAuditRequest { Run = "rests" }, cancellationToken: Cancelled)).Lines);
        Assert.Equal(("pause-run", "rest, 127.0.0.1"), (line.Act, line.From));
        var refused = await Assert.ThrowsAsync<RpcException>(() => client.VerifyAuditAsync(
            new VerifyAuditRequest { Anchor = 1, AnchorHash = "12%" }, cancellationToken: Cancelled).ResponseAsync);
        Assert.Contains("hexadecimal", refused.Status.Detail, StringComparison.Ordinal);
    }
}
