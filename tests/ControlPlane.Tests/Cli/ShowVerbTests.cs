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
        var stage = new Stage
        {
            Name = "pretrain", Ranks = { RankOf(77, "exited") },
            RankGroups = { new RankGroup { State = "training", Ranks = 2047, Nodes = 256 } },
        };
        Assert.Equal(["77 pretrain node-9 1 exited", "2047 others pretrain 256 nodes - training"],
            ShowVerb.RankRows(stage).Select(r => string.Join(' ', r)));
        Assert.Equal(2048, stage.RankCount());
        stage.Ranks.Clear();
        Assert.Equal("2047 ranks pretrain 256 nodes - training", string.Join(' ', Assert.Single(ShowVerb.RankRows(stage))));
    }

    [Fact]
    public void Few_ranks_have_a_row_each()
    {
        var stage = new Stage { Name = "pretrain", Ranks = { Enumerable.Range(0, 16).Select(r => RankOf(r, "training")) } };
        Assert.Equal(16, ShowVerb.RankRows(stage).Count());
    }

    private static Rank RankOf(int rank, string state) => new() { Rank_ = rank, Node = $"node-{rank / 8}", Pid = 1, State = state };
}
