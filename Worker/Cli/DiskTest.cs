using System.Diagnostics;
using DeepSeekOps.Recipes.Files;
using DeepSeekOps.Worker.Agent;

namespace DeepSeekOps.Worker.Cli;

/// <summary>Writes a file until it is durable, reads it from the disk and compares.</summary>
internal static class DiskTest
{
    public const long Much = 4L << 30;
    public const long Little = 128L << 20;

    private const int Block = 4 << 20;

    public static void Run(string folder, long bytes, MachineFigures found)
    {
        Directory.CreateDirectory(folder);
        var path = Path.Combine(folder, $"dsops-validate-{Environment.ProcessId}");
        var block = new byte[Block];
        // Nothing that a disk could shorten; each block has its place in it, so that one in the place of another is seen.
        new Random(1).NextBytes(block);
        try
        {
            using var file = File.OpenHandle(path, FileMode.Create, FileAccess.ReadWrite, FileShare.None, FileOptions.DeleteOnClose);
            var began = Stopwatch.GetTimestamp();
            for (long at = 0; at < bytes; at += Block)
            {
                BitConverter.TryWriteBytes(block, at);
                RandomAccess.Write(file, block, at);
            }
            DurableFiles.Sync(file, path);
            found.DiskWriteBytesPerSecond = bytes / Stopwatch.GetElapsedTime(began).TotalSeconds;
            // What was just written lies in memory, where it is right.
            Posix.Forget(file);
            began = Stopwatch.GetTimestamp();
            var (read, wrong) = (new byte[Block], 0);
            for (long at = 0; at < bytes; at += Block)
            {
                var got = RandomAccess.Read(file, read, at);
                BitConverter.TryWriteBytes(block, at);
                wrong += got == Block && read.AsSpan().SequenceEqual(block) ? 0 : 1;
            }
            found.DiskReadBytesPerSecond = bytes / Stopwatch.GetElapsedTime(began).TotalSeconds;
            if (wrong > 0)
            {
                found.Wrong.Add($"disk: {wrong} of {bytes / Block} blocks of 4 MiB read back from {folder} differ from what was written");
            }
        }
        finally
        {
            File.Delete(path);
        }
    }
}
