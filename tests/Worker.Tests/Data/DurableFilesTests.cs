using DeepSeekOps.Recipes.Files;
using Microsoft.Win32.SafeHandles;
using Xunit;

namespace DeepSeekOps.Worker.Tests.Data;

/// <summary>What could not be brought to the disk is not taken for durable.</summary>
public sealed class DurableFilesTests : IDisposable
{
    private readonly string folder = Directory.CreateTempSubdirectory("dsops-durable-").FullName;

    public void Dispose() => Directory.Delete(folder, recursive: true);

    [Fact]
    public void An_fsync_that_the_kernel_refuses_is_an_error_with_its_number()
    {
        using var nobodys = new SafeFileHandle(1 << 20, ownsHandle: false);
        var told = Assert.Throws<IOException>(() => DurableFiles.Sync(nobodys, "/data/part"));
        Assert.Equal((9, "'/data/part' cannot be brought to the disk: Bad file descriptor"), (told.HResult, told.Message));
    }

    [Fact]
    public void A_folder_that_is_not_there_is_an_error()
    {
        var told = Assert.Throws<IOException>(() => DurableFiles.SyncFolder(Path.Combine(folder, "none")));
        Assert.Equal(2, told.HResult);
    }

    [Fact]
    public void Buffered_bytes_are_written_before_and_a_special_file_without_sync_is_no_error()
    {
        string path = Path.Combine(folder, "part");
        using (var file = new FileStream(path, FileMode.Create, FileAccess.Write))
        {
            file.Write(new byte[10]);
            DurableFiles.Sync(file);
            Assert.Equal(10, new FileInfo(path).Length);
        }

        DurableFiles.SyncFolder(folder);
        using var nowhere = File.OpenHandle("/dev/null", FileMode.Open, FileAccess.Write);
        DurableFiles.Sync(nowhere, "/dev/null");
    }
}
