using System.Text;
using DeepSeekOps.Worker.Data;
using Xunit;

namespace DeepSeekOps.Worker.Tests.Data;

public sealed class SettledTextTests
{
    [Fact]
    public void A_character_waits_for_its_last_byte()
    {
        var text = new SettledText(new ByteTokenizer());
        Assert.Equal(["a", "", "", "€", "b"], Encoding.UTF8.GetBytes("a€b").Select(b => text.Add([b])));
        Assert.Equal("", text.Rest());
    }

    [Fact]
    public void Bytes_that_never_become_a_character_are_not_lost()
    {
        var text = new SettledText(new ByteTokenizer());
        Assert.Equal("", text.Add([0xE2, 0x82]));
        Assert.Equal("\uFFFD", text.Rest());
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void Any_bytes_in_any_pieces_give_the_text_of_the_whole(int seed)
    {
        var tokenizer = new ByteTokenizer();
        var random = new SeededRandom(seed, "settled", 0);
        int[] ids =
            [.. Enumerable.Range(0, 2_000)
                .Select(_ => random.NextDouble() < 0.5 ? (int)(random.NextDouble() * 128) : (int)(random.NextDouble() * 264))];
        var (text, said) = (new SettledText(tokenizer), new StringBuilder());
        for (var at = 0; at < ids.Length;)
        {
            var size = Math.Min(ids.Length - at, 1 + (int)(random.NextDouble() * 3));
            said.Append(text.Add(ids[at..(at + size)]));
            at += size;
        }

        Assert.Equal(tokenizer.Decode(ids), said.Append(text.Rest()).ToString());
    }
}
