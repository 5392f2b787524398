using System.Diagnostics;
using System.Globalization;
using DeepSeekOps.Recipes.Files;

namespace DeepSeekOps.Worker.Data.Preparing;

/// <param name="Sources">Files and folders, each a source with a weight of its own.</param>
/// <param name="Weights">By the source as it was named; 1 where nothing is said.</param>
/// <param name="Tokenizer">"byte", or the path of a tokenizer.json.</param>
/// <param name="Share">Parts that this call makes, from 1, of so many calls that share the work.</param>
internal sealed record PrepareOrder(
    IReadOnlyList<string> Sources, string Folder, string Tokenizer, IReadOnlyDictionary<string, double> Weights, int Workers,
    (int Number, int Of) Share);

/// <summary>What a call of `prepare` came to.</summary>
/// <param name="Digest">Null: other calls have parts to make yet.</param>
/// <param name="MadeBytes">Bytes of text of the parts that this call made.</param>
internal sealed record PrepareOutcome(PreparedManifest? Manifest, string? Digest, int Missing, long MadeBytes, double Seconds);

/// <summary>
/// Makes the shards that are missing, by several threads, and then the table and the manifest. What a shard holds hangs on the plan alone;
/// so a call that was killed is gone on with by the same call, on this machine or on another that sees the folder.
/// </summary>
internal sealed class Preparation(PrepareOrder order, TimeProvider clock, Action<string> say)
{
    /// <summary>A line of progress: seldom enough for a log, often enough for who waits.</summary>
    private static readonly TimeSpan TellEvery = TimeSpan.FromSeconds(2);

    private readonly ITokenizer _tokenizer = TokenizerFiles.Open(order.Tokenizer);
    private readonly Lock _gate = new();
    private readonly long _began = clock.GetTimestamp();
    private (long Bytes, long Told) _made;
    private (int Next, int Done, Exception? Failed, int FailedPart) _work = (0, 0, null, int.MaxValue);
    private byte[] _planDigest = [];
    private byte[]? _ownTokenizer;

    /// <exception cref="BadInputException">What is wrong with a source or the folder, by file and line.</exception>
    /// <exception cref="IOException">The folder cannot be written.</exception>
    public PrepareOutcome Run()
    {
        var plan = AsBegun(PreparePlan.Of(order.Sources, _tokenizer));
        RequireWeights();
        using var owned = Enter(plan);
        var parts = plan.Parts.Select((p, number) => (p.File, p.Part, Number: number)).ToArray();
        var missing = parts.Where(p => p.Number % order.Share.Of == order.Share.Number - 1 && !IsMade(p.Number)).ToArray();
        if (missing.Length < parts.Length && missing.Length > 0)
        {
            say($"{parts.Length - missing.Length:N0} of {parts.Length:N0} parts are there or are made by other calls");
        }
        Make(missing, plan);
        var left = parts.Count(p => !IsMade(p.Number));
        var seconds = clock.GetElapsedTime(_began).TotalSeconds;
        if (left > 0)
        {
            return new PrepareOutcome(null, null, left, _made.Bytes, seconds);
        }
        var (manifest, digest) = Seal(plan);
        return new PrepareOutcome(manifest, digest, 0, _made.Bytes, clock.GetElapsedTime(_began).TotalSeconds);
    }

    private string At(string name) => Path.Combine(order.Folder, name);

    /// <summary>By the folder's own copy of tokenizer.json, where the one that is named now was only formatted anew.</summary>
    private PreparePlan AsBegun(PreparePlan plan)
    {
        _ownTokenizer = _tokenizer.Json;
        if (_ownTokenizer is null || !FileSeen.IsRegular(At(PreparedSet.TokenizerName)))
        {
            return plan;
        }
        var copy = NamedFile.ReadAll(At(PreparedSet.TokenizerName), TokenizerJson.BytesMax);
        if (!TokenizerJson.SameContent(copy, _ownTokenizer))
        {
            return plan;
        }
        _ownTokenizer = copy;
        return plan with { TokenizerSha256 = PreparePlan.SumOf(copy) };
    }

    private bool IsMade(int number) =>
        ShardHeader.OfWhole(At(PreparedSet.ShardName(number))) is { } header && header.Number == number
            && header.PlanSha256.Span.SequenceEqual(_planDigest);

    private void RequireWeights()
    {
        if (order.Weights.Keys.FirstOrDefault(name => !order.Sources.Contains(name)) is { } unknown)
        {
            throw new BadInputException($"--weight names '{unknown}', which is no source here.",
                $"Name one of {string.Join(", ", order.Sources)}.");
        }
    }

