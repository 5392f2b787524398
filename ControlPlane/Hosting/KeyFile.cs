using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;
using DeepSeekOps.ControlPlane.Api;
using DeepSeekOps.ControlPlane.Client;
using DeepSeekOps.Recipes.Files;

namespace DeepSeekOps.ControlPlane.Hosting;

/// <summary>
/// dsops.key in the data directory: 256 random bits, made once. To renew it, stop dsops, delete it, and start: everybody needs the new
/// token and address then.
/// </summary>
internal static class KeyFile
{
    public const string Name = "dsops.key";

    private const UnixFileMode OwnersFile = UnixFileMode.UserRead | UnixFileMode.UserWrite;

    public static AccessKey Of(ControlPlaneOptions options) => In(options.DataDirectory, options.KeyFile);

    /// <param name="given">The file that was named. Null: that of the data directory, which is made where there is none.</param>
    internal static AccessKey In(string dataDirectory, string? given)
    {
        if (given is not null)
        {
            return File.Exists(given) ? Read(given) : throw new RefusalException($"--key-file {given} is not there.",
                "Copy dsops.key of the data directory of the first control plane there; each that stands in for it needs the same.",
                ExitCode.Usage);
        }

        string path = Path.Combine(dataDirectory, Name);
        if (Directory.Exists(path))
        {
            throw new RefusalException($"{path} is a folder, and dsops keeps its key in a file of that name.",
                "Move it away: a new key is made, and everybody needs the new token and address.");
        }

        if (!File.Exists(path))
        {
            Make(path);
        }

        return Read(path);
    }

    /// <exception cref="RefusalException">It is no key.</exception>
    internal static AccessKey Read(string path)
    {
        byte[] secret = new byte[AccessKey.Bytes];
        byte[] text = Encoding.ASCII.GetBytes(File.ReadAllText(path).Trim());
        return Base64Url.IsValid(text, out int length) && length == AccessKey.Bytes
            && Base64Url.DecodeFromUtf8(text, secret) == AccessKey.Bytes
            ? new AccessKey(secret)
            : throw new RefusalException($"{path} is not a key of dsops.",
                "Put the right one back, or delete the file: a new key is made, and everybody needs the new token and address.");
    }

    /// <summary>The control plane's own file in one piece, for nobody but its owner: a reader sees all of it or none.</summary>
    public static void WritePrivately(string path, ReadOnlySpan<byte> content)
    {
        string aside = $"{path}.{Environment.ProcessId}.tmp";
        File.Delete(aside);
        var options = new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write };
        if (!OperatingSystem.IsWindows())
        {
            options.UnixCreateMode = OwnersFile;
        }

        try
        {
            using (var file = new FileStream(aside, options))
            {
                file.Write(content);
                DurableFiles.Sync(file);
            }

            File.Move(aside, path, overwrite: true);
        }
        catch
        {
            // What it could not write is half a secret.
            File.Delete(aside);
            throw;
        }
    }

    private static void Make(string path) =>
        WritePrivately(path, Encoding.ASCII.GetBytes(Base64Url.EncodeToString(RandomNumberGenerator.GetBytes(AccessKey.Bytes)) + "\n"));
}
