using DeepSeekOps.Contracts.Worker.V1;
using DeepSeekOps.Recipes.Files;
using DeepSeekOps.Worker.Agent;
using DeepSeekOps.Worker.Checkpoints.Store;

namespace DeepSeekOps.Worker.Checkpoints;

/// <summary>What lies in the store and not here: brought here where it is to be gone on from.</summary>
public sealed partial class CheckpointFolder
{
    private const string BringPrefix = ".bring-";

    /// <summary>The agent counts a rank that says nothing for minutes as hung; a checkpoint may take longer to come.</summary>
    private static readonly TimeSpan SayEvery = TimeSpan.FromSeconds(2);

    /// <summary>What lies here under the names of this launch and may be copied, newest first.</summary>
    internal IReadOnlyList<CheckpointSeen> ToCopy() =>
    [
        .. Look().Where(c => c is { SetAside: false, Sized: true } && _bounds.Own(c.Manifest) && c.Manifest.Attempt <= _bounds.Attempt
            && !_bounds.IsRolledBack(c.Manifest)).OrderByDescending(c => c.Step),
    ];

    /// <summary>A checkpoint of an earlier stage that this one begins from, where it does not lie here.</summary>
    /// <exception cref="StoreException">It is not here, and the store cannot be asked for it.</exception>
    internal void BringBeginning(CheckpointRef from)
    {
        var path = Path.Combine(_root, from.Path);
        if (_store is null || from.Published || from.Digest.Length == 0 || File.Exists(Path.Combine(path, Manifest.FileName)))
        {
            return;
        }
        var name = StoredCheckpoints.FolderOf(from.Run, from.Stage, from.Step, from.Digest);
        var found = Wait(_store.Look(from.Run, from.Stage, _link.Stopping), "asking the store")
            .Find(f => f.Name == name && f is { Refused: false, Seen.Sized: true });
        if (found is not { Seen: { } seen })
        {
            return;
        }
        var parent = Directory.CreateDirectory(Path.GetDirectoryName(path)!).FullName;
        var into = Hidden(parent, seen);
        Wait(_store.Bring(name, seen.Manifest, into, _link.Stopping), $"bringing step {from.Step} of {from.Stage} from the store");
        Directory.Move(into, path);
        DurableFiles.SyncFolder(parent);
    }

    /// <summary>What the store has; or why it could not be asked.</summary>
    private (IReadOnlyList<CheckpointSeen> Stored, StoreException? Away) AskStore()
    {
        if (_store is null)
        {
            return ([], null);
        }
        foreach (var leftover in Directory.EnumerateDirectories(Folder, $"{BringPrefix}*").ToList())
        {
            _ = TryDelete(leftover);
        }
        try
        {
            return ([.. Wait(_store.Look(_bounds.Run, _bounds.Stage, _link.Stopping), "asking the store")
                .Where(f => !f.Refused).Select(f => f.Seen).OfType<CheckpointSeen>().Where(c => c.Sized)], null);
        }
        catch (StoreException e)
        {
            return ([], e);
        }
    }

    /// <exception cref="IOException">What is wanted does not lie here, and may lie where nobody could look.</exception>
    private void RequireStore(StoreException? away, long step)
    {
        if (away is not null)
        {
            throw new IOException($"the checkpoint of step {step} is not in {Folder}, and the store cannot be asked for it: "
                + $"{away.Message.TrimEnd('.')}. Nothing older is taken instead. {away.Fix}", away);
        }
    }

    /// <summary>Null: its bytes are not what its manifest says, which is told, and written beside it.</summary>
    private CheckpointSeen? TryBring(CheckpointSeen seen, List<string> refusals)
    {
        var into = Hidden(Folder, seen);
        try
        {
            Wait(_store!.Bring(seen.InStore!, seen.Manifest, into, _link.Stopping), $"bringing step {seen.Step} from the store");
            Manifest.Verify(into, seen.Digest);
            ResumeChoice.RequireSound(seen.Manifest, _bounds);
            FiniteNumbers.Require(into, seen.Manifest.Files.Select(f => f.Name));
        }
        catch (RefusedCheckpointException e)
        {
            _ = TryDelete(into);
            refusals.Add($"step {seen.Step}: {e.Message}");
            _link.Refused(RelativePathOf(seen.Step), $"its copy {seen.Path}: {e.Message}", seen.Digest);
            RefuseStored(seen, e.Message);
            return null;
        }
        Publish(into, seen.Step);
        _link.Note($"The checkpoint of step {seen.Step} was not in {Folder}, and was brought from {seen.Path}.");
        return seen with { Path = PathOf(seen.Step), InStore = null };
    }

    private void RefuseStored(CheckpointSeen seen, string reason)
    {
        try
        {
            var words = System.Text.Encoding.UTF8.GetBytes($"{reason}\nrefused by attempt {_bounds.Attempt}\n");
            Wait(_store!.Objects.Put($"{seen.InStore}/{StoredCheckpoints.RefusalName}", words, _link.Stopping), "telling the store");
        }
        catch (StoreException)
        {
            // The next launch finds out by itself.
        }
    }

    private static string Hidden(string folder, CheckpointSeen seen)
    {
        var into = Path.Combine(folder, $"{BringPrefix}{NameOf(seen.Step)}-{seen.Digest[..8]}");
        if (Directory.Exists(into))
        {
            Directory.Delete(into, recursive: true);
        }
        return Directory.CreateDirectory(into).FullName;
    }

    private void Wait(Task task, string doing)
    {
        while (!((IAsyncResult)task).AsyncWaitHandle.WaitOne(SayEvery))
        {
            _link.Progress(RankState.Starting, doing, 0);
        }
        task.GetAwaiter().GetResult();
    }

    private T Wait<T>(Task<T> task, string doing)
    {
        Wait((Task)task, doing);
        return task.Result;
    }
}
