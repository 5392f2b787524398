using CsCheck;
using DeepSeekOps.Contracts.Worker.V1;
using DeepSeekOps.Worker.Data;
using Xunit;

namespace DeepSeekOps.Worker.Tests.Data;

/// <summary>What a stage reads of a prepared set. Some 3 s.</summary>
public sealed class PreparedDataTests : IDisposable
{
    private static readonly ByteTokenizer Bytes = new();
    private static readonly int[] Worlds = [1, 2, 3, 4, 8];
    private static readonly double[] Weights = [0.05, 0.5, 1, 1.5, 2, 3];
    private readonly PreparedSets _sets = new();

    public void Dispose() => _sets.Dispose();

    [Fact]
    public void A_set_gives_the_tokens_of_its_files_in_their_order_rearranged_alike()
    {
        string[] files = [_sets.Lines("a.jsonl", 60), _sets.Texts("b.txt", 40), _sets.Lines("C.JSONL", 30, seed: 2)];
        using var set = PreparedData.Open(_sets.Prepare("set", files), "byte", seed: 7);
        var raw = FileData.Open(files, seed: 7, heldOut: 0);
        Assert.Equal(raw.DocumentCount, set.DocumentCount);
        var own = new PackedDocuments(set, Bytes, seed: 7, fimRate: 0.3);
        var theirs = new PackedDocuments(raw, Bytes, seed: 7, fimRate: 0.3);
        // Into the third epoch.
        while (own.Cursor.Document < 2 * set.DocumentCount)
        {
            Assert.Equal(theirs.Next(8, 512), own.Next(8, 512));
            Assert.Equal(theirs.Cursor, own.Cursor);
        }
    }

    [Fact]
    public void Each_rank_of_any_world_reads_its_rows_and_another_world_goes_on()
    {
        using var set = PreparedData.Open(_sets.Prepare("set", _sets.Lines("a.jsonl", 90)), "byte", seed: 3);
        PackedDocuments Stream() => new(set, Bytes, seed: 3, fimRate: 0.2);
        var reference = Stream();
        var rows = Enumerable.Range(0, 6).Select(_ => (reference.Next(24, 100), reference.Cursor)).ToList();
        Gen.Select(Gen.Int[0, 4], Gen.Int[0, 4], Gen.Int[1, 5]).Sample((before, after, at) =>
        {
            var cursor = DataCursor.Start;
            foreach (var (world, steps) in new[] { (Worlds[before], rows.Take(at)), (Worlds[after], rows.Skip(at)) })
            {
                var ranks = Enumerable.Range(0, world).Select(_ => Stream()).ToList();
                ranks.ForEach(r => r.Cursor = cursor);
                foreach (var (expected, end) in steps)
                {
                    Assert.Equal(expected, ranks.SelectMany((r, i) => r.Next(24, 100, (i * 24 / world, 24 / world))));
                    Assert.All(ranks, r => Assert.Equal(end, r.Cursor));
                }
                cursor = ranks[0].Cursor;
            }
        }, iter: 20, threads: 1);
    }

    [Fact]
    public void An_epoch_reads_each_source_by_its_weight_and_all_epochs_each_document_alike() =>
        Gen.Select(Gen.Select(Gen.Int[0, 40], Gen.Int[0, 5]).List[1, 5], Gen.Long).Sample((parts, seed) =>
        {
            var (sources, first) = (new List<PreparedSource>(), 0L);
            foreach (var (documents, weight) in parts.Select(p => (p.Item1, Weights[p.Item2])).Append((5, 1.0)))
            {
                sources.Add(new PreparedSource("s", weight, first, documents, documents, documents, 1));
                first += documents;
            }
            var order = new SampleOrder(sources, seed);
            Assert.Equal(sources.Sum(s => s.Samples), order.Samples);
            var read = new long[first];
            for (var epoch = 0; epoch < 5; epoch++)
            {
                var here = Enumerable.Range(0, (int)order.Samples).Select(i => order.DocumentOf((epoch * order.Samples) + i)).ToList();
                here.ForEach(d => read[d]++);
                Assert.All(sources, s =>
                    Assert.Equal(s.Samples, here.Count(d => d >= s.FirstDocument && d < s.FirstDocument + s.Documents)));
            }
            Assert.All(sources.Where(s => s.Documents > 0), s =>
            {
                var own = read[(int)s.FirstDocument..(int)(s.FirstDocument + s.Documents)];
                Assert.InRange(own.Max() - own.Min(), 0, 1);
            });
        }, iter: 60);

