using System.Text.Json;
using DeepSeekOps.Contracts.Worker.V1;
using DeepSeekOps.Recipes.Files;
using DeepSeekOps.Worker.Agent;
using DeepSeekOps.Worker.Safetensors;
using Google.Protobuf.WellKnownTypes;
using TorchSharp;
using static TorchSharp.torch;

namespace DeepSeekOps.Worker.Checkpoints;

/// <summary>Tensors and texts of one file each, by the file's name.</summary>
public sealed record Snapshot(
    IReadOnlyDictionary<string, IReadOnlyList<Piece>> Tensors, IReadOnlyDictionary<string, byte[]> Texts);

/// <summary>
/// Saves while training goes on: the state is copied beside the next step, which changes nothing before its update, and that waits for the
/// copy (<see cref="Settle"/>). Checking, writing, syncing and renaming happen beside training, one save at a time.
/// </summary>
public sealed class CheckpointSaver(CheckpointFolder folder, CheckpointPolicy policy, IRankLink link, TimeProvider clock) : IDisposable
{
    private readonly Dictionary<string, Tensor> _host = [];
    private readonly FailedSaves _failed = new(folder.Folder, link.Note);
    private GpuCopies? _beside;
    private Task _copying = Task.CompletedTask;
    private Task _writing = Task.CompletedTask;
    private long _stalled;

    /// <summary>Told of each step of which this rank has written its part.</summary>
    public Action<long>? Written { get; set; }

    /// <summary>
    /// Waits where the save before is still under way. What is in host memory may not be changed before <see cref="Settle"/>.
    /// </summary>
    /// <param name="look">
    /// Is given what is saved before anything is written: the copy, or what lies on a GPU. What it throws comes out of <see cref="Settle"/>
    /// and <see cref="Wait"/>.
    /// </param>
    public void Save(Manifest manifest, Snapshot snapshot, Action<IReadOnlyDictionary<string, IReadOnlyList<Piece>>>? look = null)
    {
        var began = clock.GetTimestamp();
        Wait();
        var held = Hold(snapshot.Tensors);
        var copied = new Dictionary<string, IReadOnlyList<Piece>>();
        if (held.Values.SelectMany(pieces => pieces).FirstOrDefault(p => p.Value.device_type == TorchSharp.DeviceType.CUDA) is
            { Value: { } there })
        {
            _beside ??= new GpuCopies(there.device.index);
            var mark = _beside.Mark();
            _copying = Task.Run(() => CopyBeside(mark, held, copied, look));
        }
        else
        {
            _copying = Task.Run(() =>
            {
                foreach (var (file, pieces) in held)
                {
                    copied.Add(file, Copy(file, pieces));
                }
                look?.Invoke(copied);
            });
        }
        _stalled = clock.GetElapsedTime(began).Ticks;
        _writing = Following(_copying, () => Write(manifest, new Snapshot(copied, snapshot.Texts), began));
    }

    /// <summary>Before what was given to be saved is changed: waits until it is copied.</summary>
    public void Settle()
    {
        if (!_copying.IsCompletedSuccessfully)
        {
            var began = clock.GetTimestamp();
            _copying.GetAwaiter().GetResult();
            Interlocked.Add(ref _stalled, clock.GetElapsedTime(began).Ticks);
        }
    }

    /// <summary>Until the save under way is durable, or has failed with a note.</summary>
    /// <exception cref="CheckpointFailedException">It failed by a fault of the program.</exception>
    public void Wait() => _writing.GetAwaiter().GetResult();

    /// <summary>Until nothing is under way any more, however that ended.</summary>
    public void Rest() => ((IAsyncResult)_writing).AsyncWaitHandle.WaitOne();

    /// <summary>At each step: a save that failed by a fault of the program is told there, not when the next one is due.</summary>
    public void ThrowIfFailed()
    {
        if (_writing.IsCompleted)
        {
            Wait();
        }
    }

    public void Dispose()
    {
        // What failed has been thrown already, or is about to be hidden by what ended the loop.
        Rest();
        _beside?.Dispose();
        foreach (var tensor in _host.Values)
        {
            tensor.Dispose();
        }
    }

    /// <summary>What could not be copied, or is not fit to be saved, is not written.</summary>
    private static async Task Following(Task copying, Action write)
    {
        await copying.ConfigureAwait(false);
        await Task.Run(write).ConfigureAwait(false);
    }

