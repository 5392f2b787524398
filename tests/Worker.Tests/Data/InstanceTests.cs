using CsCheck;
using DeepSeekOps.Worker.Data;
using Xunit;

namespace DeepSeekOps.Worker.Tests.Data;

public sealed class InstanceTests
{
    private static readonly ByteTokenizer Bytes = new();

    private static Instance Render(string question, string answer) =>
        ChatTemplate.Render(new Problem(question, answer, answer).ToConversation(), Bytes);

    [Fact]
    public void Only_the_answer_and_its_end_are_learned()
    {
        var instance = Render("1+1=?", "2");
        Assert.Equal([Bytes.Special.Bos, Bytes.Special.User, .. Bytes.Encode("1+1=?"), Bytes.Special.Assistant, '2', Bytes.Special.Eos],
            instance.Ids);
        Assert.Equal([.. Enumerable.Repeat(false, 8), true, true], instance.Learned);
    }

    [Fact]
    public void Packing_keeps_every_instance_whole_in_a_segment_of_its_own()
    {
        Gen.Int[1, 20].Array[1, 20].Sample(lengths =>
        {
            var instances = lengths.Select((n, i) => Render(new string((char)('a' + i), n), "x")).ToList();
            var batch = PackedInstances.Pack(instances, 40, Bytes.Special.Pad);
            var found = Enumerable.Range(0, batch.Rows * 40).Where(i => batch.Segments[i] > 0)
                .GroupBy(i => (Row: i / 40, Segment: batch.Segments[i]))
                .Select(places => string.Join(' ', places.Select(i => batch.Tokens[i])));
            Assert.Equal(instances.Select(i => string.Join(' ', i.Ids[..^1])).Order(), found.Order());
            Assert.Equal(2 * lengths.Length, batch.LearnedTokens);
            Assert.Equal(batch.LearnedTokens, batch.Labels.Count(l => l != ChatTemplate.Ignored));
        });
    }

    [Fact]
    public void An_instance_longer_than_a_row_is_cut_at_its_end()
    {
        var batch = PackedInstances.Pack([Render(new string('q', 100), "x")], 16, Bytes.Special.Pad);
        Assert.Equal((1, 0), (batch.Rows, batch.LearnedTokens));
    }
}
