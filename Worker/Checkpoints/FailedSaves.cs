namespace DeepSeekOps.Worker.Checkpoints;

/// <summary>
/// What is told of saves that fail, one after the other: the first of each kind, and their number once one is durable again. A full disk
/// refuses each save for as long as it is full, and a line for each would push everything else out of the timeline.
/// </summary>
/// <param name="tell">The words, and the file system that is full; empty: it is not for that.</param>
internal sealed class FailedSaves(string folder, Action<string, string> tell)
{
    /// <summary>EROFS.</summary>
    private const int ReadOnly = 30;

    private (Type Kind, int Code)? _told;
    private long _first;
    private long _newest;
    private int _count;

    public void Failed(long step, Exception reason)
    {
        (_first, _newest, _count) = (_count == 0 ? step : _first, step, _count + 1);
        // The message names the file, and so the step; the kind is the same.
        var kind = (reason.GetType(), reason.HResult);
        if (_told == kind)
        {
            return;
        }
        _told = kind;
        var full = FullDisk.Of(reason, folder);
        tell($"The checkpoint of step {step} could not be written: {reason.Message.TrimEnd('.')}"
            + $"{(full.Length > 0 ? $"; full is {full}" : "")}. {Fix(reason, full.Length > 0)} Training goes on; older checkpoints are "
            + "untouched. Further saves that fail like this are reported together.", full);
    }

    private string Fix(Exception reason, bool full) =>
        full ? $"Free space under {folder}, or set checkpoints.keep lower."
        : reason is UnauthorizedAccessException or IOException { HResult: ReadOnly }
            ? $"The worker's user has to be able to write under {folder}: look at its owner and rights, at `lsattr -d`, and whether it is "
                + "mounted read-only."
        : $"Look at {folder} and the file system that it is on.";

    public void Durable(long step)
    {
        if (_count > 1)
        {
            tell($"The checkpoint of step {step} is written again; {_count} before it could not be, from step {_first} to {_newest}.", "");
        }
        (_told, _count) = (null, 0);
    }
}
