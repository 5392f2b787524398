using CsCheck;
using DeepSeekOps.Worker.Model;
using DeepSeekOps.Worker.Parallel;
using DeepSeekOps.Worker.Training.Learning;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace DeepSeekOps.Worker.Tests.Parallel;

/// <summary>Ranks that share a sequence: how it is cut, and that they compute together what one computes of it.</summary>
[Collection(RandomNumbers.OneStream)]
public sealed class SequencePartTests : DrawingTests
{
    [Fact]
    public void Every_place_is_one_ranks_also_where_the_end_is_left_out() =>
        Gen.Select(Gen.Int[1, 16], Gen.Int[0, 3], Gen.Int[0, 200]).Sample((ranks, left, more) =>
        {
            var whole = (2L * ranks * (left + 1)) + more;
            var places = Enumerable.Range(0, ranks).SelectMany(rank => SequencePart.RunsOf(whole, whole - left, ranks, rank))
                .SelectMany(run => Enumerable.Range((int)run.Start, (int)run.Count)).ToList();
            Assert.Equal(Enumerable.Range(0, (int)whole - left), places.Order());
            // Who has the sequence's end has it last: it is left out there by being cut off.
            Assert.Equal(whole - left - 1, places[SequencePart.RunsOf(whole, whole - left, ranks, 0).Sum(r => (int)r.Count) - 1]);
        });

    [Fact]
    public void Each_rank_has_as_much_to_attend_to() => Gen.Select(Gen.Int[2, 32], Gen.Int[1, 50]).Sample((ranks, chunk) =>
    {
        var length = 2L * ranks * chunk;
        var pairs = Enumerable.Range(0, ranks).Select(rank => SequencePart.RunsOf(length, length, ranks, rank)
            .Sum(run => (run.Count * run.Start) + (run.Count * (run.Count + 1) / 2)));
        Assert.Equal(Enumerable.Repeat(length * (length + 1) / 2 / ranks, ranks), pairs);
    });

    [Theory]
    [InlineData(2, 4, 0, true)]
    [InlineData(2, 7, 1, false)]
    [InlineData(2, 8, 1, true)]
    [InlineData(1, 1, 1, true)]
    public void A_sequence_that_is_too_short_is_refused_in_words(int ranks, int length, int mtpDepth, bool fits)
    {
        var refused = Record.Exception(() => SequencePart.Require(ranks, length, mtpDepth));
        Assert.Equal(fits, refused is null);
        Assert.True(fits || refused is InvalidDataException && refused.Message.Contains("at least 8 tokens", StringComparison.Ordinal));
    }

    /// <summary>
    /// Chunks of three and of four places, documents that end within them, two further tokens, and everything that a step learns from.
    /// </summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Ranks_that_share_sequences_compute_what_one_computes(bool documents)
    {
        using var scope = NewDisposeScope();
        var shape = ModelShapes.Presets["mini"] with
        {
            Layers = 2,
            MtpDepth = 2,
            InitStd = 0.1,
            MaxPositionEmbeddings = 16,
            Yarn = new YarnScaling(2, 16, Mscale: 1, MscaleAllDim: 0.7),
        };
        var tokens = randint(0, shape.VocabSize, [2, 23], int64);
        var segments = documents ? arange(22).unsqueeze(0).div(tensor([5L, 9L]).unsqueeze(1), RoundingMode.floor) : null;
        var whole = Computed(shape, tokens, segments, null);
        var layout = new GangLayout(3, 1, 1, 1) { Contexts = [3] };
        var parts = SocketRanks.Run(layout, (rank, mesh) =>
        {
            using var own = NewDisposeScope();
            return Computed(shape, tokens, segments, SequencePart.Of(mesh, 3, 22, shape.MtpDepth));
        });
        void Alike(Func<Shared, double[]> of) => Assert.All(
            of(whole).Zip(parts.Select(of).Aggregate((a, b) => [.. a.Zip(b, (x, y) => x + y)])),
            pair => Assert.Equal(pair.First, pair.Second, 1e-5 * Math.Max(1, Math.Abs(pair.First))));
        Alike(s => [s.Loss, s.Further, s.Balance]);
        Alike(s => s.Loads);
        Assert.All(whole.Gradients.Keys, name => Alike(s => s.Gradients[name]));
    }

    private static Shared Computed(ModelShape shape, Tensor tokens, Tensor? segments, SequencePart? part)
    {
        using var model = new DeepSeekModel(shape, CPU);
        model.Initialise(7);
        var labels = tokens.narrow(1, 1, 22);
        var output = model.Pass(model.Part.Pieces[0], null, tokens.narrow(1, 0, 22), segments, part: part);
        Assert.Equal([2, part?.Places ?? 22, shape.VocabSize], output.Logits!.shape);
        var loss = Losses.CrossEntropy(output.Logits, labels, part);
        var further = Losses.MultiToken(output.MtpLogits, labels, segments, part)!;
        (loss + (0.3 * further) + (0.1 * output.BalanceLoss!)).backward();
        return new Shared(
            loss.ToDouble(), further.ToDouble(), output.BalanceLoss!.ToDouble(),
            [.. output.ExpertLoads.SelectMany(l => l.data<float>().ToArray()).Select(l => (double)l)],
            // Linear in the gradients, so that what the ranks have adds up.
            model.Parameters.ToDictionary(p => p.Name, p => p.Value.grad is { } g
                ? (double[])[g.sum().ToDouble(), (g.flatten() * linspace(-1, 1, g.numel())).sum().ToDouble()] : [0, 0]));
    }

    private sealed record Shared(double Loss, double Further, double Balance, double[] Loads, Dictionary<string, double[]> Gradients);
}
