using System.Collections.Immutable;
using System.Text.Json.Serialization;

namespace DeepSeekOps.Decisions.Goodput;

/// <summary>How much was productive when a step was made: what is lost where a later launch goes on from before it.</summary>
public readonly record struct UsefulMark(long Step, long GpuTicks);

/// <summary>A time in which nobody listened, and which what was told afterwards does not fill.</summary>
public sealed record UnknownPeriod(DateTimeOffset From, DateTimeOffset To, string Why);

/// <summary>
/// Where the GPU time of one stage went, up to a moment. Whoever moves the stage enters each span once; immutable, and written with the
/// stage. Its buckets add up to GPUs × the time in which the stage asked for them or held them, exactly, whatever is entered.
/// </summary>
/// <param name="At">Everything before it is entered.</param>
public sealed record StageAccount(DateTimeOffset At, int Gpus, GoodputAccount Booked)
{
    /// <summary>
    /// Steps between which what is lost is interpolated. Ours: a mark is made at each checkpoint, and no restart goes back further.
    /// </summary>
    private const int MarksKept = 32;

    /// <summary>Listed one by one; the bucket has all. Ours: a page.</summary>
    public const int PeriodsKept = 50;

    public ImmutableArray<UsefulMark> Marks { get; init; } = [];

    public ImmutableArray<UnknownPeriod> Periods { get; init; } = [];

    /// <summary>What the wait for the next step is owed to; empty: nothing failed.</summary>
    public string Cause { get; init; } = "";

    /// <summary>Time in which the stage asked for its GPUs or held them.</summary>
    public TimeSpan Wall { get; init; }

    public static StageAccount Open(DateTimeOffset at, int gpus) => new(at, gpus, GoodputAccount.Empty);

    [JsonIgnore]
    public long Productive => Of(GoodputBucket.Productive);

    public long Of(GoodputBucket bucket) => (int)bucket < Booked.GpuTicks.Length ? Booked.GpuTicks[(int)bucket] : 0;

    /// <summary>The stage wants nothing: the clock goes on and no GPU is paid for.</summary>
    public StageAccount Pass(DateTimeOffset to) => to > At ? this with { At = to } : this;

    /// <summary>Enters the time up to <paramref name="to"/>; a clock that was set back enters nothing.</summary>
    /// <param name="held">Of its GPUs; the others are missing from a gang that trains with fewer. Null: all.</param>
    public StageAccount Enter(GoodputBucket bucket, DateTimeOffset to, string cause = "", int? held = null)
    {
        if (to <= At)
        {
            return this;
        }

        var ledger = new GoodputLedger(Booked);
        int had = Math.Clamp(held ?? Gpus, 0, Gpus);
        ledger.Enter(bucket, cause, had, to - At);
        ledger.Enter(GoodputBucket.Shrunk, cause, Gpus - had, to - At);
        return this with { At = to, Booked = ledger.ToAccount(), Wall = Wall + (to - At) };
    }

    /// <summary>As much of what was entered as productive was another's; no more than there is.</summary>
    public StageAccount Take(GoodputBucket bucket, TimeSpan span, string cause = "")
    {
        long taken = Math.Min(Productive, Math.Max(0, span.Ticks) * Gpus);
        if (taken == 0)
        {
            return this;
        }

        var ledger = new GoodputLedger(Booked);
        ledger.Take(bucket, cause, taken);
        return this with { Booked = ledger.ToAccount() };
    }

    /// <summary>A step was made. One that was made before is no news.</summary>
    public StageAccount Mark(long step) => Marks is [.., var last] && last.Step >= step ? this
        : this with { Marks = [.. Marks.TakeLast(MarksKept - 1), new UsefulMark(step, Productive)] };

    /// <summary>A launch goes on from a step: what was made beyond it is made again.</summary>
    public StageAccount GoOnFrom(long step, string cause)
    {
        long useful = Math.Clamp(UsefulAt(step), 0, Productive);
        var ledger = new GoodputLedger(Booked);
        ledger.Lose(cause, Productive - useful);
        return this with { Booked = ledger.ToAccount(), Marks = [.. Marks.Where(m => m.Step < step), new UsefulMark(step, useful)] };
    }

    /// <summary>For views of a cluster whose clock is faster than ours: its hours, as all else that is shown of it.</summary>
    public StageAccount Times(double factor)
    {
        long Scaled(long ticks) => (long)Math.Round(ticks * factor);
        return factor == 1 ? this : this with
        {
            Booked = new GoodputAccount([.. Booked.GpuTicks.Select(Scaled)],
                Booked.LostByCause.ToImmutableSortedDictionary(c => c.Key, c => Scaled(c.Value), StringComparer.Ordinal)),
            Wall = Wall * factor,
        };
    }

    public StageAccount List(UnknownPeriod period) => this with { Periods = [.. Periods.TakeLast(PeriodsKept - 1), period] };

    /// <summary>Between two marks by their steps; beyond the last nothing is known to have been made.</summary>
    private long UsefulAt(long step)
    {
        int after = 0;
        while (after < Marks.Length && Marks[after].Step < step)
        {
            after++;
        }

        if (after == Marks.Length)
        {
            return Productive;
        }

        var to = Marks[after];
        // Before the oldest mark that is kept lies the stage's beginning, or what was dropped: its pace was the same.
        var from = after == 0 ? new UsefulMark(0, 0) : Marks[after - 1];
        return to.Step <= from.Step ? to.GpuTicks
            : from.GpuTicks + (long)((Int128)(to.GpuTicks - from.GpuTicks) * (step - from.Step) / (to.Step - from.Step));
    }
}
