using DeepSeekOps.Decisions.Goodput;
using DeepSeekOps.Decisions.Runs;
using Google.Protobuf.WellKnownTypes;
using Proto = DeepSeekOps.Contracts.Ops.V1;

namespace DeepSeekOps.ControlPlane.Api;

/// <summary>What a GPU-hour costs, by the cluster's settings. Null: they do not say.</summary>
public sealed record GpuPrice(double? DollarsPerHour);

/// <summary>Accounts of GPU time as the messages that people and tools read.</summary>
internal static class CostMapping
{
    public static Proto.Cost ToProto(this StageAccount account, string stage, double? price) => Of([(stage, account)], account.Gpus, price);

    /// <summary>Of a whole run. Null: none of its stages was asked for yet.</summary>
    public static Proto.Cost? CostOf(RunView run, double? price)
    {
        (string, StageAccount)[] booked = [.. run.Stages.Where(s => s.Cost is not null).Select(s => (s.Name, s.Cost!))];
        return booked.Length == 0 ? null : Of(booked, 0, price);
    }

    private static Proto.Cost Of((string Stage, StageAccount Account)[] booked, int gpus, double? price)
    {
        var ticks = System.Enum.GetValues<GoodputBucket>().ToDictionary(b => b, b => booked.Sum(a => a.Account.Of(b)));
        long all = ticks.Values.Sum(), held = ticks.Where(b => !GoodputBuckets.HoldsNothing(b.Key)).Sum(b => b.Value);
        var proto = new Proto.Cost
        {
            Gpus = gpus,
            Wall = Duration.FromTimeSpan(booked.Aggregate(TimeSpan.Zero, (sum, a) => sum + a.Account.Wall)),
            GpuTime = Span(all),
            Buckets = { ticks.Where(b => b.Value > 0).Select(b => BucketOf(b.Key, b.Value, price)) },
            Unknown = { booked.SelectMany(a => a.Account.Periods.Select(p => PeriodOf(a.Stage, p))) },
        };
        foreach (var cause in booked.SelectMany(a => a.Account.Booked.LostByCause).GroupBy(c => c.Key, StringComparer.Ordinal))
        {
            proto.LostGpuHoursByCause[cause.Key] = TimeSpan.FromTicks(cause.Sum(c => c.Value)).TotalHours;
        }

        if (all > 0)
        {
            proto.Goodput = (double)ticks[GoodputBucket.Productive] / all;
        }

        if (price is { } dollars)
        {
            (proto.DollarsPerGpuHour, proto.Dollars) = (dollars, TimeSpan.FromTicks(held).TotalHours * dollars);
        }

        return proto;
    }

    private static Proto.CostBucket BucketOf(GoodputBucket bucket, long ticks, double? price)
    {
        var (name, what) = GoodputBuckets.InWords(bucket);
        var proto = new Proto.CostBucket { Name = GoodputBuckets.NameOf(bucket), Words = name, What = what, GpuTime = Span(ticks) };
        if (price is { } dollars && !GoodputBuckets.HoldsNothing(bucket))
        {
            proto.Dollars = TimeSpan.FromTicks(ticks).TotalHours * dollars;
        }

        return proto;
    }

    private static Proto.UnknownPeriod PeriodOf(string stage, UnknownPeriod period) => new()
    {
        Stage = stage, From = period.From.ToTimestamp(), To = period.To.ToTimestamp(), Why = period.Why,
    };

    private static Duration Span(long ticks) => Duration.FromTimeSpan(TimeSpan.FromTicks(ticks));
}
