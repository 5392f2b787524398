using DeepSeekOps.ControlPlane.Hosting;
using Microsoft.Extensions.Logging;
using Xunit;

namespace DeepSeekOps.ControlPlane.Tests.Cli;

public sealed class LogFileTests
{
    [Fact]
    public async Task A_full_disk_neither_ends_the_control_plane_nor_its_stop()
    {
        string folder = Directory.CreateTempSubdirectory("dsops-log-").FullName;
        Directory.CreateDirectory(Path.Combine(folder, "logs"));
        File.CreateSymbolicLink(Path.Combine(folder, LogFile.RelativePath), "/dev/full");
        var log = new LogFile(folder, TimeProvider.System);
        log.CreateLogger("test").Log(LogLevel.Information, default, "a line that finds no room", null, (line, _) => line);
        await log.DisposeAsync();
        Directory.Delete(folder, recursive: true);
    }
}
