using DeepSeekOps.ControlPlane.Clusters.LocalProcess;
using Xunit;

namespace DeepSeekOps.ControlPlane.Tests.Clusters;

/// <summary>That it fills what it may fill `Benchmarks drills` shows, which as root mounts a file system for it.</summary>
public sealed class DiskBallastTests
{
    [Fact]
    public void A_file_system_that_holds_more_than_checkpoints_is_not_filled_and_how_to_give_them_their_own_is_said()
    {
        string data = Directory.CreateTempSubdirectory("dsops-ballast-").FullName;
        string folder = Directory.CreateDirectory(Path.Combine(data, "checkpoints", "run", "pretrain")).FullName;
        var struck = DiskBallast.Fill(folder, data, out var ballast);
        Assert.Null(ballast);
        Assert.Contains("together with the database", struck.Refusal, StringComparison.Ordinal);
        Assert.Contains($"tmpfs {Path.Combine(data, "checkpoints")}`", struck.Refusal, StringComparison.Ordinal);
        Assert.Empty(Directory.EnumerateFiles(data, "*", SearchOption.AllDirectories));
        Directory.Delete(data, recursive: true);
    }
}
