using System.Globalization;
using System.Text.RegularExpressions;
using DeepSeekOps.Contracts.Worker.V1;
using DeepSeekOps.Recipes.Files;
using DeepSeekOps.Worker.Agent;
using DeepSeekOps.Worker.Checkpoints.Store;

namespace DeepSeekOps.Worker.Checkpoints;

/// <summary>
/// The checkpoints of one stage on disk. Only folders named exactly as they are named here count; what else lies there is left alone.
/// Under "refused-…" lies what a launch would not load, under "superseded-…" what a person's retry left behind.
/// </summary>
public sealed partial class CheckpointFolder
{
    /// <summary>A file of this name inside a checkpoint keeps it from being deleted.</summary>
    public const string PinName = "pinned";

    /// <summary>Good saves after which what was superseded is let go: by then a newer one has been proven to be writable twice.</summary>
    private const int SavesUntilGone = 2;

    /// <summary>In a refused checkpoint: why, and by whom.</summary>
    private const string RefusalName = "refused.txt";

    /// <summary>Of many damaged ones a person wants to read about the newest.</summary>
    private const int RefusalsTold = 3;

    private const long RefusalBytesMax = 1 << 20;
    private const string RefusedPrefix = "refused-";
    private const string SupersededPrefix = "superseded-";
    private readonly string _root;
    private readonly LaunchBounds _bounds;
    private readonly IRankLink _link;
    private readonly StoredCheckpoints? _store;
    private readonly HashSet<long> _toldOf = [];
    private readonly Dictionary<string, int> _savesSince = [];

    /// <param name="store">Where copies are; null: nowhere.</param>
    internal CheckpointFolder(string root, LaunchBounds bounds, IRankLink link, StoredCheckpoints? store)
    {
        (_root, _bounds, _link, _store) = (root, bounds, link, store);
        Directory.CreateDirectory(Folder);
        foreach (var leftover in Directory.EnumerateDirectories(Folder, ".step-*.tmp").ToList())
        {
            // One that cannot be deleted was told of when it was tried first, and counts for nothing.
            if (AttemptOf(Path.GetFileName(leftover)) is not { } attempt || attempt < bounds.Attempt)
            {
                _ = TryDelete(leftover);
            }
            else if (attempt == bounds.Attempt)
            {
                Abandon(leftover);
            }
        }
    }

    public CheckpointFolder(string root, LaunchBounds bounds, IRankLink link)
        : this(root, bounds, link, store: null)
    {
    }

    public CheckpointPart Part => _bounds.Part;

    public string Folder => Path.Combine(_root, _bounds.Run, _bounds.Stage);

    public string RelativePathOf(long step) => Path.Combine(_bounds.Run, _bounds.Stage, NameOf(step));

    public string PathOf(long step) => Path.Combine(Folder, NameOf(step));

    public static bool Pinned(string checkpoint) => File.Exists(Path.Combine(checkpoint, PinName));

    /// <summary>Steps of the checkpoints that count.</summary>
    public IEnumerable<long> Steps() => Look().Where(c => !c.SetAside).Select(c => c.Step);

    /// <summary>Whether a folder's name is exactly that of a checkpoint of ours, and of which step.</summary>
    public static long? StepOf(string name) =>
        OurName().Match(name) is { Success: true } match && NameOf(Parse(match)) == name ? Parse(match) : null;

    /// <summary>Of this stage's newest checkpoint, by its manifest alone; -1: there is none.</summary>
    /// <exception cref="InvalidOperationException">A later attempt has been here: this one is over.</exception>
    public long NewestStep()
    {
        var onDisk = Look();
        RequireLatest(onDisk);
        return onDisk.Where(c => !c.SetAside && _bounds.Own(c.Manifest)).Select(c => c.Step).DefaultIfEmpty(-1).Max();
    }

