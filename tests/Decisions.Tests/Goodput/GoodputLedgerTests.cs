using System.Text.Json;
using CsCheck;
using DeepSeekOps.Decisions.Goodput;
using Xunit;

namespace DeepSeekOps.Decisions.Tests.Goodput;

public sealed class GoodputLedgerTests
{
    private static readonly DateTimeOffset Began = new(2026, 1, 2, 8, 0, 0, TimeSpan.Zero);

    [Fact]
    public void Buckets_add_up_to_what_was_entered_whatever_is_taken_back() =>
        Gen.Select(Gen.Enum<GoodputBucket>(), Gen.Int[0, 4096], Gen.Long[0, 1L << 40], Gen.Bool).Array[0, 60].Sample(entries =>
        {
            var ledger = new GoodputLedger();
            long entered = 0;
            foreach (var (bucket, gpus, ticks, lose) in entries)
            {
                ledger.Enter(bucket, "x", gpus, TimeSpan.FromTicks(ticks));
                entered += gpus * ticks;
                ledger.Lose("y", lose ? ledger[GoodputBucket.Productive].Ticks / 3 : 0);
                ledger = new GoodputLedger(JsonSerializer.Deserialize<GoodputAccount>(JsonSerializer.Serialize(ledger.ToAccount()))!);
            }

            Assert.Equal(entered, ledger.Total.Ticks);
        });

    [Fact]
    public void A_ledger_from_before_a_bucket_was_known_is_read() =>
        Assert.Equal(7, new GoodputLedger(new GoodputAccount([7], GoodputAccount.Empty.LostByCause)).Total.Ticks);

    [Fact]
    public void An_account_adds_up_to_gpus_times_wall_clock_for_any_history() =>
        Gen.Select(Gen.Enum<GoodputBucket>(), Gen.Int[-50, 500], Gen.Int[0, 6], Gen.Int[0, 100]).Array[0, 80].Sample(history =>
        {
            var account = StageAccount.Open(Began, 7);
            foreach (var (bucket, seconds, what, step) in history)
            {
                var to = account.At.AddSeconds(seconds);
                account = what switch
                {
                    0 => account.Pass(to),
                    1 => account.Take(bucket, TimeSpan.FromSeconds(seconds), "a fault"),
                    2 => account.Mark(step),
                    3 => account.GoOnFrom(step, "a fault"),
                    _ => account.Enter(bucket, to, "a fault"),
                };
                account = JsonSerializer.Deserialize<StageAccount>(JsonSerializer.Serialize(account))!;
                Assert.Equal(account.Wall.Ticks * 7, account.Booked.GpuTicks.Sum());
                Assert.DoesNotContain(account.Booked.GpuTicks, t => t < 0);
            }
        });

    [Fact]
    public void What_is_lost_is_what_was_made_beyond_the_step_that_is_gone_on_from()
    {
        var account = StageAccount.Open(Began, 8).Enter(GoodputBucket.StartUp, Began.AddSeconds(5)).GoOnFrom(0, "by order");
        account = account.Enter(GoodputBucket.Productive, Began.AddSeconds(105)).Mark(100);
        account = account.Enter(GoodputBucket.Productive, Began.AddSeconds(205)).Mark(300).GoOnFrom(200, "rank exited");
        Assert.Equal(TimeSpan.FromSeconds(50 * 8).Ticks, account.Of(GoodputBucket.LostWork));
        Assert.Equal(TimeSpan.FromSeconds(150 * 8).Ticks, account.Productive);
        Assert.Equal(account.Of(GoodputBucket.LostWork), account.Booked.LostByCause["rank exited"]);
        Assert.Equal(TimeSpan.FromSeconds(100 * 8).Ticks, account.GoOnFrom(100, "rolled back").Productive);
    }
}
