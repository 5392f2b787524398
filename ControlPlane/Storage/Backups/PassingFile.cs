namespace DeepSeekOps.ControlPlane.Storage.Backups;

/// <summary>A file on its way through this process: for nobody else, and gone when it is closed, however the process ends.</summary>
internal static class PassingFile
{
    public static FileStream Create()
    {
        var options = new FileStreamOptions
        {
            Mode = FileMode.CreateNew, Access = FileAccess.ReadWrite, BufferSize = 1 << 16,
            Options = FileOptions.DeleteOnClose | FileOptions.Asynchronous,
        };
        if (!OperatingSystem.IsWindows())
        {
            options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        }

        return new FileStream(Path.Combine(Path.GetTempPath(), $"dsops-{Guid.NewGuid():N}"), options);
    }
}
