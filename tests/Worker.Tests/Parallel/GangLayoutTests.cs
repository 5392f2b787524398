using CsCheck;
using DeepSeekOps.Contracts.Worker.V1;
using DeepSeekOps.Worker.Parallel;
using Xunit;
using static TorchSharp.torch;

namespace DeepSeekOps.Worker.Tests.Parallel;

public sealed class GangLayoutTests
{
    private static readonly Gen<ParallelLayout> Layouts = Gen.Select(Gen.Int[1, 8], Gen.Int[1, 4], Gen.Int[1, 6], Gen.Int[1, 4])
        .Select((pipeline, tensor, groups, expert) =>
            new ParallelLayout { Pipeline = pipeline, Tensor = tensor, Data = groups * expert, Expert = expert });

    [Fact]
    public void Every_rank_of_a_layout_has_a_place_of_its_own() => Layouts.Sample(layout =>
    {
        var ranks = layout.Pipeline * layout.Tensor * layout.Data;
        var made = GangLayout.Of(layout, ranks);
        var places = Enumerable.Range(0, ranks).Select(made.Of).ToList();
        Assert.Equal(ranks, places.Select(p => (p.Pipeline, p.Data, p.Tensor)).Distinct().Count());
        Assert.All(places, p => Assert.True(
            p.Pipeline < layout.Pipeline && p.Data < layout.Data && p.Tensor < layout.Tensor && p.Expert < layout.Expert, p.ToString()));
        // Whoever shares experts has the next numbers, so that an expert group stays on as few nodes as can be.
        Assert.Equal(Enumerable.Range(0, layout.Expert), places.Take(layout.Expert).Select(p => p.Expert));
    });

    /// <summary>Ranks that share a sequence take the same rows; others take others, and all of them hold the same weights.</summary>
    [Fact]
    public void Ranks_that_share_sequences_are_neighbours_with_the_same_rows() =>
        Gen.Select(Gen.Int[1, 3], Gen.Int[1, 3], Gen.Int[2, 4], Gen.Int[0, 40]).Sample((pipeline, groups, sharing, rows) =>
    {
        var layout = GangLayout.Of(new ParallelLayout { Pipeline = pipeline, Data = groups * sharing, Context = { sharing } },
            pipeline * groups * sharing);
        var shares =
            Enumerable.Range(0, layout.Ranks).Select(rank => new RankContext(rank, layout, CPU, 1).ShareOf(rows, sharing)).ToList();
        for (var rank = 0; rank < layout.Ranks; rank++)
        {
            var (neighbours, own) = (layout.NeighboursOf(rank), layout.NeighboursOf(rank).Contexts[sharing]);
            Assert.Equal(Enumerable.Range(rank / sharing * sharing, sharing), own);
            Assert.All(own, other => Assert.Equal(shares[rank], shares[other]));
            Assert.Subset(neighbours.Data.ToHashSet(), own.ToHashSet());
            Assert.Equal(rows, neighbours.Data.Select(other => shares[other]).Distinct().Sum(share => share.Count));
        }
    });

    [Theory]
    [InlineData(4, 3)]
    [InlineData(4, 8)]
    [InlineData(4, 1)]
    public void Sequences_that_cannot_be_shared_so_are_refused_with_the_fix(int data, int sharing) => Assert.Contains(
        $"a contextParallel that divides {data}",
        Assert.Throws<InvalidDataException>(() => GangLayout.Of(new ParallelLayout { Data = data, Context = { sharing } }, data)).Message,
        StringComparison.Ordinal);

    [Fact]
    public void What_is_written_of_a_layout_reads_as_it() => Assert.All(
        ["dp=2,ep=1,pp=1,cp=2,schedule=1f1b", "dp=1,ep=2,pp=2,cp=4,schedule=zb1p,nodes=2", "dp=2,ep=2,pp=1,schedule=1f1b"],
        text => Assert.Equal(text, GangLayout.Parse(text).InWords));