    /// <summary>Makes the folder, or goes on in one that was begun with the same plan. No two calls of the same share work in it.</summary>
    private FileStream Enter(PreparePlan plan)
    {
        var bytes = plan.ToBytes();
        _planDigest = PreparePlan.DigestOf(bytes);
        if (FileSeen.At(order.Folder) is { Kind: not (FileKind.Missing or FileKind.Folder) } seen)
        {
            throw new BadInputException($"'{order.Folder}' is {(seen.Kind == FileKind.Regular ? "a file" : seen.InWords)}, not a folder.",
                "Give --out a folder.");
        }
        Directory.CreateDirectory(order.Folder);
        var (planPath, label) = (At(PreparedSet.PlanName), $"{order.Share.Number}-of-{order.Share.Of}");
        var begun = FileSeen.At(planPath).Kind == FileKind.Regular;
        if (!begun && Directory.EnumerateFileSystemEntries(order.Folder).Any(
            e => !Path.GetFileName(e).StartsWith(".lock-", StringComparison.Ordinal)))
        {
            throw new BadInputException($"'{order.Folder}' has other things in it, and no {PreparedSet.PlanName}.",
                "Give --out a new folder, or an empty one.");
        }
        var owned = Lock(label);
        try
        {
            if (begun && PreparePlan.Difference(NamedFile.ReadAll(planPath, int.MaxValue - 64), bytes) is { } difference)
            {
                throw new BadInputException($"'{order.Folder}' is another set: {difference}.",
                    "Give --out another folder, or remove this one.");
            }
            if (!begun)
            {
                WriteWhole(PreparedSet.PlanName, bytes);
                WriteTokenizer();
            }
            foreach (var left in Directory.EnumerateFiles(order.Folder, $"*.unfinished-{label}"))
            {
                File.Delete(left);
            }
            return owned;
        }
        catch
        {
            owned.Dispose();
            throw;
        }
    }

