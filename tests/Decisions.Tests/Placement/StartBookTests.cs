using System.Collections.Immutable;
using System.Text.Json;
using DeepSeekOps.Decisions.Gangs;
using DeepSeekOps.Decisions.Placement;
using Xunit;

namespace DeepSeekOps.Decisions.Tests.Placement;

public sealed class StartBookTests
{
    private static readonly DateTimeOffset Now = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    [Fact]
    public void With_few_starts_the_band_is_what_the_ends_say_of_themselves()
    {
        var estimate = InHours(2);
        Assert.Equal(estimate, Learnt(19, i => 1).Band(estimate, 1, Now));
        Assert.NotEqual(estimate, Learnt(20, i => 1).Band(estimate, 1, Now));
    }

    [Fact]
    public void The_band_is_that_of_earlier_starts_whose_foreseen_wait_was_like_it()
    {
        // Ninety waits of ten minutes took 0.5 to 1.4 of them; as many of ten hours took twice to 2.9 times as long.
        var book = Learnt(90, i => 0.5 + (i / 100.0), TimeSpan.FromMinutes(10));
        book = Learnt(90, i => 2 + (i / 100.0), TimeSpan.FromHours(10), book);
        var shortOne = book.Band(Estimate(TimeSpan.FromMinutes(10)), 1, Now);
        Assert.InRange((shortOne.Earliest - Now).TotalMinutes, 5, 6);
        Assert.InRange((shortOne.Latest - Now).TotalMinutes, 13, 29);
        var longOne = book.Band(InHours(10), 1, Now);
        Assert.InRange((longOne.Latest - Now).TotalHours, 28, 29);
        Assert.All([shortOne, longOne], e => Assert.True(e.Earliest <= e.Likely && e.Likely <= e.Latest, $"{e}"));
        Assert.EndsWith("nine of ten lie within, by 100 earlier starts like it", longOne.Basis, StringComparison.Ordinal);
    }

    [Fact]
    public void Starts_of_large_gangs_say_little_of_small_ones()
    {
        var book = Learnt(100, i => 3 + (i / 100.0), of: Learnt(100, _ => 0.5), nodes: 256);
        Assert.True(book.Band(InHours(1), 1, Now).Latest < Now.AddHours(1), "small ones fill gaps");
        Assert.InRange((book.Band(InHours(1), 128, Now).Earliest - Now).TotalHours, 3, 3.1);
    }

    [Fact]
    public void What_was_told_first_counts_and_who_is_cancelled_teaches_nothing()
    {
        GangRequest a = Asks(1), b = Asks(2);
        var book = new StartBook().Tell([(a, InHours(1)), (b, InHours(1))], Now).Tell([(a, InHours(9))], Now.AddMinutes(1));
        Assert.Equal(2, book.Told.Length);
        var started = book.Seen([Grant(a.Id, Now.AddHours(2))], new HashSet<GangId>());
        Assert.Equal([new StartOutcome(3600, 2, 1)], started.Outcomes);
        Assert.Empty(started.Told);
        Assert.Same(started, started.Seen([Grant(a.Id, Now.AddHours(2))], new HashSet<GangId>()));
    }

    [Fact]
    public void Bands_that_miss_grow_and_bands_that_hold_shrink()
    {
        var book = Learnt(100, _ => 1);
        Assert.True(Learnt(50, _ => 1, of: book).LeftOut > book.LeftOut, "they held");
        Assert.True(Learnt(50, i => i % 2 == 0 ? 5 : 0.1, of: book).LeftOut < book.LeftOut, "they missed");
    }

    [Fact]
    public void It_is_kept_in_bounds_and_as_it_was_written()
    {
        var book = Learnt(1000, i => i % 7).Tell([(Asks(5000), InHours(1))], Now);
        Assert.Equal(400, book.Outcomes.Length);
        var read = JsonSerializer.Deserialize<StartBook>(JsonSerializer.Serialize(book))!;
        Assert.Equal(book.Outcomes, read.Outcomes);
        Assert.Equal(book.Told, read.Told);
        Assert.Equal(book.LeftOut, read.LeftOut);
    }

    [Fact]
    public void A_promise_takes_the_errors_of_all_ends_that_it_waits_for()
    {
        var nodes = Fabric.H800(2);
        var held = nodes.Select((n, i) => new GangGrant(new StageId($"held-{i}", "s"), 1, [n.Id], 8, Now)
        {
            ExpectedEnd = Now.AddHours(10 - i), EndError = i == 0 ? 0.01 : 0.5,
        }).ToImmutableArray();
        var request = new GangRequest(new StageId("all", "s"), 1, 2, 8, 100, "t", Now, ImmutableDictionary<NodeId, string>.Empty);
        var question = new PlacementQuestion(new ClusterSnapshot(nodes, [], Now), held, [request], PlacementPolicy.Default, Now);
        var start = PlacementQueue.Decide(question).Pending[request.Stage].Eta!;
        Assert.Equal((Now.AddHours(9.9), Now.AddHours(10), Now.AddHours(13.5)), (start.Earliest, start.Likely, start.Latest));
    }

    /// <summary>Ten thousand gangs on 256 nodes: the benchmark `queue-starts`.</summary>
    [Fact]
    public void Nine_of_ten_starts_of_a_replayed_queue_lie_within_the_band_that_was_told_first()
    {
        var waited = new QueueReplay(seed: 1, nodes: 32, jobs: 1_200).Run();
        var learnt = waited.Skip(100).ToList();
        Assert.True(learnt.Count > 200, $"{learnt.Count} gangs waited");
        Assert.InRange(learnt.Average(w => w.Within ? 1.0 : 0), 0.85, 0.97);
    }

    private static StartBook Learnt(int starts, Func<int, double> ratio, TimeSpan? foreseen = null, StartBook? of = null,
        int nodes = 1)
    {
        var (book, wait) = (of ?? new StartBook(), foreseen ?? TimeSpan.FromHours(1));
        for (int i = 0; i < starts; i++)
        {
            var gang = Asks(i, nodes);
            book = book.Tell([(gang, Estimate(wait))], Now).Seen([Grant(gang.Id, Now + (wait * ratio(i)))], new HashSet<GangId>());
        }

        return book;
    }

    private static StartEstimate InHours(double hours) => Estimate(TimeSpan.FromHours(hours));

    private static StartEstimate Estimate(TimeSpan wait) => new(Now + wait, Now + wait, Now + wait, "by its ends");

    private static GangRequest Asks(int number, int nodes = 1) =>
        new(new StageId("job", "s"), number, nodes, 8, 100, "t", Now, ImmutableDictionary<NodeId, string>.Empty);

    private static GangGrant Grant(GangId gang, DateTimeOffset at) => new(gang.Stage, gang.Number, [new NodeId("node-0")], 8, at);
}
