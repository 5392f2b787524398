using DeepSeekOps.Contracts.Worker.V1;
using DeepSeekOps.Worker.Training.Learning;
using DeepSeekOps.Worker.Training.Stages;
using Xunit;

namespace DeepSeekOps.Worker.Tests.Training.Stages;

[Collection(RandomNumbers.OneStream)]
public sealed class RecipeTests
{
    private static readonly LearningRate Report = new()
    {
        Pieces =
        {
            new LearningRatePiece { Shape = "linear", To = 2.2e-4, UntilStep = 2000 },
            new LearningRatePiece { Shape = "constant", To = 2.2e-4, UntilTokens = 10_000_000_000_000 },
            new LearningRatePiece { Shape = "cosine", To = 2.2e-5, UntilTokens = 14_300_000_000_000 },
            new LearningRatePiece { Shape = "constant", To = 2.2e-5, UntilTokens = 14_633_000_000_000 },
            new LearningRatePiece { Shape = "constant", To = 7.3e-6, UntilTokens = 14_800_000_000_000 },
        },
    };

    [Theory]
    [InlineData(0, 0, 1.1e-7)]
    [InlineData(999, 20_000_000_000, 1.1e-4)]
    [InlineData(5000, 100_000_000_000, 2.2e-4)]
    [InlineData(200_000, 12_150_000_000_000, 1.21e-4)]
    [InlineData(230_000, 14_400_000_000_000, 2.2e-5)]
    [InlineData(240_000, 14_700_000_000_000, 7.3e-6)]
    public void The_learning_rate_follows_the_five_pieces_of_the_report(long step, long tokens, double rate) =>
        Assert.Equal(rate, Report.ToRecord().At(step, tokens, totalSteps: 243_000), 1e-9);

    [Theory]
    [InlineData(0, 1e-3)]
    [InlineData(400, 2e-3)]
    [InlineData(700, 1.1e-3)] // halfway from the token at which the piece before it ended to the end of the stage
    [InlineData(1000, 2e-4)]
    public void A_last_piece_without_an_end_that_follows_a_piece_in_tokens_runs_to_the_last_token(long tokens, double rate)
    {
        var schedule = new LearningRate
        {
            Pieces =
            {
                new LearningRatePiece { Shape = "linear", To = 2e-3, UntilStep = 2 },
                new LearningRatePiece { Shape = "constant", To = 2e-3, UntilTokens = 400 },
                new LearningRatePiece { Shape = "cosine", To = 2e-4 },
            },
        };
        Assert.Equal(rate, schedule.ToRecord().At(tokens / 10, tokens, totalSteps: 100, totalTokens: 1000), 1e-9);
    }

    [Theory]
    [InlineData(0, 3072)]
    [InlineData(234_500_000_000, 9216)]
    [InlineData(469_000_000_000, 15360)]
    public void The_batch_rises_linearly_in_tokens(long tokens, int sequences) =>
        Assert.Equal(sequences, new BatchSize { From = 3072, To = 15360, OverTokens = 469_000_000_000, Micro = 1 }.ToRecord().At(tokens));

    [Fact]
    public void An_advantage_is_measured_against_its_own_group()
    {
        var advantage = Losses.GroupAdvantage([1, 0, 0, 1, 1, 1, 1, 1], groupSize: 4);
        Assert.Equal([1, -1, -1, 1, 0, 0, 0, 0], advantage);
    }

    [Theory]
    [InlineData(0, 10, 0, 0.2775)]
    [InlineData(5, 10, 0.2366, 0.7634)]
    [InlineData(400, 400, 0.9905, 1)]
    public void The_interval_is_wilsons(int right, int samples, double low, double high)
    {
        var interval = Interval.Of(right, samples);
        Assert.Equal(low, interval.Low, 1e-4);
        Assert.Equal(high, interval.High, 1e-4);
    }
}
