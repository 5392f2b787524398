using System.Collections.Immutable;
using DeepSeekOps.Decisions.Doctor;
using Xunit;

namespace DeepSeekOps.Decisions.Tests.Doctor;

/// <summary>The worker program, its libraries, and what the machine lets it have.</summary>
public sealed class WorkerCheckTests
{
    private const string Version = "0.1.0+aaaa";

    private static readonly WorkerFacts Processors = new()
    {
        Path = "/app/worker/dsops-worker.dll", Version = Version, Protocol = 1, LibtorchTrouble = "", LibtorchFolder = "/app/lib",
        LibtorchVersion = "2.10.0", Gpus = [], Nccl = 0, NcclOldest = 21_800,
    };

    private static readonly WorkerFacts Gpus = Processors with
    {
        LibtorchCuda = true,
        Driver = "570.86",
        DriverGpus = 8,
        Nccl = 22_809,
        Gpus = [.. Enumerable.Repeat(new GpuFacts("NVIDIA H200", 141_000_000_000), 8)],
    };

    [Fact]
    public void Workers_that_are_well_have_nothing_to_be_done_about()
    {
        Assert.All(Of(Processors), f => Assert.Equal(FindingLevel.Ok, f.Level));
        Assert.All(Of(Gpus), f => Assert.Equal(FindingLevel.Ok, f.Level));
    }

    [Fact]
    public void A_worker_that_is_missing_is_all_that_is_told() => Told.Is(FindingLevel.Fault, "DSOPS_WORKER",
        [Assert.Single(Of(new WorkerFacts { Missing = "The worker program is missing: /a do not exist." }))], "worker.program");

    [Theory]
    [InlineData("0.0.9+aaaa", 1, FindingLevel.Fault, "version 0.0.9")]
    [InlineData("0.1.0+bbbb", 1, FindingLevel.Warning, "different commits")]
    [InlineData("0.1.0+aaaa", 2, FindingLevel.Fault, "speaks protocol 2")]
    public void A_worker_of_another_version_or_protocol_is_named(string version, int protocol, FindingLevel level, string words) =>
        Told.Is(level, words, Of(Processors with { Version = version, Protocol = protocol }), "worker.version");

    [Fact]
    public void A_worker_that_does_not_know_the_question_is_of_another_version() => Told.Is(FindingLevel.Fault, "exit code 2",
        Of(new WorkerFacts { Path = "/app/worker/dsops-worker.dll", Ended = "exit code 2: Usage" }), "worker.version");

    [Theory]
    [InlineData("2.4.1", "", "libtorch 2.4.1 in /app/lib is of another version")]
    [InlineData("2.4.1", "undefined symbol", "undefined symbol")]
    [InlineData("", "No libtorch: /app has no libtorch_cpu.so.", "No libtorch")]
    [InlineData("2.10.0", null, "ended by signal 11")]
    public void A_libtorch_that_is_missing_or_wrong_or_ends_the_process_is_told(string version, string? trouble, string words) =>
        Told.Is(FindingLevel.Fault, words,
            Of(Processors with
            {
                LibtorchVersion = version,
                LibtorchTrouble = trouble,
                Gpus = null,
                Nccl = null,
                Ended = "ended by signal 11",
            }), "worker.libtorch");

    [Fact]
    public void What_a_library_that_does_not_load_would_have_told_is_not_known()
    {
        var seen = Of(Gpus with { LibtorchTrouble = "broken", Gpus = null, Nccl = null }).ToList();
        Assert.Equal(FindingLevel.NotKnown, Told.Of(seen, "worker.gpus").Level);
        Assert.Equal(FindingLevel.NotKnown, Told.Of(seen, "worker.nccl").Level);
        Assert.Equal(FindingLevel.NotKnown, Told.Of(Of(Processors with { LibtorchVersion = "" }), "worker.libtorch").Level);
    }

    [Fact]
    public void Gpus_that_libtorch_cannot_see_are_named_with_why()
    {
        Told.Is(FindingLevel.Fault, "built for processors alone", Of(Gpus with { Gpus = [], LibtorchCuda = false }), "worker.gpus");
        Told.Is(FindingLevel.Fault, "sees none", Of(Gpus with { Gpus = [] }), "worker.gpus");
        Told.Is(FindingLevel.Warning, "7 of 8", Of(Gpus with { Gpus = [.. Gpus.Gpus!.Value.Skip(1)] }), "worker.gpus");
        Told.Is(FindingLevel.Fault, "at most 8", WorkerCheck.Of(Gpus, Version, 1, ranksPerNode: 16), "worker.gpus");
    }

    [Theory]
    [InlineData(0, 8, FindingLevel.Fault, "no libnccl.so.2")]
    [InlineData(0, 1, FindingLevel.Warning, "no libnccl.so.2")]
    [InlineData(21_705, 8, FindingLevel.Fault, "NCCL 2.17.5 is older than 2.18.0")]
    [InlineData(22_809, 8, FindingLevel.Ok, "NCCL 2.28.9")]
    [InlineData(0, 0, FindingLevel.Ok, "no GPU needs one")]
    public void NCCL_is_held_against_what_the_binding_needs_where_gpus_need_it(int version, int gpus, FindingLevel level, string words) =>
        Told.Is(level, words, Of(Gpus with { Nccl = version, Gpus = [.. Gpus.Gpus!.Value.Take(gpus)], DriverGpus = gpus }), "worker.nccl");

    [Theory]
    [InlineData(64, 8, FindingLevel.Fault)]
    [InlineData(512, 8, FindingLevel.Warning)]
    [InlineData(16_384, 8, FindingLevel.Ok)]
    [InlineData(64, 0, FindingLevel.Ok)]
    public void Shared_memory_is_needed_where_gpus_speak_to_each_other(long mebibytes, int gpus, FindingLevel level) => Assert.Equal(level,
        Told.Of(MachineCheck.Of(new MachineFacts { SharedMemoryBytes = mebibytes << 20, SharedMemoryFree = mebibytes << 20 }, gpus),
            "machine.shared-memory").Level);

    [Fact]
    public void Limits_are_told_and_what_is_not_known_is_said()
    {
        Assert.All(MachineCheck.Of(new MachineFacts(), 0), f => Assert.Equal(FindingLevel.NotKnown, f.Level));
        var seen = new MachineFacts { OpenFiles = 512, LockedMemory = 65_536, CoreDump = MachineFacts.Unlimited, CorePattern = "core" };
        Told.Is(FindingLevel.Fault, "512 files", MachineCheck.Of(seen, 8), "machine.open-files");
        Told.Is(FindingLevel.Warning, "RDMA", MachineCheck.Of(seen, 8), "machine.locked-memory");
        Told.Is(FindingLevel.Warning, "ulimit -c 0", MachineCheck.Of(seen, 8), "machine.core-dumps");
        Told.Is(FindingLevel.Ok, "systemd-coredump", MachineCheck.Of(seen with { CorePattern = "|/lib/systemd/systemd-coredump %P" }, 8),
            "machine.core-dumps");
    }

    private static ImmutableArray<Finding> Of(WorkerFacts seen) => WorkerCheck.Of(seen, Version, 1, ranksPerNode: 1);
}
