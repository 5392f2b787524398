using DeepSeekOps.Contracts.Worker.V1;
using DeepSeekOps.Worker.Agent;
using Google.Protobuf.WellKnownTypes;

namespace DeepSeekOps.Worker.Checkpoints.Store;

/// <summary>
/// Copies what is durable on the disk to the store, beside training: again and again it looks which whole checkpoints the store lacks,
/// newest first. Each rank sends its share of the files; the first one puts the manifest when all of them are there, tells, and takes
/// away what retention does not keep. A store that is away costs no step, and what it lacks then is sent when it is back.
/// </summary>
internal sealed class StoreCopies : IDisposable
{
    /// <summary>While others still send their share, or have still to write it.</summary>
    private static readonly TimeSpan LookEvery = TimeSpan.FromSeconds(1);

    /// <summary>Ours: soon enough for a restart of a server, rare enough for one that is away for a day.</summary>
    private static readonly TimeSpan AwayMost = TimeSpan.FromMinutes(1);

    private readonly StoredCheckpoints _store;
    private readonly CheckpointFolder _folder;
    private readonly StoreRetention? _retention;
    private readonly IRankLink _link;
    private readonly TimeProvider _clock;
    private readonly (int Rank, int Of) _share;
    private readonly TimeSpan _lookEvery;
    private readonly CancellationTokenSource _ending = new();
    private readonly SemaphoreSlim _wake = new(0);
    private readonly HashSet<string> _done = [];
    private Task _working = Task.CompletedTask;
    private volatile bool _away;
    private long _due = -1;

    /// <param name="retention">The first rank's; null: another one keeps order.</param>
    public StoreCopies(StoredCheckpoints store, CheckpointFolder folder, StoreRetention? retention, IRankLink link, TimeProvider clock,
        TimeSpan? lookEvery = null)
    {
        (_store, _folder, _retention, _link, _clock) = (store, folder, retention, link, clock);
        (_share, _lookEvery) = ((folder.Part.Rank, folder.Part.Of), lookEvery ?? LookEvery);
    }

    /// <summary>Once the launch has moved aside what is not to be gone on from.</summary>
    public void Begin() => _working = Task.Run(Work);

    /// <summary>This rank has written its part of a step.</summary>
    public void Written(long step)
    {
        Interlocked.Exchange(ref _due, step);
        _wake.Release();
    }

    /// <summary>Waits until this rank has nothing more to copy.</summary>
    /// <param name="most">No longer than this.</param>
    /// <param name="whileAway">Also while the store is away.</param>
    /// <param name="waiting">Called while it waits.</param>
    public bool Finish(TimeSpan most, bool whileAway, Action waiting)
    {
        var began = _clock.GetTimestamp();
        while (Lacks())
        {
            if (_working.IsCompleted || (_away && !whileAway) || _clock.GetElapsedTime(began) > most
                || _link.StopOrder is { Save: false })
            {
                return false;
            }
            waiting();
            ((IAsyncResult)_working).AsyncWaitHandle.WaitOne(_lookEvery);
        }
        return true;
    }

    /// <summary>What is under way is given up; the next launch begins it anew.</summary>
    public void Dispose()
    {
        _ending.Cancel();
        // Nobody waits: a gang that forms again has better to do.
        _ = _working.ContinueWith(_ =>
        {
            _store.Objects.Dispose();
            _ending.Dispose();
            _wake.Dispose();
        }, TaskScheduler.Default);
    }

    private bool Lacks()
    {
        lock (_done)
        {
            return _folder.ToCopy() is [var newest, ..] && !_done.Contains(newest.Digest);
        }
    }

    private async Task Work()
    {
        var pause = _lookEvery;
        while (!_ending.IsCancellationRequested)
        {
            try
            {
                bool all = await CopyWhatLacks();
                if (_away)
                {
                    _away = false;
                    _link.Note($"The checkpoint store {_store.Objects.Uri} answers again, and has what it lacked.");
                }
                pause = _lookEvery;
                await Rest(all ? Timeout.InfiniteTimeSpan : _lookEvery);
            }
            catch (StoreException e)
            {
                Tell(e);
                pause = pause * 2 < AwayMost ? pause * 2 : AwayMost;
                await Rest(pause);
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                // Retention took it away while it was read, or the disk is away, which saves tell.
                await Rest(_lookEvery);
            }
            catch (OperationCanceledException)
            {
                return;
            }
            catch (Exception e) when (e is not OutOfMemoryException)
            {
                // A fault of this program ends copies, and no training.
                _link.StoreAway($"No checkpoint is copied to {_store.Objects.Uri} any more, by a fault of this program: {e.Message}. "
                    + "Training goes on, and checkpoints are kept on the disk.", _store.Objects.Uri);
                return;
            }
        }
    }

