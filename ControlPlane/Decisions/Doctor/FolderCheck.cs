using System.Collections.Immutable;

namespace DeepSeekOps.Decisions.Doctor;

/// <summary>A folder that dsops writes to, as it was seen.</summary>
/// <param name="Path">Full.</param>
/// <param name="User">In whose name dsops runs.</param>
public sealed record FolderFacts(string Path, string User)
{
    /// <summary>Why it could not be looked at; empty: it could.</summary>
    public string Trouble { get; init; } = "";

    /// <summary>A file where the folder, or one above it, should be.</summary>
    public string? InTheWay { get; init; }

    public bool Exists { get; init; }

    /// <summary>Something of dsops lies in it.</summary>
    public bool Used { get; init; }

    /// <summary>Null: not known.</summary>
    public string? Owner { get; init; }

    public int? Mode { get; init; }

    /// <summary>What came of writing a file there, or in the nearest folder above that is there; empty: it was written.</summary>
    public string WriteTrouble { get; init; } = "";

    public bool? ReadOnly { get; init; }

    public long? FreeBytes { get; init; }

    public long? TotalBytes { get; init; }

    public long? FreeInodes { get; init; }

    /// <summary>0: the file system makes them as they are needed.</summary>
    public long? TotalInodes { get; init; }

    /// <summary>Files of ours in it that others may read or write, by name, with their modes.</summary>
    public ImmutableArray<(string Name, int Mode)> Open { get; init; } = [];
}

/// <summary>Whose a folder is, who else reads it, and whether there is room.</summary>
public static class FolderCheck
{
    private const int Others = 0b111_111, Sticky = 0b1_000_000_000, InodesMin = 1_000;

    /// <summary>
    /// The database, its log and the logs of a rank (64 MB and one older file) grow before the first checkpoint is there. Ours: with less
    /// a start goes wrong within minutes.
    /// </summary>
    private const long BytesMin = 256L << 20;

    /// <summary>As the kubelet's nodefs.available and nodefs.inodesFree, below which it sends pods away.</summary>
    private const double BytesShare = 0.10, InodesShare = 0.05;

    /// <summary>A save is written before the one before it is let go of; one more for what else grows.</summary>
    private const int CheckpointsRoom = 3;

    /// <param name="subject">"data" or "checkpoints".</param>
    /// <param name="option">What names another folder: "--data-dir DIR".</param>
    /// <param name="privately">Others must not read it.</param>
    /// <param name="checkpointBytes">Of the largest one that lies there or was asked for; 0: not known.</param>
    public static ImmutableArray<Finding> Of(string subject, string option, FolderFacts seen, bool privately, double checkpointBytes)
    {
        if (seen.InTheWay is { } file)
        {
            return [Finding.Fault($"{subject}.folder", $"{seen.Path}: {file} is a file and no folder",
                $"Move {file} away, or choose another folder: {option}.")];
        }

        if (seen.Trouble.Length > 0)
        {
            return [Finding.Fault($"{subject}.folder", $"{seen.Path}: {seen.Trouble}",
                $"Look after the disk or network mount that it is on, or choose another folder: {option}.")];
        }

        ImmutableArray<Finding?> all =
        [
            Whose(subject, option, seen), privately ? Modes(subject, option, seen) : null, Writing(subject, option, seen),
            Space($"{subject}.space", seen, checkpointBytes, Least(privately, checkpointBytes)), Inodes($"{subject}.inodes", seen),
        ];
        return [.. all.OfType<Finding>()];
    }

    private static Finding Whose(string subject, string option, FolderFacts seen)
    {
        string check = $"{subject}.folder";
        return !seen.Exists ? Finding.Ok(check, $"{seen.Path} is not there yet; the first start makes it")
            : seen.Owner is null ? Finding.NotKnown(check, $"{seen.Path} is there; whose it is this system does not tell")
            : seen.Owner == seen.User ? Finding.Ok(check, $"{seen.Path} belongs to {seen.User}, as who dsops runs")
            : Finding.Fault(check, $"{seen.Path} belongs to {seen.Owner}, and dsops runs as {seen.User}",
                $"Run dsops as {seen.Owner}, or `chown -R {seen.User} {seen.Path}`, or choose another folder: {option}.");
    }

