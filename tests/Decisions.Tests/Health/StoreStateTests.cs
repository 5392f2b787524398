using CsCheck;
using DeepSeekOps.Decisions.Health;
using Xunit;

namespace DeepSeekOps.Decisions.Tests.Health;

public sealed class StoreStateTests
{
    private static readonly DateTimeOffset Now = new(2026, 11, 26, 21, 18, 21, TimeSpan.Zero);
    private static readonly StoreTrouble Full = new("the disk is full under /data", "Free space there.");

    [Fact]
    public void A_full_disk_is_said_with_the_time_it_began_until_a_write_has_passed_and_none_failed_for_a_while()
    {
        var failing = new StoreSeen { Written = Seconds(61), FailedFirst = Seconds(60), Failed = Seconds(1), Trouble = Full };
        var told = Assert.IsType<StoreState.Unwritable>(StoreState.Decide(failing, Now));
        Assert.Equal("The database cannot be written since 21:17:21 UTC: the disk is full under /data.", told.Sentence);

        Assert.IsType<StoreState.Unwritable>(StoreState.Decide(failing with { Written = Seconds(0.5) }, Now));
        Assert.IsType<StoreState.Writable>(StoreState.Decide(failing with { Failed = Seconds(4), Written = Seconds(0.5) }, Now));
    }

    [Fact]
    public void One_dropped_connection_that_is_there_again_at_once_is_not_told() => Assert.IsType<StoreState.Writable>(StoreState.Decide(
        new StoreSeen { Written = Seconds(2), FailedFirst = Seconds(0.3), Failed = Seconds(0.3), Trouble = Full }, Now));

    [Fact]
    public void A_database_that_hangs_without_failing_is_told_within_five_seconds_of_the_last_write()
    {
        // The probe writes 1.5 s after the last write and is looked at each second.
        var hung = new StoreSeen { Written = Seconds(5), Waiting = Seconds(2.5) };
        Assert.Contains("gives no answer", Assert.IsType<StoreState.Unwritable>(StoreState.Decide(hung, Now)).Sentence,
            StringComparison.Ordinal);
        Assert.IsType<StoreState.Writable>(StoreState.Decide(hung with { Waiting = Seconds(1) }, Now));
    }

    [Fact]
    public void A_lost_file_is_told_although_every_write_passes() => Assert.IsType<StoreState.Unwritable>(StoreState.Decide(
        new StoreSeen { Written = Seconds(0), Lost = new StoreTrouble("it was deleted", "Put it back."), LostFor = Seconds(10) }, Now));

    [Fact]
    public void Without_a_failure_and_without_a_wait_it_is_writable_and_the_time_told_never_lies_in_the_future() =>
        Gen.Select(Ages, Ages, Ages, Ages).Sample((written, failed, longer, waiting) =>
        {
            var first = failed is null ? null : failed + (longer ?? TimeSpan.Zero);
            var state = StoreState.Decide(
                new StoreSeen
                {
                    Written = written,
                    Failed = failed,
                    FailedFirst = first,
                    Trouble = failed is null ? null : Full,
                    Waiting = waiting,
                }, Now);
            Assert.True(state is StoreState.Writable || (state is StoreState.Unwritable { Since: var since } && since <= Now));
            Assert.False(state is StoreState.Unwritable && failed is null && waiting is null);
        });

    private static readonly Gen<TimeSpan?> Ages =
        Gen.Select(Gen.Bool, Gen.Double[0, 100], (none, s) => none ? (TimeSpan?)null : TimeSpan.FromSeconds(s));

    private static TimeSpan Seconds(double seconds) => TimeSpan.FromSeconds(seconds);
}
