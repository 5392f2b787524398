using System.Collections.Immutable;
using DeepSeekOps.Decisions.Backups;
using DeepSeekOps.Decisions.Runs;
using DeepSeekOps.Decisions.Stages;
using Xunit;

namespace DeepSeekOps.Decisions.Tests.Runs;

public sealed class RunImportsTests
{
    private static readonly RunManifest File =
        new(1, "1.0", DateTimeOffset.UnixEpoch, "mini", "research", "completed", Simulated: false, ["A", "B"], []);

    [Theory]
    [InlineData(false, false, "A,B", null)]
    [InlineData(true, true, "A,B", null)]
    [InlineData(true, false, "A,B", "mini was simulated")]
    [InlineData(false, true, "A,B", "mini was really trained")]
    [InlineData(false, false, "A", "it was written by dsops 1.0")]
    [InlineData(false, false, "A,B,C", "it was written by dsops 1.0")]
    [InlineData(false, false, "B,A", "it was written by dsops 1.0")]
    public void What_was_measured_and_what_was_simulated_stay_apart_and_so_do_versions(
        bool simulated, bool simulatedHere, string here, string? why)
    {
        var refusal = RunImports.OfImport(File with { Simulated = simulated }, simulatedHere, [.. here.Split(',')], "2.0");
        Assert.Equal(why is null, refusal is null);
        Assert.StartsWith(why ?? "", refusal?.Why ?? "", StringComparison.Ordinal);
        Assert.True(refusal is null || refusal.Fix.Length > 0);
    }

    [Theory]
    [InlineData("completed", true)]
    [InlineData("failed", true)]
    [InlineData("cancelled", true)]
    [InlineData("running", false)]
    [InlineData("queued", false)]
    [InlineData("paused", false)]
    public void Only_what_has_ended_leaves_whole(string state, bool leaves)
    {
        var run = new RunView("mini", "research", state, "", DateTimeOffset.UnixEpoch, null, ImmutableArray<StageView>.Empty, "", false);
        Assert.Equal(leaves, RunImports.OfExport(run) is null);
    }
}
