using DeepSeekOps.Contracts.Worker.V1;
using DeepSeekOps.ControlPlane.Api;
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using Xunit;

namespace DeepSeekOps.ControlPlane.Tests.Api;

public sealed class ExpertLoadInputTests
{
    [Theory]
    [InlineData(2, 0, new float[0], "0 ratios")]
    [InlineData(0, 0, new[] { 1f, 1f }, "0 experts")]
    [InlineData(2, 0, new[] { 1f, 1f, 1f }, "3 ratios")]
    [InlineData(2, 2, new[] { 1f, 1f }, "the last 2 of MTP blocks")]
    [InlineData(2, 0, new[] { 1f, -1f }, "has -1")]
    [InlineData(2, 0, new[] { 1f, float.NaN }, "has NaN")]
    [InlineData(2, 0, new[] { float.PositiveInfinity, 1f }, "expertLoads.ratios")]
    [InlineData(-2, 0, new[] { 1f, 1f }, "expertLoads.experts is -2")]
    public void A_load_that_makes_no_sense_is_refused_in_words(int experts, int mtp, float[] ratios, string says)
    {
        var report = Report(experts, mtp, ratios);
        var refusal = Assert.Throws<RpcException>(() => report.ToRecord());
        Assert.Equal(StatusCode.InvalidArgument, refusal.StatusCode);
        Assert.Contains(says, refusal.Status.Detail, StringComparison.Ordinal);
    }

    [Fact]
    public void Rows_are_named_by_their_layer_and_the_last_by_their_block() =>
        Assert.Equal(["3", "4", "mtp 1"], Report(2, 1, [1, 1, 0, 2, 0.5f, 1.5f]).ToRecord().Layers().Select(layer => layer.Name));

    private static ExpertLoadReport Report(int experts, int mtp, float[] ratios) => new()
    {
        Step = 5, At = Timestamp.FromDateTimeOffset(DateTimeOffset.UnixEpoch), Attempt = 1, FirstLayer = 3, MtpBlocks = mtp,
        Experts = experts, Ratios = { ratios },
    };
}
