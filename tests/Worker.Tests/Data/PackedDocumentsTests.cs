using CsCheck;
using DeepSeekOps.Worker.Data;
using Xunit;

namespace DeepSeekOps.Worker.Tests.Data;

public sealed class PackedDocumentsTests
{
    private static PackedDocuments Stream(double fimRate = 0.1) =>
        new(new BuiltinData(seed: 3, heldOut: 10), new ByteTokenizer(), seed: 3, fimRate);

    [Fact]
    public void A_stream_resumed_at_its_cursor_goes_on_with_the_same_tokens() =>
        Gen.Select(Gen.Int[1, 12], Gen.Int[1, 5], Gen.Int[5, 150]).Sample((before, after, length) =>
        {
            var whole = Stream();
            whole.Next(before, length);
            var resumed = Stream();
            resumed.Cursor = whole.Cursor;
            Assert.Equal(whole.Next(after, length), resumed.Next(after, length));
        }, iter: 50);

    [Fact]
    public void Rows_overlap_by_one_token_so_that_each_token_is_predicted_once()
    {
        const int Length = 40;
        var batch = Stream().Next(6, Length);
        for (var row = 1; row < 6; row++)
        {
            Assert.Equal(batch[(row * (Length + 1)) - 1], batch[row * (Length + 1)]);
        }
    }

    [Fact]
    public void The_order_does_not_hang_on_the_size_of_the_batches()
    {
        var (large, small) = (Stream(), Stream());
        var rows = large.Next(4, 30);
        long[] pieces = [.. small.Next(1, 30), .. small.Next(2, 30), .. small.Next(1, 30)];
        Assert.Equal(rows, pieces);
    }

    [Fact]
    public void One_document_in_ten_is_rearranged_to_be_filled_in_the_middle()
    {
        var special = new ByteTokenizer().Special;
        var tokens = Stream().Next(2000, 128);
        var documents = tokens.Count(t => t == special.Bos);
        Assert.InRange(tokens.Count(t => t == special.FimBegin) / (double)documents, 0.08, 0.12);
        Assert.DoesNotContain(Stream(fimRate: 0).Next(100, 128), t => t == special.FimBegin);
    }

    [Fact]
    public void A_rearranged_document_put_together_again_is_the_document()
    {
        var special = new ByteTokenizer().Special;
        Gen.Select(Gen.Int[0, 255].List[3, 60], Gen.Long).Sample((document, seed) =>
        {
            var random = new SeededRandom(seed, "test", 0);
            var ids = FillInTheMiddle.Rearrange(document, special, ref random).ToList();
            var (hole, end) = (ids.IndexOf(special.FimHole), ids.IndexOf(special.FimEnd));
            Assert.Equal(special.FimBegin, ids[0]);
            Assert.Equal(document, [.. ids[1..hole], .. ids[(end + 1)..], .. ids[(hole + 1)..end]]);
        });
    }

    [Fact]
    public void A_permutation_visits_each_place_once() =>
        Gen.Select(Gen.Int[1, 3000], Gen.Long).Sample((count, seed) =>
        {
            var permutation = new Permutation(count, seed);
            Assert.Equal(count, Enumerable.Range(0, count).Select(i => permutation[i]).Distinct().Count());
        }, iter: 50);

    [Fact]
    public void A_document_that_is_half_read_is_left_when_another_source_takes_over_and_kept_when_reading_begins_there()
    {
        var (shorter, longer) = (new BuiltinData(seed: 3, heldOut: 10), new BuiltinData(seed: 3, heldOut: 10).ForContext(512));
        var stream = new PackedDocuments(shorter, new ByteTokenizer(), seed: 3, fimRate: 0);
        stream.Next(rows: 2, sequenceLength: 50);
        var at = stream.Cursor;
        Assert.NotEqual(0, at.Offset);
        stream.GoOnWith(shorter);
        Assert.Equal(at, stream.Cursor);
        stream.GoOnWith(longer);
        Assert.Equal(new DataCursor(at.Document + 1, 0), stream.Cursor);
        var next = stream.Next(rows: 3, sequenceLength: 50);
        var resumed = new PackedDocuments(shorter, new ByteTokenizer(), seed: 3, fimRate: 0);
        resumed.Begin(longer, new DataCursor(at.Document + 1, 0));
        Assert.Equal(next, resumed.Next(rows: 3, sequenceLength: 50));
        Assert.Equal(stream.Cursor, resumed.Cursor);
    }
}
