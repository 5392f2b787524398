using System.Collections.Immutable;
using DeepSeekOps.ControlPlane.Grains;
using DeepSeekOps.ControlPlane.Storage;
using DeepSeekOps.Decisions.Incidents;
using NoticesDue = DeepSeekOps.Decisions.Incidents.Notices;

namespace DeepSeekOps.ControlPlane.Api.Notices;

/// <summary>Where a notifier has it from.</summary>
/// <param name="Known">What may be worth a message now.</param>
/// <param name="Book">What was told.</param>
/// <param name="Ours">Whether it is this process that tells people.</param>
internal sealed record NoticeSources(
    Func<DateTimeOffset, CancellationToken, Task<ImmutableArray<Noteworthy>>> Known, Func<INoticeGrain> Book, Func<bool> Ours)
{
    private const int LookedAt = 1_000;

    public static NoticeSources Of(IncidentStore incidents, RunListQueries runs, IGrainFactory grains, FirstSilo first) => new(
        async (now, cancellation) =>
        {
            var found = await incidents.Newest(null, now - NoticesDue.News, LookedAt, cancellation);
            var nodes = await incidents.NewestOfNodes(null, now - NoticesDue.News, LookedAt, cancellation);
            var waiting = await runs.Page(new RunListQuery("", "paused", null, LookedAt), cancellation);
            return
            [
                .. found.Select(i => Noteworthy.Of(i.Incident)),
                .. nodes.Select(Noteworthy.Of),
                .. waiting.Runs.Where(r => r.Question.Length > 0).Select(r => Noteworthy.Of(r.Name, r.Question, now)),
            ];
        },
        () => grains.GetGrain<INoticeGrain>(INoticeGrain.Key), () => first.IsUs);
}
