using System.Collections.Immutable;
using DeepSeekOps.ControlPlane.Api.Notices;
using DeepSeekOps.ControlPlane.Grains;
using DeepSeekOps.Decisions;
using DeepSeekOps.Decisions.Incidents;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace DeepSeekOps.ControlPlane.Tests.Api.Notices;

/// <summary>What a turn of the notifier sends, remembers and says of what it could not send. No clock, no network.</summary>
public sealed class NotifierTests : IDisposable
{
    private static readonly DateTimeOffset Noon = new(2026, 1, 1, 12, 0, 0, TimeSpan.Zero);

    private readonly FakeTimeProvider clock = new(Noon);
    private readonly Channel mail = new("mail to ann@example.org");
    private readonly Channel hook = new("the webhook at chat.example.org");
    private readonly Book book = new();
    private readonly List<Noteworthy> known = [Of(1, Noon)];
    private bool ours = true;
    private Notifier notifier;

    public NotifierTests() => notifier = Begin();

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    public void Dispose() => notifier.Dispose();

    [Fact]
    public async Task What_needs_a_person_is_told_once_by_each_channel_also_by_a_control_plane_that_begins_anew()
    {
        await notifier.Turn(Ct);
        await notifier.Turn(Ct);
        using var another = notifier;
        notifier = Begin();
        await notifier.Turn(Ct);
        Assert.Equal((1, 1), (mail.Sent.Count, hook.Sent.Count));
        Assert.Empty(notifier.Troubles);
    }

    [Fact]
    public async Task A_channel_that_is_away_holds_up_no_other_is_told_of_with_what_it_owes_and_delivers_once_it_is_back()
    {
        hook.Refuses = "no answer within 10 s";
        await notifier.Turn(Ct);
        known.Add(Of(2, Noon.AddSeconds(30)));
        clock.Advance(TimeSpan.FromSeconds(30));
        await notifier.Turn(Ct);
        Assert.Equal((2, 0), (mail.Sent.Count, hook.Sent.Count));
        Assert.Equal(new NoticeTrouble(hook.Name, "no answer within 10 s", Noon, Untold: 2), Assert.Single(notifier.Troubles));
        hook.Refuses = "";
        // Not before its minute is over, however often it is looked.
        await notifier.Turn(Ct);
        Assert.Empty(hook.Sent);
        clock.Advance(TimeSpan.FromMinutes(1));
        await notifier.Turn(Ct);
        Assert.Equal([1, 2], hook.Sent.Select(n => Assert.Single(n.Of)).Select(n => int.Parse(n.Key[^1..], null)).Order());
        Assert.Empty(notifier.Troubles);
    }

    [Fact]
    public async Task Of_several_control_planes_one_tells_and_the_others_know_what_it_could_not_tell()
    {
        ours = false;
        await notifier.Turn(Ct);
        Assert.Empty(mail.Sent);
        ours = true;
        mail.Refuses = "550 no such user";
        await notifier.Turn(Ct);
        ours = false;
        using var other = Begin();
        await other.Turn(Ct);
        Assert.Equal(["550 no such user"], other.Troubles.Select(t => t.Why));
        Assert.Empty(mail.Sent);
    }

    private Notifier Begin() => new(new NoticeOffice([mail, hook], All: false, "http://ops"),
        new NoticeSources((_, _) => Task.FromResult(known.ToImmutableArray()), () => book, () => ours), clock,
        NullLogger<Notifier>.Instance);

    private static Noteworthy Of(int number, DateTimeOffset at) => Noteworthy.Of(
        new Incident(new StageId("mini", "pretrain"), number, IncidentState.NeedsHuman, at, "Needs a person: it broke.", 1, []));

    private sealed class Book : INoticeGrain
    {
        private NoticeBook value = new();

        public Task<NoticeBook> Read() => Task.FromResult(value);

        public Task Write(string channel, ChannelBook book)
        {
            value = value with { Channels = value.Channels.SetItem(channel, book) };
            return Task.CompletedTask;
        }
    }

    private sealed class Channel(string name) : INoticeChannel
    {
        public string Name => name;

        /// <summary>For good; a channel that may answer the next time is tried again at once, by the clock.</summary>
        public string Refuses { get; set; } = "";

        public List<Notice> Sent { get; } = [];

        public Task Send(Notice notice, string address, CancellationToken cancellation)
        {
            if (Refuses.Length > 0)
            {
                throw new NoticeException(Refuses, again: false);
            }

            Sent.Add(notice);
            return Task.CompletedTask;
        }
    }
}