    private static Finding? Modes(string subject, string option, FolderFacts seen)
    {
        string check = $"{subject}.mode";
        if (!seen.Exists)
        {
            return null;
        }

        if (seen.Mode is not { } mode)
        {
            return Finding.NotKnown(check, "who else may read it this system does not tell");
        }

        string octal = Octal(mode);
        return (mode & Sticky) != 0
            ? Finding.Fault(check, $"{seen.Path} has mode {octal}: it is shared by all users of this machine",
                $"Give dsops a folder of its own: {option}.")
            : (mode & Others) != 0 && !seen.Used ? Finding.Ok(check, $"mode {octal}; the first start closes it to others")
            : (mode & Others) != 0
            ? Finding.Fault(check, $"{seen.Path} has mode {octal}: other users get into it", $"`chmod 700 {seen.Path}`.")
            : seen.Open is [var first, ..]
            ? Finding.Fault(check, $"{Names(seen.Open)} in {seen.Path} may be read by others (mode {Octal(first.Mode)})",
                $"`chmod -R go-rwx {seen.Path}`; a start of dsops does the same.")
            : Finding.Ok(check, $"mode {octal}: nobody else gets into it");
    }

    private static Finding Writing(string subject, string option, FolderFacts seen)
    {
        string check = $"{subject}.write";
        return seen.ReadOnly == true
            ? Finding.Fault(check, $"the file system of {seen.Path} is read-only",
                $"Mount it for writing (`mount -o remount,rw …`), or choose another folder: {option}.")
            : seen.WriteTrouble.Length > 0
                ? Finding.Fault(check, $"a file could not be written there: {seen.WriteTrouble}",
                    $"Give {seen.User} the right to write in {seen.Path}, or choose another folder: {option}.")
                : Finding.Ok(check, seen.Exists ? "a file was written there and taken away again" : "it may be made there");
    }

    /// <summary>Beside checkpoints alone nothing grows.</summary>
    private static double Least(bool privately, double checkpointBytes) =>
        privately || checkpointBytes == 0 ? Math.Max(BytesMin, checkpointBytes) : checkpointBytes;

    private static Finding Space(string check, FolderFacts seen, double checkpointBytes, double least)
    {
        if (seen.FreeBytes is not { } free || seen.TotalBytes is not { } total)
        {
            return Finding.NotKnown(check, "how much room is left this system does not tell");
        }

        string left = $"{Words.Size(free)} of {Words.Size(total)} are free under {seen.Path}";
        string need = checkpointBytes > 0 ? $"; a checkpoint takes {Words.Size(checkpointBytes)}" : "";
        const string fix = "Free space there, keep fewer checkpoints (`checkpoints: {keep: …}`), or give it a larger disk.";
        return free < least ? Finding.Fault(check, $"only {left}{need}", fix)
            : free < CheckpointsRoom * checkpointBytes ? Finding.Warning(check, $"{left}{need}, and each save is written before an older "
                + "one is let go of", fix)
            : free < BytesShare * total ? Finding.Warning(check, $"{left}, less than a tenth{need}", fix)
            : Finding.Ok(check, left + need);
    }

    private static Finding Inodes(string check, FolderFacts seen)
    {
        if (seen.FreeInodes is not { } free || seen.TotalInodes is not { } total)
        {
            return Finding.NotKnown(check, "how many files may still be made this system does not tell");
        }

        string left = $"{Words.Short(free)} of {Words.Short(total)} inodes are free";
        string fix = "Delete files that nobody needs (`df -i` and `du --inodes` show where), or give it another file system.";
        return total == 0 ? Finding.Ok(check, "the file system has as many inodes as it needs")
            : free < InodesMin ? Finding.Fault(check, $"only {left}: no files can be made soon", fix)
            : free < InodesShare * total ? Finding.Warning(check, left, fix)
            : Finding.Ok(check, left);
    }

    private static string Names(ImmutableArray<(string Name, int Mode)> open) => open.Length == 1 ? open[0].Name
        : $"{open[0].Name} and {Words.Count(open.Length - 1, "other file", "other files")}";

    /// <summary>"0700".</summary>
    internal static string Octal(int mode) => Convert.ToString(mode & 0b111_111_111_111, 8).PadLeft(4, '0');
}
