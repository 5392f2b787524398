using System.Collections.Immutable;

namespace DeepSeekOps.Decisions.Incidents;

/// <summary>What one channel was told, and how it stands with it. Kept over restarts.</summary>
public sealed record ChannelBook
{
    /// <summary>By key: the state that was told.</summary>
    public ImmutableDictionary<string, string> Told { get; init; } = ImmutableDictionary<string, string>.Empty;

    /// <summary>The newest messages.</summary>
    public ImmutableArray<DateTimeOffset> Sent { get; init; } = [];

    /// <summary>Why the newest message could not be delivered. Empty: it could.</summary>
    public string Trouble { get; init; } = "";

    public DateTimeOffset? TroubleSince { get; init; }

    /// <summary>Deliveries that failed since the last that did not.</summary>
    public int Failures { get; init; }

    /// <summary>Not tried again before. Null: at once.</summary>
    public DateTimeOffset? NotBefore { get; init; }
}

/// <summary>What every channel was told, by its name.</summary>
public sealed record NoticeBook
{
    public ImmutableDictionary<string, ChannelBook> Channels { get; init; } = ImmutableDictionary<string, ChannelBook>.Empty;

    public ChannelBook Of(string channel) => Channels.GetValueOrDefault(channel) ?? new ChannelBook();
}

/// <summary>One message: of one thing, or of a storm of them.</summary>
/// <param name="Update">It was told before, and this is what became of it.</param>
public sealed record Notice(string Title, ImmutableArray<Noteworthy> Of, bool Update)
{
    /// <summary>Of a storm: more stand in the dashboard.</summary>
    public const int Named = 10;

    /// <summary>The same for the same news, so that a mail that comes twice is seen to be one.</summary>
    public string Id => string.Join('|', Of.Select(n => $"{n.Key}={n.State}"));
}

/// <summary>Who is told what, and when. Nobody is woken for what automation mends.</summary>
public static class Notices
{
    /// <summary>Older is history: a channel that is new, or was away for long, is not flooded with it.</summary>
    public static readonly TimeSpan News = TimeSpan.FromHours(24);

    /// <summary>So many at once are one event to whoever is woken, such as a switch that fails under ten runs.</summary>
    public const int Storm = 3;

    /// <summary>In it one channel gets <see cref="InWindow"/> messages at most; what comes beyond is gathered into one.</summary>
    public static readonly TimeSpan Window = TimeSpan.FromMinutes(10);

    /// <summary>Ours: who answers one question in two minutes is fast, and reads no more.</summary>
    public const int InWindow = 5;

    private static readonly TimeSpan AgainFirst = TimeSpan.FromMinutes(1);
    private static readonly TimeSpan AgainMost = TimeSpan.FromMinutes(15);

    /// <param name="all">Also what asks nothing of anybody.</param>
    public static ImmutableArray<Notice> Due(ChannelBook book, ImmutableArray<Noteworthy> known, bool all, DateTimeOffset now)
    {
        if (book.NotBefore > now || book.Sent.Count(at => now - at < Window) >= InWindow)
        {
            return [];
        }

        var due = Untold(book, known, all, now);
        return due.Length <= Storm
            ? [.. due.Select(n => new Notice(n.Title, [n], book.Told.ContainsKey(n.Key)))]
            : [new Notice($"{due.Length} things happened: {due.Count(n => n.Asks)} need a person", due, Update: false)];
    }

    /// <summary>What is not told yet, or has moved since it was.</summary>
    public static ImmutableArray<Noteworthy> Untold(ChannelBook book, ImmutableArray<Noteworthy> known, bool all, DateTimeOffset now) =>
    [
        .. known.Where(n => book.Told.TryGetValue(n.Key, out string? told) ? told != n.State : (n.Asks || all) && now - n.At < News)
            .OrderByDescending(n => n.Asks).ThenBy(n => n.At),
    ];

    public static ChannelBook Sent(ChannelBook book, Notice notice, ImmutableArray<Noteworthy> known, DateTimeOffset now)
    {
        var there = known.Select(n => n.Key).Concat(notice.Of.Select(n => n.Key)).ToHashSet();
        return new ChannelBook
        {
            // What is not known any more, or is answered, is not spoken of again: a later question of the same run is a new one.
            Told = book.Told.RemoveRange(book.Told.Keys.Where(k => !there.Contains(k)))
                .SetItems(notice.Of.Select(n => KeyValuePair.Create(n.Key, n.State))),
            Sent = [.. book.Sent.Where(at => now - at < Window).Append(now)],
        };
    }

    public static ChannelBook Failed(ChannelBook book, string why, DateTimeOffset now)
    {
        var wait = AgainFirst * Math.Pow(2, Math.Min(book.Failures, 10));
        return book with
        {
            Trouble = why,
            TroubleSince = book.TroubleSince ?? now,
            Failures = book.Failures + 1,
            NotBefore = now + (wait < AgainMost ? wait : AgainMost),
        };
    }
}
