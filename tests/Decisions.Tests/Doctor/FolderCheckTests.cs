using System.Collections.Immutable;
using DeepSeekOps.Decisions.Doctor;
using Xunit;

namespace DeepSeekOps.Decisions.Tests.Doctor;

/// <summary>Data directory, key, ports: whose, how open, how full, who has them.</summary>
public sealed class FolderCheckTests
{
    private const long Gigabyte = 1_000_000_000;

    private static readonly FolderFacts Well = new("/data", "ops")
    {
        Exists = true, Used = true, Owner = "ops", Mode = Octal("0700"), ReadOnly = false, FreeBytes = 500 * Gigabyte,
        TotalBytes = 1_000 * Gigabyte, FreeInodes = 900_000, TotalInodes = 1_000_000,
    };

    [Fact]
    public void A_folder_that_is_well_has_nothing_to_be_done_about() =>
        Assert.All(Of(Well), f => Assert.Equal((FindingLevel.Ok, ""), (f.Level, f.Fix)));

    [Fact]
    public void What_a_system_does_not_tell_is_not_known_and_never_ok()
    {
        var seen = new FolderFacts("/data", "ops") { Exists = true, Used = true };
        Assert.Equal(["data.folder", "data.inodes", "data.mode", "data.space"],
            Of(seen).Where(f => f.Level == FindingLevel.NotKnown).Select(f => f.Check).Order(StringComparer.Ordinal));
    }

    [Fact]
    public void A_folder_of_another_user_is_named_with_both() =>
        Told.Is(FindingLevel.Fault, "belongs to nobody, and dsops runs as ops", Of(Well with { Owner = "nobody" }), "data.folder");

    [Theory]
    [InlineData("0755", "data.mode", "chmod 700 /data")]
    [InlineData("1777", "data.mode", "shared by all users")]
    public void A_folder_that_others_get_into_is_shut(string mode, string check, string words) =>
        Told.Is(FindingLevel.Fault, words, Of(Well with { Mode = Octal(mode) }), check);

    [Fact]
    public void A_new_folder_is_closed_by_the_first_start() =>
        Told.Is(FindingLevel.Ok, "first start", Of(Well with { Mode = Octal("0755"), Used = false }), "data.mode");

    [Fact]
    public void A_file_of_ours_that_others_may_read_is_named() =>
        Told.Is(FindingLevel.Fault, "dsops.db", Of(Well with { Open = [("dsops.db", Octal("0644"))] }), "data.mode");

    [Fact]
    public void A_file_system_that_is_read_only_says_so_and_not_only_that_a_file_failed() => Told.Is(FindingLevel.Fault, "is read-only",
        Of(Well with { ReadOnly = true, WriteTrouble = "Read-only file system" }), "data.write");

    [Fact]
    public void What_kept_a_file_from_being_written_is_told() =>
        Told.Is(FindingLevel.Fault, "Permission denied", Of(Well with { WriteTrouble = "Permission denied" }), "data.write");

    [Fact]
    public void A_file_where_a_folder_should_be_is_a_fault_and_its_fix_names_the_file()
    {
        var found = Assert.Single(Of(new FolderFacts("/data/dsops", "ops") { InTheWay = "/data" }));
        Assert.Equal(("/data/dsops: /data is a file and no folder", "Move /data away, or choose another folder: --data-dir DIR."),
            (found.Found, found.Fix));
    }

    [Fact]
    public void A_disk_that_does_not_answer_is_a_fault_and_all_that_is_told() =>
        Told.Is(FindingLevel.Fault, "no answer within 5 s",
            [Assert.Single(Of(new FolderFacts("/data", "ops") { Trouble = "no answer within 5 s" }))], "data.folder");

    [Theory]
    [InlineData(0.2, 0, FindingLevel.Fault)]
    [InlineData(50, 60, FindingLevel.Fault)]
    [InlineData(150, 60, FindingLevel.Warning)]
    [InlineData(90, 0, FindingLevel.Warning)]
    [InlineData(190, 60, FindingLevel.Ok)]
    public void Room_is_held_against_what_a_checkpoint_takes(double freeGigabytes, double checkpointGigabytes, FindingLevel level) =>
        Assert.Equal(level, Told.Of(FolderCheck.Of("data", "--data-dir DIR", Well with { FreeBytes = (long)(freeGigabytes * Gigabyte) },
            privately: true, checkpointGigabytes * Gigabyte), "data.space").Level);

    [Fact]
    public void A_small_disk_for_checkpoints_alone_is_held_against_a_checkpoint_where_its_size_is_known()
    {
        var small = Well with { FreeBytes = 150_000_000, TotalBytes = 160_000_000 };
        Assert.Equal(FindingLevel.Ok,
            Told.Of(FolderCheck.Of("checkpoints", "DIR", small, privately: false, 48_000_000), "checkpoints.space").Level);
        Assert.Equal(FindingLevel.Fault,
            Told.Of(FolderCheck.Of("checkpoints", "DIR", small, privately: false, 0), "checkpoints.space").Level);
    }