    /// <summary>The same tensors by names that no scope of the step ends.</summary>
    private static Dictionary<string, List<Piece>> Hold(IReadOnlyDictionary<string, IReadOnlyList<Piece>> tensors) => tensors.ToDictionary(
        f => f.Key, f => f.Value.Select(p => p with { Value = p.Value.detach().DetachFromDisposeScope() }).ToList());

    private List<Piece> Copy(string file, List<Piece> held)
    {
        using var untracked = no_grad();
        var copies = new List<Piece>(held.Count);
        foreach (var piece in held)
        {
            using var value = piece.Value;
            var buffer = BufferOf(file, piece);
            buffer.copy_(value);
            copies.Add(piece with { Value = buffer });
        }
        return copies;
    }

    /// <summary>The look is at what lies on the GPU: nothing changes there before it is copied, and its sums take milliseconds.</summary>
    private void CopyBeside(
        nint mark, Dictionary<string, List<Piece>> held, Dictionary<string, IReadOnlyList<Piece>> copied,
        Action<IReadOnlyDictionary<string, IReadOnlyList<Piece>>>? look)
    {
        using var untracked = no_grad();
        var tensors = new List<(Tensor From, Tensor Into)>();
        foreach (var (file, pieces) in held)
        {
            copied.Add(file, pieces.ConvertAll(piece =>
            {
                var buffer = BufferOf(file, piece);
                if (piece.Value.device_type == TorchSharp.DeviceType.CUDA)
                {
                    tensors.Add((piece.Value, buffer));
                }
                else
                {
                    buffer.copy_(piece.Value);
                }
                return piece with { Value = buffer };
            }));
        }
        try
        {
            _beside!.Copy(mark, tensors, () => look?.Invoke(held.ToDictionary(f => f.Key, f => (IReadOnlyList<Piece>)f.Value)));
        }
        finally
        {
            held.Values.SelectMany(pieces => pieces).ToList().ForEach(piece => piece.Value.Dispose());
        }
    }

    private Tensor BufferOf(string file, Piece piece)
    {
        var key = $"{file}/{piece.Name}";
        if (!_host.TryGetValue(key, out var buffer))
        {
            buffer = empty(piece.Value.shape, dtype: piece.Value.dtype).DetachFromDisposeScope();
            _host.Add(key, buffer);
        }
        return buffer;
    }

    private void Write(Manifest manifest, Snapshot snapshot, long began)
    {
        if (Durable(manifest, snapshot) is { } written)
        {
            var stall = TimeSpan.FromTicks(Interlocked.Read(ref _stalled));
            link.Checkpoint(ReportOf(written, folder.RelativePathOf(written.Step), stall, clock.GetElapsedTime(began), clock.GetUtcNow()));
            folder.Tidy(policy.Keep);
        }
        Written?.Invoke(manifest.Position.Step);
    }

    /// <summary>Null: it could not be written, which has been told; or other ranks have still to write their parts.</summary>
    private CheckpointSeen? Durable(Manifest manifest, Snapshot snapshot)
    {
        var step = manifest.Position.Step;
        var written = "";
        try
        {
            written = folder.BeginWriting(step);
            WritePart(written, manifest, snapshot);
            var committed = Commit(written, manifest);
            _failed.Durable(step);
            return committed;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            _failed.Failed(step, e);
            folder.Abandon(written);
            if (manifest.Final)
            {
                throw;
            }
            return null;
        }
        catch (Exception e) when (e is not OutOfMemoryException)
        {
            folder.Abandon(written);
            throw new CheckpointFailedException($"Saving the checkpoint of step {step} failed by a fault of this program: {e.Message}", e);
        }
    }

    /// <summary>This rank's files, and last the list that says that they are there.</summary>
    private void WritePart(string written, Manifest manifest, Snapshot snapshot)
    {
        var part = folder.Part;
        var (files, tensors) = (new List<ManifestFile>(), new List<PartTensor>());
        foreach (var (name, values) in snapshot.Tensors)
        {
            var file = part.FileOf(name);
            var path = Path.Combine(written, file);
            var sha256 = SafetensorsWriter.Write(path, [.. values.Select(v => (v.Name, v.Value))]);
            files.Add(new ManifestFile(file, new FileInfo(path).Length, sha256));
            tensors.AddRange(values.Select(piece => piece.In(file, name)));
        }
        // What is not a rank's own is the same on all of them.
        foreach (var (name, text) in snapshot.Texts.Where(_ => part.Rank == 0))
        {
            WriteDurably(Path.Combine(written, name), text);
            files.Add(new ManifestFile(name, text.Length, Manifest.Sha256Of(Path.Combine(written, name))));
        }
        var list = new PartList(part.Rank, part.Of, manifest.Attempt, manifest.Position.Step, files, tensors);
        var aside = Path.Combine(written, $"{part.ListName}.tmp");
        WriteDurably(aside, list.ToBytes());
        File.Move(aside, Path.Combine(written, part.ListName), overwrite: true);
    }