    /// <summary>Every rank that shares one's experts is reached by one step between nodes and one within.</summary>
    [Fact]
    public void Nodes_cut_those_that_share_experts_into_equal_parts() =>
        Gen.Select(Gen.Int[1, 3], Gen.Int[1, 12], Gen.Int[1, 3], Gen.Int[1, 36]).Select((pipeline, expert, replicas, nodes) =>
            new GangLayout(pipeline * expert * replicas, pipeline, 1, expert) { Nodes = nodes })
        .Where(layout => layout.NodesProblem is null).Sample(layout =>
    {
        var each = layout.Ranks / layout.Nodes;
        for (var rank = 0; rank < layout.Ranks; rank++)
        {
            var neighbours = layout.NeighboursOf(rank);
            var onNode = neighbours.Experts.Where(r => r / each == rank / each).ToArray();
            Assert.Equal(onNode.Length > 1 && onNode.Length < layout.Expert, neighbours.ExpertNodes is not null);
            if (neighbours.ExpertNodes is var (across, within))
            {
                Assert.Equal(onNode, within);
                Assert.Contains(rank, across);
                Assert.Equal(across.Length, across.Select(r => r / each).Distinct().Count());
                Assert.Equal(neighbours.Experts, across.SelectMany(r => layout.NeighboursOf(r).ExpertNodes!.Value.Within));
            }
        }
    });

    [Fact]
    public void The_rows_of_a_batch_are_dealt_out_in_order_and_each_once() =>
    Gen.Select(Gen.Int[1, 16], Gen.Int[0, 100]).Sample((ranks, rows) =>
    {
        var next = 0;
        for (var rank = 0; rank < ranks; rank++)
        {
            var (first, count) = new RankContext(rank, GangLayout.Of(null, ranks), CPU, 1).ShareOf(rows);
            Assert.Equal(next, first);
            Assert.InRange(count, rows / ranks, (rows + ranks - 1) / ranks);
            next = first + count;
        }
        Assert.Equal(rows, next);
    });

    [Theory]
    [InlineData(8, 2, 1, 4, 1, true)]
    [InlineData(8, 2, 1, 4, 4, true)]
    [InlineData(8, 2, 1, 4, 3, false)]
    [InlineData(8, 3, 1, 4, 1, false)]
    [InlineData(6, 2, 1, 4, 1, false)]
    [InlineData(1, 0, 0, 0, 0, true)]
    public void A_layout_that_does_not_fit_its_ranks_is_refused_with_its_numbers(int ranks, int pipeline, int tensor, int data, int expert,
        bool fits)
    {
        var layout = new ParallelLayout { Pipeline = pipeline, Tensor = tensor, Data = data, Expert = expert };
        var problem = Record.Exception(() => GangLayout.Of(layout, ranks));
        Assert.Equal(fits, problem is null);
        Assert.True(
            fits || problem is InvalidDataException
                && problem.Message.StartsWith($"{ranks} ranks cannot be laid out", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData(0, 0, 5)]
    [InlineData(2, 0, 2)]
    [InlineData(6, 3, 3)]
    public void A_rank_takes_its_part_of_the_cores_of_its_own_node(int rank, int told, int threads)
    {
        // Two ranks on the first node, five on the second.
        var launch = new RankLaunch
        {
            Rank = rank,
            Assignment = new Assignment { WorldSize = 7, Plan = new TrainingPlan { Device = "cpu", Threads = told } },
        };
        launch.Assignment.Ranks.Add(
            Enumerable.Range(0, 7).Select(r => new RankPlacement { Rank = r, Node = r < 2 ? "a" : "b", LocalRank = r < 2 ? r : r - 2 }));
        var who = RankContext.Of(launch, cores: 10);
        Assert.Equal((rank, threads, rank), (who.Rank, who.Threads, who.Place.Data));
    }

    [Fact]
    public void A_launch_for_a_rank_that_the_gang_does_not_have_is_bad_input()
    {
        var launch = new RankLaunch { Rank = 2, Assignment = new Assignment { WorldSize = 2, Plan = new TrainingPlan { Device = "cpu" } } };
        Assert.Contains("rank 2 of a gang of 2", Assert.Throws<InvalidDataException>(() => RankContext.Of(launch, 4)).Message,
            StringComparison.Ordinal);
    }
}