    [Theory]
    [InlineData(900, 1_000_000, FindingLevel.Fault)]
    [InlineData(30_000, 1_000_000, FindingLevel.Warning)]
    [InlineData(0, 0, FindingLevel.Ok)]
    public void Inodes_end_before_bytes_where_files_are_small(long free, long total, FindingLevel level) =>
        Assert.Equal(level, Told.Of(Of(Well with { FreeInodes = free, TotalInodes = total }), "data.inodes").Level);

    [Theory]
    [InlineData("0644", false, FindingLevel.Fault, "chmod 600 /data/dsops.key")]
    [InlineData("0640", false, FindingLevel.Fault, "mode 0640")]
    [InlineData("0600", false, FindingLevel.Ok, "nobody else")]
    [InlineData("0644", true, FindingLevel.Warning, "chmod 600")]
    public void A_key_that_others_may_read_opens_every_door(string mode, bool given, FindingLevel level, string words)
    {
        var key = new KeyFacts("/data/dsops.key", given) { Exists = true, Mode = Octal(mode), Owner = "ops" };
        Told.Is(level, words, [HolderCheck.Of(key, "ops")], "data.key");
    }

    [Fact]
    public void A_key_that_is_none_or_gone_or_another_users_is_told()
    {
        var key = new KeyFacts("/data/dsops.key", Given: false) { Exists = true, Mode = Octal("0600"), Owner = "ops" };
        Told.Is(FindingLevel.Fault, "is not a key", [HolderCheck.Of(key with { Trouble = "is not a key of dsops" }, "ops")], "data.key");
        Told.Is(FindingLevel.Fault, "belongs to root", [HolderCheck.Of(key with { Owner = "root" }, "ops")], "data.key");
        Told.Is(FindingLevel.Warning, "is gone", [HolderCheck.Of(key with { Exists = false, FolderUsed = true }, "ops")], "data.key");
        Told.Is(FindingLevel.Ok, "makes one", [HolderCheck.Of(key with { Exists = false }, "ops")], "data.key");
        Told.Is(FindingLevel.Fault, "is not there", [HolderCheck.Of(key with { Exists = false, Given = true }, "ops")], "data.key");
        Assert.Equal(FindingLevel.NotKnown, HolderCheck.Of(key with { Mode = null }, "ops").Level);
        Told.Is(FindingLevel.NotKnown, "not ours to enter",
            [HolderCheck.Of(key with { Exists = false, Unseen = "the folder is not ours to enter" }, "ops")], "data.key");
    }

    [Fact]
    public void Another_control_plane_is_told_and_one_that_hangs_is_a_fault()
    {
        var held = new HolderFacts("/data")
        {
            Locked = true, LockPid = "41", ControlFile = true, ControlPid = 41, ControlProcessLives = true,
            ControlAddress = "http://127.0.0.1:5080", Answers = true,
        };
        Told.Is(FindingLevel.Ok, "runs (pid 41) and is ready", HolderCheck.Of(held), "data.holder");
        Told.Is(FindingLevel.Fault, "(pid 41) and is not ready: database: the disk is full",
            HolderCheck.Of(held with { NotReady = "database: the disk is full" }), "data.holder");
        // Whoever has it is not the one that its control-plane.json names.
        Told.Is(FindingLevel.Warning, "pid 41", HolderCheck.Of(held with { Answers = null, ControlProcessLives = false }), "data.holder");
        Told.Is(FindingLevel.Ok, "http://127.0.0.1:5080", HolderCheck.Of(held), "data.control-file");
        Told.Is(FindingLevel.Fault, "kill -9 41", HolderCheck.Of(held with { Answers = false }), "data.holder");
        Assert.Equal(FindingLevel.NotKnown, Told.Of(HolderCheck.Of(held with { Locked = null }), "data.holder").Level);
    }

    [Fact]
    public void A_control_file_of_a_process_that_is_no_more_is_stale() => Told.Is(FindingLevel.Warning, "is stale: it names pid 99",
        HolderCheck.Of(new HolderFacts("/data") { Locked = false, ControlFile = true, ControlPid = 99 }), "data.control-file");

    [Fact]
    public void A_port_in_use_names_who_has_it_where_it_was_asked_for()
    {
        var port = new PortFacts("http", "--port", "127.0.0.1", 5080, Asked: true) { InUse = true, By = "pid 7 (nginx)" };
        Told.Is(FindingLevel.Fault, "in use by pid 7 (nginx)", [PortCheck.Of(port)], "port.http");
        Told.Is(FindingLevel.Warning, "the usual one, is in use by pid 7", [PortCheck.Of(port with { Asked = false })], "port.http");
        Assert.Equal(FindingLevel.Ok, PortCheck.Of(port with { ByOurs = true }).Level);
        var elsewhere = port with { InUse = false, Trouble = "Cannot assign requested address" };
        Told.Is(FindingLevel.Fault, "Cannot assign", [PortCheck.Of(elsewhere)], "port.http");
    }

    private static int Octal(string mode) => Convert.ToInt32(mode, 8);

    private static ImmutableArray<Finding> Of(FolderFacts seen) => FolderCheck.Of("data", "--data-dir DIR", seen, privately: true, 0);
}
