using System.Diagnostics;
using DeepSeekOps.Recipes.Files;
using Microsoft.Win32.SafeHandles;
using Xunit;

namespace DeepSeekOps.Worker.Tests.Data;

/// <summary>What could not be brought to the disk is not taken for durable.</summary>
public sealed class DurableFilesTests : IDisposable
{
    private readonly string folder = Directory.CreateTempSubdirectory("dsops-durable-").FullName;

    public void Dispose()
    {
        Bash($"umount {folder}/disk {folder}/under");
        Directory.Delete(folder, recursive: true);
    }

    [Fact]
    public void An_fsync_that_the_kernel_refuses_is_an_error_with_its_number()
    {
        using var nobodys = new SafeFileHandle(1 << 20, ownsHandle: false);
        var told = Assert.Throws<IOException>(() => DurableFiles.Sync(nobodys, "/data/part"));
        Assert.Equal((9, "'/data/part' cannot be brought to the disk: Bad file descriptor"), (told.HResult, told.Message));
    }

    /// <summary>An image with more room than what it lies on: each write succeeds, and only fsync can tell.</summary>
    [Fact]
    public void A_disk_that_puts_its_writes_off_is_full_when_it_is_asked_to_keep_them()
    {
        string under = Path.Combine(folder, "under"), disk = Path.Combine(folder, "disk");
        Assert.SkipUnless(Bash($"mkdir {under} {disk}; mount -t tmpfs -o size=20m tmpfs {under} && truncate -s 200M {under}/image "
            + $"&& mkfs.ext4 -q -E nodiscard {under}/image && mount -o loop {under}/image {disk}"),
            "it wants root, mkfs.ext4 and a loop device");
        try
        {
            using var file = new FileStream(Path.Combine(disk, "part"), FileMode.Create, FileAccess.Write);
            byte[] block = new byte[1 << 20];
            new Random(1).NextBytes(block);
            for (int i = 0; i < 60; i++)
            {
                file.Write(block);
            }

            Assert.Contains("cannot be brought to the disk", Assert.Throws<IOException>(() => DurableFiles.Sync(file)).Message,
                StringComparison.Ordinal);
        }
        finally
        {
            Bash($"umount {disk} {under}");
        }
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

    private static bool Bash(string script)
    {
        using var bash = Process.Start(new ProcessStartInfo("bash", ["-c", script]) { RedirectStandardError = true })!;
        bash.WaitForExit();
        return bash.ExitCode == 0;
    }
}