    /// <summary>A folder for all ranks of this attempt to write into; <see cref="Publish"/> gives it its name.</summary>
    public string BeginWriting(long step)
    {
        var path = Path.Combine(Folder, $".{NameOf(step)}.attempt-{_bounds.Attempt}.tmp");
        Directory.CreateDirectory(path);
        return path;
    }

    /// <summary>
    /// Takes back what this rank has written of a checkpoint that is not there yet. What other ranks have written of it stays.
    /// </summary>
    public void Abandon(string written)
    {
        if (!Directory.Exists(written))
        {
            return;
        }
        try
        {
            // Of a manifest that was begun and not published the checkpoint is made again.
            foreach (var file in Directory.EnumerateFiles(written)
                .Where(f => Path.GetFileName(f) is var name && (name == Manifest.FileName || _bounds.Part.Owns(name))).ToList())
            {
                File.Delete(file);
            }
            if (!Directory.EnumerateFileSystemEntries(written).Any())
            {
                Directory.Delete(written);
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // Another rank is at it, or the disk does not let go: it counts for nothing, and the next attempt takes it away.
        }
    }

    /// <summary>
    /// From here on the checkpoint exists. One of the same step is moved aside first, and deleted once the new one is durable where it is
    /// this launch's own; a crash in between leaves it to be found.
    /// </summary>
    public void Publish(string written, long step)
    {
        string? replaced = null;
        if (Directory.Exists(PathOf(step)) || File.Exists(PathOf(step)))
        {
            replaced = Aside(SupersededPrefix, step, _bounds.Attempt);
            Directory.Move(PathOf(step), replaced);
        }
        Directory.Move(written, PathOf(step));
        DurableFiles.SyncFolder(Folder);
        if (replaced is not null && Read(replaced, out _) is { } old && _bounds.Own(old.Manifest)
            && old.Manifest.Attempt == _bounds.Attempt)
        {
            _ = TryDelete(replaced);
        }
    }

    /// <summary>
    /// The checkpoint to go on from: the newest whole one. Refused ones are reported and moved aside; what a person's retry left behind
    /// is moved aside. Null: the stage has made no checkpoint, or a person wants it from its beginning.
    /// </summary>
    /// <exception cref="NoUsableCheckpointException">There were some, and none can be used: a person has to say that the stage begins
    /// again.</exception>
    /// <exception cref="IOException">A newer one could not be read. It may be whole: nothing older is taken instead, and a disk that is
    /// away for a moment is back at the next launch.</exception>
    public CheckpointSeen? FindUsable(CheckpointRef? wanted)
    {
        var refusals = new List<string>();
        var unreadable = new List<(string Path, long Step, Exception Reason)>();
        var onDisk = Look(unreadable);
        var (stored, away) = AskStore();
        RequireLatest([.. onDisk, .. stored]);
        // What cannot be understood does not say of which round it is; before the first retry there is only one.
        unreadable.Where(u => u.Reason is RefusedCheckpointException).ToList()
            .ForEach(u => Refuse(u.Path, u.Step, u.Reason.Message, "", refusals, beyondStart: _bounds.RoundBegan == 0));
        var unknown = unreadable.Where(u => u.Reason is not RefusedCheckpointException).OrderByDescending(u => u.Step).ToList();
        if (wanted is not null && !onDisk.Concat(stored).Any(c => ResumeChoice.IsWanted(c, wanted))
            && !unknown.Any(u => u.Step == wanted.Step))
        {
            RequireStore(away, wanted.Step);
            RefuseWanted(wanted, onDisk, refusals);
        }
        var there = onDisk.Where(c => Directory.Exists(c.Path));
        var chosen = ResumeChoice.InOrder(there.Concat(stored), _bounds, wanted)
            .Select(c => c.InStore is null ? TryVerify(c, refusals) : TryBring(c, refusals)).FirstOrDefault(c => c is not null);
        if (unknown is [var newest, ..] && newest.Step > (chosen?.Step ?? -1))
        {
            throw new IOException($"the checkpoint of step {newest.Step} cannot be read: {newest.Reason.Message.TrimEnd('.')}. Nothing "
                + $"older is taken instead; make {newest.Path} readable, or move it away", newest.Reason);
        }
        if (chosen is null && (wanted is not null || RefusedInThisRound()))
        {
            throw new NoUsableCheckpointException(NoneLeft(refusals));
        }
        foreach (var left in ResumeChoice.LeftBehind(there, _bounds, chosen?.Step ?? 0))
        {
            _ = MoveAside(left.Path, Aside(SupersededPrefix, left.Step, left.Manifest.Attempt), left.Step);
        }
        return chosen is { SetAside: true } ? TakeBack(chosen) : chosen;
    }

    /// <summary>The checkpoint that another rank of the gang has found and verified.</summary>
    /// <param name="digestStart">As <see cref="CheckpointSeen.DigestStart"/>.</param>
    /// <exception cref="IOException">It is not here, or is another one.</exception>
    public CheckpointSeen Take(long step, long digestStart) =>
        Look().Find(c => c.Step == step && c.DigestStart == digestStart)
            ?? throw new IOException($"the gang goes on from step {step}, and this rank does not see that checkpoint under {Folder}: "
                + "all nodes of a gang need one shared checkpoint folder");

    private void RequireLatest(List<CheckpointSeen> onDisk)
    {
        if (ResumeChoice.OfLaterAttempt(onDisk, _bounds) is { } later)
        {
            throw new InvalidOperationException(
                $"{later.Path} was made by attempt {later.Manifest.Attempt}, and this is attempt {_bounds.Attempt}: it is "
                    + "over, and touches nothing.");
        }
    }

    /// <summary>After a save that is durable: what is no longer needed goes. What cannot be deleted is told once, as what it is.</summary>
    public void Tidy(int keep)
    {
        var onDisk = Look();
        foreach (var over in ResumeChoice.BeyondRetention(onDisk, _bounds, keep, _link.Pinned ?? _bounds.Pinned))
        {
            Drop(over);
        }
        foreach (var aside in onDisk.Where(c => c.SetAside && _bounds.Own(c.Manifest) && !Pinned(c.Path)))
        {
            _savesSince[aside.Path] = _savesSince.GetValueOrDefault(aside.Path) + 1;
            if (_savesSince[aside.Path] >= SavesUntilGone)
            {
                Drop(aside);
            }
        }
    }

    private List<CheckpointSeen> Look(List<(string Path, long Step, Exception Reason)>? unreadable = null)
    {
        var seen = new List<CheckpointSeen>();
        foreach (var path in Directory.EnumerateDirectories(Folder).ToList())
        {
            var name = Path.GetFileName(path);
            var aside = SupersededName().Match(name) is { Success: true } match ? match.Groups[1].Value : null;
            if (StepOf(aside ?? name) is not { } step)
            {
                continue;
            }
            var read = Read(path, out var problem);
            if (read?.Step == step)
            {
                seen.Add(read with { SetAside = aside is not null });
            }
            else if (problem is not null && aside is null && IsBegun(path))
            {
                unreadable?.Add((path, step, problem));
            }
        }
        return seen;
    }

    /// <summary>A folder without a manifest is none of ours that was published.</summary>
    private static bool IsBegun(string path) =>
        FileSeen.At(Path.Combine(path, Manifest.FileName)).Kind is not (FileKind.Missing or FileKind.Dangling or FileKind.Folder);

    private static CheckpointSeen? Read(string path, out Exception? problem)
    {
        try
        {
            var (manifest, digest, bytes) = Manifest.Read(path);
            problem = null;
            // Of a file that lies elsewhere and is linked to, the file counts.
            var sized = manifest.Files.All(f => FileSeen.At(Path.Combine(path, f.Name)) == new FileSeen(FileKind.Regular, f.Bytes));
            return new CheckpointSeen(path, manifest, digest, bytes, sized, SetAside: false);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            problem = e;
            return null;
        }
    }

    private CheckpointSeen? TryVerify(CheckpointSeen seen, List<string> refusals)
    {
        try
        {
            Manifest.Verify(seen.Path, seen.Digest);
            ResumeChoice.RequireSound(seen.Manifest, _bounds);
            FiniteNumbers.Require(seen.Path, seen.Manifest.Files.Select(f => f.Name));
            return seen;
        }
        catch (RefusedCheckpointException e)
        {
            Refuse(seen.Path, seen.Step, e.Message, seen.Digest, refusals, beyondStart: true);
            return null;
        }
    }

    /// <summary>The folder that a person's retry left behind, and another one named again.</summary>
    private CheckpointSeen TakeBack(CheckpointSeen chosen)
    {
        var path = PathOf(chosen.Step);
        if (Directory.Exists(path) || File.Exists(path))
        {
            return chosen;
        }
        Directory.Move(chosen.Path, path);
        return chosen with { Path = path, SetAside = false };
    }

    private bool MoveAside(string path, string aside, long step)
    {
        try
        {
            Directory.Move(path, aside);
            return true;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            _link.Note($"The checkpoint of step {step} could not be moved aside to {aside}: {e.Message}");
            return false;
        }
    }

    private string Aside(string prefix, long step, int attempt) => Aside(Folder, prefix, step, attempt);

    private static string Aside(string folder, string prefix, long step, int attempt)
    {
        var path = Path.Combine(folder, $"{prefix}{NameOf(step)}.attempt-{attempt}");
        for (var n = 2; Directory.Exists(path); n++)
        {
            path = Path.Combine(folder, $"{prefix}{NameOf(step)}.attempt-{attempt}.{n}");
        }
        return path;
    }

    private void Drop(CheckpointSeen seen)
    {
        // Out of sight first: one that is only half deleted must not be taken for a checkpoint.
        var hidden = Path.Combine(Folder, $".{NameOf(seen.Step)}.attempt-{seen.Manifest.Attempt}.deleted.tmp");
        var left = seen.Path;
        Exception? failed = null;
        try
        {
            if (Directory.Exists(hidden))
            {
                hidden = Path.Combine(Folder, $".{NameOf(seen.Step)}.{Guid.NewGuid():N}.deleted.tmp");
            }
            Directory.Move(seen.Path, hidden);
            left = hidden;
            failed = TryDelete(hidden);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            failed = e;
        }
        if (failed is not null && _toldOf.Add(seen.Step))
        {
            _link.Note($"The checkpoint of step {seen.Step} could not be deleted: {failed.Message.TrimEnd('.')}. Delete {left} by hand; "
                + "newer ones are untouched.");
        }
    }

    private static Exception? TryDelete(string path)
    {
        try
        {
            Directory.Delete(path, recursive: true);
            return null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return e;
        }
    }

    /// <summary>Of a checkpoint that is being written; null: the folder is none.</summary>
    private static int? AttemptOf(string name) =>
        WritingName().Match(name) is { Success: true } match
            && int.TryParse(match.Groups[1].ValueSpan, NumberStyles.None, CultureInfo.InvariantCulture, out var attempt)
            ? attempt : null;

    private static string NameOf(long step) => $"step-{step.ToString("D8", CultureInfo.InvariantCulture)}";

    private static long Parse(Match name) =>
        long.TryParse(name.Groups[1].ValueSpan, NumberStyles.None, CultureInfo.InvariantCulture, out var step) ? step : -1;

    [GeneratedRegex(@"\Astep-([0-9]{8,19})\z", RegexOptions.CultureInvariant)]
    private static partial Regex OurName();

    [GeneratedRegex(@"\A\.step-[0-9]{8,19}\.attempt-([0-9]+)\.tmp\z", RegexOptions.CultureInvariant)]
    private static partial Regex WritingName();

    [GeneratedRegex(@"\Asuperseded-(step-[0-9]{8,19})\.attempt-[0-9]+(?:\.[0-9]+)?\z", RegexOptions.CultureInvariant)]
    private static partial Regex SupersededName();
}