    private FileStream Lock(string label)
    {
        try
        {
            return new FileStream(At($".lock-{label}"), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
        }
        catch (IOException e) when (e is not DirectoryNotFoundException && FullDisk.Of(e, order.Folder).Length == 0
            && FileSeen.IsRegular(At($".lock-{label}")))
        {
            throw new BadInputException($"Another `dsops data prepare` is at work in '{order.Folder}'.",
                "Wait for it, or share the work: --share 1/2 and --share 2/2.", e);
        }
    }

    private void Make((PlannedFile File, int Part, int Number)[] missing, PreparePlan plan)
    {
        var threads = Enumerable.Range(1, Math.Min(Math.Max(1, order.Workers), missing.Length))
            .Select(i => new Thread(() => Work(missing, plan)) { IsBackground = true, Name = $"prepare {i}" }).ToList();
        threads.ForEach(t => t.Start());
        threads.ForEach(t => t.Join());
        switch (_work.Failed)
        {
            case null:
                return;
            case IOException e when FullDisk.Of(e, order.Folder) is { Length: > 0 } disk:
                throw new IOException($"{disk} is full: '{order.Folder}' has {_work.Done:N0} parts more, "
                    + $"{missing.Length - _work.Done:N0} are missing. Make room, "
                    + "then run the same command again: it goes on where it was.", e);
            case BadInputException e:
                throw new BadInputException(e.What, e.Fix, e);
            case IOException or UnauthorizedAccessException:
                throw new IOException(_work.Failed.Message, _work.Failed);
            default:
                throw new InvalidOperationException($"A thread failed: {_work.Failed.Message}", _work.Failed);
        }
    }

    private void Work((PlannedFile File, int Part, int Number)[] missing, PreparePlan plan)
    {
        while (true)
        {
            int mine;
            lock (_gate)
            {
                if (_work.Next == missing.Length || _work.Failed is not null)
                {
                    return;
                }
                mine = _work.Next++;
            }
            try
            {
                MakeShard(missing[mine].File, missing[mine].Part, missing[mine].Number, plan, missing.Length);
                lock (_gate)
                {
                    _work.Done++;
                }
            }
            catch (Exception e)
            {
                // The outermost frame of the thread catches all: the call ends by what the earliest part says.
                lock (_gate)
                {
                    if (missing[mine].Number < _work.FailedPart)
                    {
                        (_work.Failed, _work.FailedPart) = (e, missing[mine].Number);
                    }
                }
                return;
            }
        }
    }

    private void MakeShard(PlannedFile file, int part, int number, PreparePlan plan, int parts)
    {
        var path = At(PreparedSet.ShardName(number));
        using var writer = new ShardWriter(path, $"{path}.unfinished-{order.Share.Number}-of-{order.Share.Of}", plan.IdBytes);
        var (untold, says) = (0L, false);
        foreach (var text in PartTexts.Read(file, part, plan.PartBytes))
        {
            var ids = _tokenizer.Encode(text.Text);
            writer.Add(ids, text.Bytes);
            says |= text.Says;
            if ((untold += text.Bytes) >= 1 << 20)
            {
                Tell(untold, parts);
                untold = 0;
            }
        }
        RequireUnchanged(file);
        // Of a file in one part it is known here that nothing is said in it, as it is of raw files.
        if (!says && file.Parts == 1)
        {
            throw DataFile.Empty(file.Path);
        }
        writer.Finish(number, _planDigest);
        Tell(untold, parts);
    }

    private static void RequireUnchanged(PlannedFile file)
    {
        if (FileSeen.At(file.Path) is var now && (now.Kind != FileKind.Regular || now.Length != file.Bytes))
        {
            throw new BadInputException($"'{file.Path}' was changed while it was read.",
                "Let it be, and prepare the data into another folder.");
        }
    }

    private void Tell(long bytes, int parts)
    {
        lock (_gate)
        {
            _made.Bytes += bytes;
            var now = clock.GetTimestamp();
            if (clock.GetElapsedTime(_made.Told == 0 ? _began : _made.Told, now) < TellEvery)
            {
                return;
            }
            _made.Told = now;
            var rate = _made.Bytes / 1e6 / clock.GetElapsedTime(_began, now).TotalSeconds;
            say(string.Create(CultureInfo.InvariantCulture,
                $"{_work.Done:N0} of {parts:N0} parts, {_made.Bytes / 1e6:N0} MB of text, {rate:N1} MB/s"));
        }
    }

    private (PreparedManifest Manifest, string Digest) Seal(PreparePlan plan)
    {
        var (sources, first, number) = (new List<PreparedSource>(), 0L, 0);
        using var table = new MemoryStream();
        var line = new byte[ShardEntry.Bytes];
        foreach (var source in plan.Sources)
        {
            var (documents, tokens, bytes, before) = (0L, 0L, 0L, first);
            for (var part = 0; part < source.Files.Sum(f => f.Parts); part++, number++)
            {
                var header = ShardHeader.OfWhole(At(PreparedSet.ShardName(number)))!;
                new ShardEntry(first, header.Documents, header.Tokens, header.TextBytes, header.Sha256).Write(line);
                table.Write(line);
                (first, documents, tokens, bytes) =
                    (first + header.Documents, documents + header.Documents, tokens + header.Tokens, bytes + header.TextBytes);
            }
            sources.Add(new PreparedSource(
                source.Name, order.Weights.GetValueOrDefault(source.Path, 1), before, documents, tokens, bytes, source.Files.Count));
        }
        if (first == 0)
        {
            throw DataFile.Empty(string.Join("', '", order.Sources));
        }
        var manifest = new PreparedManifest(
            PreparedManifest.KindOfAll, PreparedManifest.CurrentFormat, plan.Tokenizer, plan.TokenizerSha256, plan.VocabSize, plan.IdBytes,
            number, first, sources.Sum(s => s.Tokens), sources.Sum(s => s.TextBytes), PreparedManifest.DigestOf(table.ToArray()), sources);
        var written = manifest.ToBytes();
        var digest = PreparedManifest.DigestOf(written);
        if (FileSeen.IsRegular(At(PreparedManifest.FileName)) && PreparedManifest.Read(order.Folder).Digest is var old && old != digest)
        {
            throw new BadInputException($"'{order.Folder}' is there already, with other weights or other shards.",
                $"Remove {PreparedManifest.FileName} in it and run this again: tokens are kept, and checkpoints know it as another set.");
        }
        WriteWhole(ShardTable.FileName, table.ToArray());
        WriteTokenizer();
        WriteWhole(PreparedManifest.FileName, written);
        return (manifest, digest);
    }

    /// <summary>A copy, since the file that was named may be changed or go.</summary>
    private void WriteTokenizer()
    {
        if (_ownTokenizer is { } json)
        {
            WriteWhole(PreparedSet.TokenizerName, json);
        }
    }

    private void WriteWhole(string name, byte[] bytes)
    {
        var unfinished = At($"{name}.unfinished-{order.Share.Number}-of-{order.Share.Of}");
        using (var file = new FileStream(unfinished, FileMode.Create, FileAccess.Write))
        {
            file.Write(bytes);
            DurableFiles.Sync(file);
        }
        File.Move(unfinished, At(name), overwrite: true);
    }
}
