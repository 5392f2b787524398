using DeepSeekOps.Contracts;
using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.ControlPlane.Cli.Verbs;
using Xunit;

namespace DeepSeekOps.ControlPlane.Tests.Cli;

public sealed class ShowVerbTests
{
    [Fact]
    public void Of_2048_ranks_show_prints_the_odd_ones_and_one_row_for_the_others()
    {
        var stage = StageOf(2048);
        stage.Ranks[77].State = "exited";

        Assert.Equal(["77 pretrain node-9 1 exited", "2047 others pretrain 256 nodes - training"],
            ShowVerb.RankRows(stage).Select(r => string.Join(' ', r)));
    }

    [Fact]
    public void Few_ranks_have_a_row_each_and_none_of_many_that_fail_together_is_left_out_of_the_count()
    {
        Assert.Equal(16, ShowVerb.RankRows(StageOf(16)).Count());
        var stage = StageOf(2048);
        foreach (var rank in stage.Ranks.Take(1000))
        {
            rank.State = "exited";
        }

        var fold = RankFold.Of(stage.Ranks);
        Assert.Equal(RankFold.OddShown, fold.Shown.Count);
        Assert.Equal([new RankGroup("training", 1048, 131), new RankGroup("exited", 968, 121)], fold.Folded);
    }

    private static Stage StageOf(int ranks) => new()
    {
        Name = "pretrain",
        Ranks = { Enumerable.Range(0, ranks).Select(r => new Rank { Rank_ = r, Node = $"node-{r / 8}", Pid = 1, State = "training" }) },
    };
}
