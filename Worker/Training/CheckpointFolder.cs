using System.Globalization;
using DeepSeekOps.Contracts.Worker.V1;
using DeepSeekOps.Worker.Agent;

namespace DeepSeekOps.Worker.Training;

/// <summary>The checkpoints of one stage on disk: which there are, which can be trusted, which are no longer needed.</summary>
public sealed class CheckpointFolder
{
    /// <summary>A file of this name inside a checkpoint keeps it from being deleted.</summary>
    public const string PinName = "pinned";

    private const string Prefix = "step-";
    private readonly string _root;
    private readonly AttemptRef _attempt;

    public CheckpointFolder(string root, AttemptRef attempt)
    {
        (_root, _attempt) = (root, attempt);
        Directory.CreateDirectory(Folder);
        foreach (var leftover in Directory.EnumerateDirectories(Folder, ".step-*.tmp"))
        {
            Directory.Delete(leftover, recursive: true);
        }
    }

    public string Folder => Path.Combine(_root, _attempt.Run, _attempt.Stage);

    public string RelativePathOf(long step) => Path.Combine(_attempt.Run, _attempt.Stage, NameOf(step));

    public string PathOf(long step) => Path.Combine(Folder, NameOf(step));

    /// <summary>A fresh folder to write into; <see cref="Publish"/> gives it its name.</summary>
    public string BeginWriting(long step)
    {
        var path = Path.Combine(Folder, $".{NameOf(step)}.attempt-{_attempt.Attempt}.tmp");
        Directory.CreateDirectory(path);
        return path;
    }

    /// <summary>From here on the checkpoint exists. One of the same step, left by an attempt that was rolled back, gives way.</summary>
    public void Publish(string written, long step)
    {
        if (Directory.Exists(PathOf(step)))
        {
            Directory.Delete(PathOf(step), recursive: true);
        }
        Directory.Move(written, PathOf(step));
        FolderSync.Flush(Folder);
    }

    /// <summary>
    /// The checkpoint to go on from: the one that was asked for, the newest older one that is whole, or the nearest later one. Refused
    /// ones are reported. The stage begins again only where none can be used.
    /// </summary>
    public (string Path, Manifest Manifest)? FindUsable(CheckpointRef? wanted, IRankLink link)
    {
        if (wanted is null)
        {
            return null;
        }
        if (TryVerify(Path.Combine(_root, wanted.Path), wanted.Path, wanted.Digest, link) is { } found)
        {
            return found;
        }
        var steps = Steps().Order().ToList();
        foreach (var step in steps.Where(s => s < wanted.Step).Reverse().Concat(steps.Where(s => s > wanted.Step)))
        {
            if (TryVerify(PathOf(step), RelativePathOf(step), "", link) is { } other)
            {
                link.Note($"Goes on from step {step} instead of step {wanted.Step}, whose checkpoint was refused.");
                return other;
            }
        }
        link.Note($"No checkpoint of the stage can be used: it begins again at step 0.");
        return null;
    }

    /// <summary>
    /// Deletes all but the newest <paramref name="keep"/>, at least two. Final and pinned ones stay and are not counted. The control plane
    /// keeps its list by the same rule, CheckpointChoice.Retain; a test compares the two.
    /// </summary>
    public void Retain(int keep) => Delete(Droppable().OrderDescending().Skip(Math.Max(2, keep)));

    /// <summary>Deletes what an earlier launch made beyond the step that this one went back to: it would be taken for this one's.</summary>
    public IReadOnlyList<long> DropLeftBehind(long wentBackTo, long saved) => Delete(Droppable().Where(s => s > wentBackTo && s != saved));

    public IEnumerable<long> Steps() => Directory.EnumerateDirectories(Folder, Prefix + "*")
        .Select(d => long.TryParse(Path.GetFileName(d)[Prefix.Length..], CultureInfo.InvariantCulture, out var step) ? step : -1)
        .Where(s => s >= 0);

    private IEnumerable<long> Droppable() => Steps().Where(s => !File.Exists(Path.Combine(PathOf(s), PinName)) && !IsFinal(s));

    private List<long> Delete(IEnumerable<long> steps)
    {
        var dropped = steps.ToList();
        dropped.ForEach(step => Directory.Delete(PathOf(step), recursive: true));
        return dropped;
    }

    private bool IsFinal(long step) =>
        File.Exists(Path.Combine(PathOf(step), Manifest.FileName))
        && File.ReadAllText(Path.Combine(PathOf(step), Manifest.FileName)).Contains("\"final\": true", StringComparison.Ordinal);

    private static (string, Manifest)? TryVerify(string path, string name, string digest, IRankLink link)
    {
        try
        {
            return (path, Manifest.Verify(path, digest));
        }
        catch (RefusedCheckpointException e)
        {
            link.Refused(name, e.Message);
            return null;
        }
    }

    private static string NameOf(long step) => $"{Prefix}{step.ToString("D8", CultureInfo.InvariantCulture)}";
}
