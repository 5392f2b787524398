using System.Collections.Immutable;
using CsCheck;
using DeepSeekOps.Decisions.Incidents;
using Xunit;

namespace DeepSeekOps.Decisions.Tests.Incidents;

public sealed class NoticesTests
{
    private static readonly DateTimeOffset Now = new(2026, 1, 2, 8, 0, 0, TimeSpan.Zero);

    [Fact]
    public void One_incident_is_one_message_and_its_news_an_update()
    {
        var asks = Of(1);
        var first = Assert.Single(Notices.Due(new ChannelBook(), [asks], all: false, Now));
        Assert.False(first.Update);
        var book = Notices.Sent(new ChannelBook(), first, [asks], Now);
        Assert.Empty(Notices.Due(book, [asks], all: false, Now));
        var taken = asks with { State = "NeedsHuman by ann", Asks = false };
        Assert.True(Assert.Single(Notices.Due(book, [taken], all: false, Now)).Update);
    }

    [Fact]
    public void What_asks_nobody_or_is_history_is_told_to_nobody_and_all_is_for_who_asks_for_all()
    {
        var mended = Of(1) with { State = "Closed", Asks = false };
        Assert.Empty(Notices.Due(new ChannelBook(), [mended], all: false, Now));
        Assert.Single(Notices.Due(new ChannelBook(), [mended], all: true, Now));
        Assert.Empty(Notices.Due(new ChannelBook(), [Of(2) with { At = Now - Notices.News }], all: true, Now));
    }

    [Fact]
    public void A_storm_is_one_message_with_its_count_and_a_channel_is_not_flooded() => Gen.Int[1, 60].Array[1, 20].Sample(waves =>
    {
        var (book, known, now, number) = (new ChannelBook(), ImmutableArray<Noteworthy>.Empty, Now, 0);
        var sent = new List<DateTimeOffset>();
        foreach (int wave in waves)
        {
            known = known.AddRange(Enumerable.Range(0, wave).Select(_ => Of(++number) with { At = now }));
            foreach (var notice in Notices.Due(book, known, all: false, now))
            {
                Assert.True(notice.Of.Length == 1 || notice.Title.StartsWith($"{notice.Of.Length} things", StringComparison.Ordinal));
                book = Notices.Sent(book, notice, known, now);
                sent.Add(now);
            }

            now += TimeSpan.FromSeconds(5);
        }

        Assert.All(sent, at => Assert.InRange(sent.Count(s => s <= at && at - s < Notices.Window), 1,
            Notices.InWindow + Notices.Storm));
        var rest = Notices.Due(book, known, all: false, now + Notices.Window);
        Assert.Equal(known.Length, book.Told.Count + rest.Sum(n => n.Of.Length));
    });

    [Fact]
    public void What_is_not_delivered_stays_due_and_is_tried_again_later_and_later()
    {
        var (book, now, waits) = (new ChannelBook(), Now, new List<TimeSpan>());
        for (int i = 0; i < 8; i++)
        {
            book = Notices.Failed(book, "no answer", now);
            Assert.Empty(Notices.Due(book, [Of(1)], all: false, now));
            waits.Add(book.NotBefore!.Value - now);
            now = book.NotBefore.Value;
            Assert.Single(Notices.Due(book, [Of(1)], all: false, now));
        }

        Assert.Equal((TimeSpan.FromMinutes(1), TimeSpan.FromMinutes(15), Now), (waits[0], waits[^1], book.TroubleSince));
        var sent = Notices.Sent(book, new Notice("", [Of(1)], false), [Of(1)], now);
        Assert.Equal(("", 0, null), (sent.Trouble, sent.Failures, sent.NotBefore));
    }

    private static Noteworthy Of(int number) => Noteworthy.Of(
        new Incident(new StageId("mini", "pretrain"), number, IncidentState.NeedsHuman, Now, "Needs a person: it broke.", 1, []));
}
