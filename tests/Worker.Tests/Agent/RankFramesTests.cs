using CsCheck;
using DeepSeekOps.Contracts.Worker.V1;
using DeepSeekOps.Worker.Agent;
using Xunit;

namespace DeepSeekOps.Worker.Tests.Agent;

public sealed class RankFramesTests
{
    private static byte[] Frame(RankReport report)
    {
        using var stream = new MemoryStream();
        RankFrames.Write(stream, report);
        return stream.ToArray();
    }

    private static async Task<RankReport?> Read(byte[] bytes)
    {
        using var stream = new MemoryStream(bytes);
        return await RankFrames.Read(stream, RankReport.Parser, TestContext.Current.CancellationToken);
    }

    private static RankReport Sample => new() { Sample = new StepSample { Step = 7, Loss = 1.5, Phase = "4Ki" } };

    [Fact]
    public async Task A_report_comes_back_as_it_was_written_and_the_end_of_the_stream_is_no_error()
    {
        Assert.Equal(Sample, await Read(Frame(Sample)));
        Assert.Null(await Read([]));
    }

    [Fact]
    public async Task A_frame_that_breaks_off_anywhere_is_an_error_in_words()
    {
        byte[] whole = Frame(Sample);
        for (int length = 1; length < whole.Length; length++)
        {
            var error = await Assert.ThrowsAsync<RankFrameException>(() => Read(whole[..length]));
            Assert.Contains("ended inside a frame", error.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task A_request_of_another_protocol_is_refused_before_memory_is_reserved_for_it()
    {
        var error = await Assert.ThrowsAsync<RankFrameException>(() => Read("GET / HTTP/1.1\r\n\r\n"u8.ToArray()));
        Assert.Contains("larger than the limit", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Garbage_is_a_frame_or_an_error_of_the_frame_and_nothing_else() =>
        await Gen.Select(Gen.Byte.Array[0, 64], Gen.Bool).SampleAsync(async (garbage, framed) =>
        {
            byte[] bytes = framed ? [0, 0, 0, (byte)garbage.Length, .. garbage] : garbage;
            try
            {
                await Read(bytes);
            }
            catch (RankFrameException e)
            {
                Assert.NotEmpty(e.Message);
            }
        });
}