    [Fact]
    public void A_keyed_order_of_any_size_can_be_walked_back() =>
        Gen.Select(Gen.Long[1, 1L << 50], Gen.Long, Gen.Long[0, long.MaxValue]).Sample((count, seed, place) =>
        {
            var (order, a, b) = (new Permutation(count, seed), place % count, (place / 2 + 1) % count);
            Assert.InRange(order[a], 0, count - 1);
            Assert.Equal(a == b, order[a] == order[b]);
        }, iter: 2000);

    [Fact]
    public void A_set_of_another_tokenizer_is_told_with_the_one_to_name()
    {
        var folder = _sets.Prepare("set", _sets.Lines("a.jsonl", 5));
        var other = _sets.Write("tokenizer.json", "{}");
        var refused = Assert.Throws<BadInputException>(() => PreparedData.Open(folder, other, seed: 1));
        Assert.Contains("prepared with the tokenizer byte", refused.What, StringComparison.Ordinal);
        Assert.Contains("tokenizer: byte", refused.Fix, StringComparison.Ordinal);
    }

    [Fact]
    public void A_set_is_opened_and_gone_on_with_by_its_tokenizer_however_that_is_formatted_and_by_no_other()
    {
        var (lines, tokenizer) = (_sets.Lines("a.jsonl", 5), TokenizerFixtures.Small("v3"));
        var named = _sets.Write("tokenizer.json", tokenizer.ToJsonString());
        var order = _sets.Order("set", lines) with { Tokenizer = named };
        var made = PreparedSets.Run(order);
        File.WriteAllText(named, tokenizer.ToJsonString(new() { WriteIndented = true }));
        using (PreparedData.Open(_sets.At("set"), named, seed: 1))
        {
        }
        // As a call does that goes on: a shard is to be made yet.
        File.Delete(Path.Combine(_sets.At("set"), "manifest.json"));
        File.Delete(Path.Combine(_sets.At("set"), "shard-000000.ids"));
        Assert.Equal(made.Digest, PreparedSets.Run(order).Digest);

        File.WriteAllText(named, TokenizerFixtures.Small("coder").ToJsonString());
        var refused = Assert.Throws<BadInputException>(() => PreparedData.Open(_sets.At("set"), named, seed: 1));
        Assert.Contains("prepared with another tokenizer.json", refused.What, StringComparison.Ordinal);
        Assert.Contains("it is of another tokenizer", Assert.Throws<BadInputException>(() => PreparedSets.Run(order)).Message,
            StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("s3://bucket/set", "not read from stores yet")]
    [InlineData("SET,other.jsonl", "stands alone")]
    [InlineData("EMPTY", "without manifest.json")]
    public void What_cannot_be_a_source_is_told(string source, string words)
    {
        var folder = _sets.Prepare("set", _sets.Lines("a.jsonl", 5));
        Directory.CreateDirectory(_sets.At("empty"));
        var config = new DataConfig
        {
            Source = source.Replace("SET", folder, StringComparison.Ordinal).Replace("EMPTY", _sets.At("empty"), StringComparison.Ordinal),
        };
        Assert.Contains(words, Assert.Throws<BadInputException>(() => TrainingData.Open(config, seed: 1)).What, StringComparison.Ordinal);
    }
}
