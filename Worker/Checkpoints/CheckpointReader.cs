using System.Security.Cryptography;
using DeepSeekOps.Contracts.Worker.V1;
using DeepSeekOps.Worker.Agent;

namespace DeepSeekOps.Worker.Checkpoints;

/// <summary>
/// Reads files of a checkpoint again while ranks train: as the disk has them, not as memory remembers them, and slowly. After each piece it
/// rests nine times as long as that took. So it takes a tenth of one core at most, and a tenth of what the disk gives at that moment: where
/// training reads or writes much, a piece takes longer, and so does the rest.
/// </summary>
public sealed class CheckpointReader(TimeProvider clock)
{
    /// <summary>
    /// Rests per work. Ours: with nine one core of a node loses a tenth; V3's 8.2 TB in 256 shares, 32 GB each, take seven minutes where
    /// hashing runs at 1.2 GB/s (measured) and the disk at 2, and checkpoints come each quarter of an hour or later.
    /// </summary>
    private const int RestsPerWork = 9;

    /// <summary>Some milliseconds of a disk's time: nobody waits long behind it.</summary>
    private const int PieceBytes = 4 << 20;

    public ReadingHands Hands => new(Read, SetAside);

    public ShareRead Read(string root, ReadOrder order, Action<TimeSpan> rest)
    {
        var (folder, digest) = (Path.Combine(root, order.Path), order.Digest);
        try
        {
            var (manifest, found, _) = Manifest.Read(folder);
            if (found != digest)
            {
                return new ShareRead.Gone(
                    $"{Path.Combine(folder, Manifest.FileName)} has SHA-256 {found}; {digest} was registered");
            }
            var odd = new List<string>();
            for (int i = order.Share; i < manifest.Files.Count; i += order.Of)
            {
                var file = manifest.Files[i];
                if (Differs(folder, file, rest) is null)
                {
                    continue;
                }
                if (Differs(folder, file, rest) is { } reason)
                {
                    throw new RefusedCheckpointException(reason);
                }
                odd.Add(file.Name);
            }
            return new ShareRead.Whole(odd);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return !Directory.Exists(folder) ? new ShareRead.Gone($"{folder} is not there")
                : e is RefusedCheckpointException ? new ShareRead.Damaged(e.Message.TrimEnd('.'))
                : new ShareRead.Unreadable(e.Message.TrimEnd('.'));
        }
    }

    public static string? SetAside(Assignment assignment, ReadOrder order, string reason) => CheckpointFolder.SetAside(
        LaunchBounds.Of(assignment), assignment.Plan.CheckpointRoot, order.Path, order.Digest, reason);

    /// <summary>Null: the file is what the manifest says.</summary>
    /// <exception cref="IOException">It could not be read.</exception>
    private string? Differs(string folder, ManifestFile expected, Action<TimeSpan> rest)
    {
        var path = Path.Combine(folder, expected.Name);
        // Of a file that lies elsewhere and is linked to, the file counts.
        if (FileSeen.At(path) is var seen && seen != new FileSeen(FileKind.Regular, expected.Bytes))
        {
            return seen.IsUnknown ? throw NamedFile.WhyNot(path, seen)
                : seen.Kind is FileKind.Missing or FileKind.Dangling ? $"{path} is not there"
                : $"{path} has {seen.Length} bytes; its manifest says {expected.Bytes}";
        }
        var hash = Hash(path, rest);
        return hash == expected.Sha256 ? null : $"{path} has SHA-256 {hash}; its manifest says {expected.Sha256}";
    }

    private string Hash(string path, Action<TimeSpan> rest)
    {
        using var handle = File.OpenHandle(path, options: FileOptions.SequentialScan);
        using var sum = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        // What was just written lies in memory, where it is right: what counts is what the disk kept.
        Posix.Forget(handle);
        var piece = new byte[PieceBytes];
        for (long at = 0; ;)
        {
            var began = clock.GetTimestamp();
            int read = RandomAccess.Read(handle, piece, at);
            if (read == 0)
            {
                break;
            }
            sum.AppendData(piece, 0, read);
            at += read;
            rest(clock.GetElapsedTime(began) * RestsPerWork);
        }
        // Nor does it push out of memory what training reads.
        Posix.Forget(handle);
        return Convert.ToHexStringLower(sum.GetHashAndReset());
    }
}