    /// <summary>
    /// Whoever finds that each part is there makes the checkpoint of them. Null: one is still missing, or another rank is at it.
    /// </summary>
    private CheckpointSeen? Commit(string written, Manifest manifest)
    {
        string[] names = [.. Enumerable.Range(0, folder.Part.Of).Select(rank => new CheckpointPart(rank, folder.Part.Of).ListName)];
        if (!Array.TrueForAll(names, n => File.Exists(Path.Combine(written, n))) || !Claim(Path.Combine(written, Manifest.FileName)))
        {
            return null;
        }
        var step = manifest.Position.Step;
        var parts = Array.ConvertAll(names, n => PartList.Read(Path.Combine(written, n)));
        var indexes = parts.Length == 1 ? [] : WriteIndexes(written, parts);
        var files = parts.SelectMany(p => p.Files).Concat(names.Concat(indexes).Select(n => new ManifestFile(
            n, new FileInfo(Path.Combine(written, n)).Length, Manifest.Sha256Of(Path.Combine(written, n)))));
        var complete = manifest with { Files = [.. files], Parts = names };
        var bytes = complete.ToBytes();
        WriteDurably(Path.Combine(written, Manifest.FileName), bytes);
        DurableFiles.SyncFolder(written);
        folder.Publish(written, step);
        return new CheckpointSeen(folder.PathOf(step), complete, Manifest.DigestOf(bytes), bytes.Length, Sized: true, SetAside: false);
    }

    /// <summary>
    /// Weights in several files are published with a list of which is where; with it a gang's checkpoint is such a folder as it is.
    /// </summary>
    private static List<string> WriteIndexes(string written, PartList[] parts)
    {
        var indexes = new List<string>();
        foreach (var file in (string[])[ModelWeights.FileName, ModelWeights.AverageFileName])
        {
            var held = parts.SelectMany(p => p.Tensors).Where(t => t.Of == file).OrderBy(t => t.Name, StringComparer.Ordinal).ToList();
            if (held.Count == 0)
            {
                continue;
            }
            var shards = held.Select(t => t.File).ToHashSet();
            var bytes = parts.SelectMany(p => p.Files).Where(f => shards.Contains(f.Name)).Sum(f => f.Bytes);
            indexes.Add(WeightList.IndexOf(file));
            WriteDurably(Path.Combine(written, indexes[^1]), JsonSerializer.SerializeToUtf8Bytes(new
            {
                metadata = new { total_size = bytes }, weight_map = held.ToDictionary(t => t.Name, t => t.File),
            }));
        }
        return indexes;
    }

    /// <summary>Only one of those who ask makes the file.</summary>
    private static bool Claim(string path)
    {
        try
        {
            File.Open(path, FileMode.CreateNew, FileAccess.Write).Dispose();
            return true;
        }
        catch (Exception e) when ((e is IOException && File.Exists(path)) || e is DirectoryNotFoundException)
        {
            return false;
        }
    }

    /// <summary>A checkpoint as the control plane hears of it.</summary>
    public static CheckpointReport ReportOf(CheckpointSeen made, string path, TimeSpan stall, TimeSpan lag, DateTimeOffset at) => new()
    {
        Step = made.Step,
        Path = path,
        Bytes = made.ManifestBytes + made.Manifest.Files.Sum(f => f.Bytes),
        Digest = made.Digest,
        Tokens = made.Manifest.Position.Tokens,
        Loss = made.Manifest.Position.Loss,
        DataCursor = made.Manifest.DataCursor,
        Stall = Duration.FromTimeSpan(stall),
        Lag = Duration.FromTimeSpan(lag),
        At = Timestamp.FromDateTimeOffset(at),
        Final = made.Manifest.Final,
        Attempt = made.Manifest.Attempt,
    };

    private static void WriteDurably(string path, byte[] bytes)
    {
        using var file = new FileStream(path, FileMode.Create, FileAccess.Write);
        file.Write(bytes);
        DurableFiles.Sync(file);
    }
}

/// <summary>A checkpoint could not be saved, and not for want of space or rights: the next one would fail as well.</summary>
public sealed class CheckpointFailedException(string message, Exception cause) : Exception(message, cause);
