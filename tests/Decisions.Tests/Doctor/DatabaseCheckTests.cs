using System.Collections.Immutable;
using DeepSeekOps.Decisions.Doctor;
using DeepSeekOps.Decisions.Health;
using Xunit;

namespace DeepSeekOps.Decisions.Tests.Doctor;

/// <summary>Databases and clocks.</summary>
public sealed class DatabaseCheckTests
{
    private static readonly DatabaseFacts Well = new("PostgreSQL at db:5432/ops", Embedded: false)
    {
        Version = "15.6", VersionNumber = 150_006, Applied = 10, CanCreate = true, Schema = "public", User = "ops", ConnectionsMax = 100,
        ConnectionsReserved = 3, ConnectionsUsed = 5, Clock = Off(0),
    };

    [Fact]
    public void A_database_that_is_well_has_nothing_to_be_done_about() =>
        Assert.All(DatabaseCheck.Of(Well, several: false, ours: false), f => Assert.Equal(FindingLevel.Ok, f.Level));

    [Fact]
    public void What_a_server_does_not_tell_is_not_known_and_never_ok() => Assert.Equal(
        ["clock.database", "database.connections", "database.rights"],
        DatabaseCheck.Of(Well with { CanCreate = null, ConnectionsMax = null, Clock = null }, several: false, ours: false)
            .Where(f => f.Level == FindingLevel.NotKnown).Select(f => f.Check).Order(StringComparer.Ordinal));

    [Theory]
    [InlineData("PostgreSQL at db refuses the user or the password")]
    [InlineData("PostgreSQL at db has no such database")]
    public void What_keeps_us_out_is_all_that_is_told(string why)
    {
        var told = Assert.Single(Of(Well with { Trouble = new StoreTrouble(why, "Correct it.") }));
        Assert.Equal(("database.connect", FindingLevel.Fault, why, "Correct it."), (told.Check, told.Level, told.Found, told.Fix));
    }

    [Fact]
    public void A_database_that_a_newer_program_changed_is_refused_with_the_change() => Told.Is(FindingLevel.Fault, "Newer",
        Of(Well with { Newer = ["20270101000000_Newer"] }), "database.schema");

    [Fact]
    public void An_older_database_is_changed_by_the_next_start_which_asks_for_a_backup() => Told.Is(FindingLevel.Warning, "backup",
        Of(Well with { Applied = 8, Pending = ["1_A", "2_B"] }), "database.schema");

    [Fact]
    public void A_database_of_somebody_else_is_named_by_its_table() =>
        Told.Is(FindingLevel.Fault, "a table run", Of(Well with { Applied = 0, Foreign = ["run", "store"] }), "database.schema");

    [Fact]
    public void Rights_versions_and_standbys_are_told_with_what_to_do()
    {
        Told.Is(FindingLevel.Fault, "GRANT CREATE, USAGE ON SCHEMA public TO ops", Of(Well with { CanCreate = false }), "database.rights");
        Told.Is(FindingLevel.Fault, "takes no writes", Of(Well with { ReadOnly = true }), "database.rights");
        Told.Is(FindingLevel.Fault, "older than 15", Of(Well with { Version = "13.4", VersionNumber = 130_004 }), "database.version");
    }

    [Theory]
    [InlineData(100, 92, FindingLevel.Fault)]
    [InlineData(40, 5, FindingLevel.Warning)]
    [InlineData(100, 5, FindingLevel.Ok)]
    public void Connections_have_to_be_left_for_a_control_plane(int most, int used, FindingLevel level) => Assert.Equal(level,
        Told.Of(Of(Well with { ConnectionsMax = most, ConnectionsUsed = used }), "database.connections").Level);

    [Fact]
    public void Who_works_on_it_is_told_unless_it_is_ours_or_one_beside_us()
    {
        var held = Well with { Holder = "on host a" };
        Told.Is(FindingLevel.Warning, "on host a", DatabaseCheck.Of(held, several: false, ours: false), "database.holder");
        Assert.Equal(FindingLevel.Ok, Told.Of(DatabaseCheck.Of(held, several: true, ours: false), "database.holder").Level);
        Assert.Equal(FindingLevel.Ok, Told.Of(DatabaseCheck.Of(held, several: false, ours: true), "database.holder").Level);
    }

    [Fact]
    public void A_folder_of_another_database_is_told_as_a_start_would() => Told.Is(FindingLevel.Fault, "belongs to another",
        Of(Well with { Binding = new BindingVerdict.Refuse("The folder belongs to another.", "Use --rebind.") }), "database.binding");

    [Theory]
    [InlineData(300, FindingLevel.Fault, "5 min ahead of this machine")]
    [InlineData(-300, FindingLevel.Fault, "5 min behind this machine")]
    [InlineData(5, FindingLevel.Warning, "5 s ahead")]
    [InlineData(0.4, FindingLevel.Ok, "has the time of this machine")]
    public void A_clock_that_is_off_is_told_by_how_much_and_in_which_way(double seconds, FindingLevel level, string words) =>
        Told.Is(level, words, Of(Well with { Clock = Off(seconds) }), "clock.database");

    [Fact]
    public void What_a_slow_answer_leaves_open_is_not_held_against_a_clock() =>
        Assert.Equal(FindingLevel.Ok,
            ClockCheck.Of("clock.store", "the store", new ClockOffset(TimeSpan.FromSeconds(4), TimeSpan.FromSeconds(4))).Level);

    [Fact]
    public void A_machine_whose_kernel_tells_nothing_of_its_clock_is_not_called_right()
    {
        Assert.Equal(FindingLevel.NotKnown, ClockCheck.Of(new ClockFacts(null, "", null)).Level);
        Assert.Equal(FindingLevel.Warning, ClockCheck.Of(new ClockFacts(false, "the kernel", null)).Level);
        Assert.Equal(FindingLevel.Ok, ClockCheck.Of(new ClockFacts(true, "the kernel", TimeSpan.FromMilliseconds(4))).Level);
    }

    private static ClockOffset Off(double seconds) => new(TimeSpan.FromSeconds(seconds), TimeSpan.FromSeconds(0.5));

    private static ImmutableArray<Finding> Of(DatabaseFacts seen) => DatabaseCheck.Of(seen, several: false, ours: false);
}