    private async Task Rest(TimeSpan most)
    {
        await ((Task)_wake.WaitAsync(most, _ending.Token)).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    /// <returns>Nothing is lacking, as far as this rank is asked.</returns>
    private async Task<bool> CopyWhatLacks()
    {
        var here = _folder.ToCopy();
        bool all = here.Any(c => c.Step >= Interlocked.Read(ref _due)) || Interlocked.Read(ref _due) < 0;
        foreach (var seen in here.Where(c => !Done(c)))
        {
            if (await Copy(seen))
            {
                lock (_done)
                {
                    _done.Add(seen.Digest);
                }
            }
            else
            {
                all = false;
            }
            if (_folder.ToCopy() is [var newest, ..] && newest.Step > here[0].Step)
            {
                // A newer one has come meanwhile: it goes first.
                return false;
            }
        }
        return all;
    }

    private bool Done(CheckpointSeen seen)
    {
        lock (_done)
        {
            return _done.Contains(seen.Digest);
        }
    }

    /// <returns>It is whole there; for whoever does not put the manifest: its own share is there.</returns>
    private async Task<bool> Copy(CheckpointSeen seen)
    {
        var folder = StoredCheckpoints.FolderOf(seen);
        var there = await _store.FilesOf(folder, _ending.Token);
        bool Lacks(ManifestFile file) => there.GetValueOrDefault(file.Name)?.Bytes != file.Bytes;
        if (there.TryGetValue(Manifest.FileName, out var list) && !seen.Manifest.Files.Any(Lacks))
        {
            return Whole(seen, folder, list.At);
        }
        foreach (var file in seen.Manifest.Files.Where((f, i) => CheckpointPart.SenderOf(f.Name, i, _share.Of) == _share.Rank && Lacks(f)))
        {
            await _store.Objects.PutFile($"{folder}/{file.Name}", Path.Combine(seen.Path, file.Name), file, _ending.Token);
        }
        if (_retention is null)
        {
            return true;
        }
        there = await _store.FilesOf(folder, _ending.Token);
        if (seen.Manifest.Files.Any(Lacks))
        {
            return false;
        }
        // The very bytes by which it is known.
        byte[] manifest = await File.ReadAllBytesAsync(Path.Combine(seen.Path, Manifest.FileName), _ending.Token);
        if (Manifest.DigestOf(manifest) != seen.Digest)
        {
            return false;
        }
        await _store.Objects.Put($"{folder}/{Manifest.FileName}", manifest, _ending.Token);
        Whole(seen, folder, _clock.GetUtcNow());
        await _retention.Tidy(_ending.Token);
        return true;
    }

    private bool Whole(CheckpointSeen seen, string folder, DateTimeOffset at)
    {
        if (_retention is not null)
        {
            var durable = File.GetLastWriteTimeUtc(Path.Combine(seen.Path, Manifest.FileName));
            var lag = at - durable;
            _link.Stored(new StoredCheckpoint
            {
                Step = seen.Step, Digest = seen.Digest, Uri = _store.Objects.UriOf(folder), At = Timestamp.FromDateTimeOffset(at),
                Lag = Duration.FromTimeSpan(lag > TimeSpan.Zero ? lag : TimeSpan.Zero),
            });
        }
        return true;
    }

    /// <summary>Once, until it answers again; by one rank.</summary>
    private void Tell(StoreException e)
    {
        if (!_away && _retention is not null)
        {
            _link.StoreAway($"Checkpoints cannot be copied to the store: {e.Message.TrimEnd('.')}. {e.Fix} Training goes on, checkpoints "
                + $"are durable in {_folder.Folder}, and what the store lacks is sent when it answers.", _store.Objects.Uri);
        }
        _away = true;
    }
}
