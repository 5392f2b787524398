using DeepSeekOps.Contracts.Worker.V1;
using DeepSeekOps.Worker.Checkpoints;
using DeepSeekOps.Worker.Safetensors;
using DeepSeekOps.Worker.Tests.Agent;
using DeepSeekOps.Worker.Tests.Training;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace DeepSeekOps.Worker.Tests.Checkpoints;

[Collection(RandomNumbers.OneStream)]
public sealed class CheckpointPartTests : IDisposable
{
    private const string File = "model.safetensors";
    private readonly MiniPlans _mini = new();
    private readonly RecordingRankLink _link = new();

    private string Folder => Path.Combine(_mini.Root, "run", "pretrain");

    public void Dispose()
    {
        _link.Dispose();
        _mini.Dispose();
    }

    [Fact]
    public void A_checkpoint_is_there_when_each_of_its_parts_is_and_reads_as_one()
    {
        using var scope = NewDisposeScope();
        Save(new CheckpointPart(1, 2), "b", 2);
        Assert.Empty(_link.Checkpoints);
        Assert.Empty(Open(CheckpointPart.Only, attempt: 1, clean: false).Steps());

        Save(new CheckpointPart(0, 2), "a", 1);
        var made = Assert.Single(_link.Checkpoints);
        var folder = Path.Combine(_mini.Root, made.Path);
        var manifest = Manifest.Verify(folder, made.Digest);
        Assert.Equal(["part.rank-0-of-2.json", "part.rank-1-of-2.json"], manifest.Parts);
        Assert.Equal(
            ["config.json", "model.rank-0-of-2.safetensors", "model.rank-1-of-2.safetensors", "model.safetensors.index.json",
                "part.rank-0-of-2.json", "part.rank-1-of-2.json"],
            manifest.Files.Select(f => f.Name).Order(StringComparer.Ordinal));
        Assert.Equal(made.Bytes, new DirectoryInfo(folder).EnumerateFiles().Sum(f => f.Length));
        var (a, b) = (zeros(3), zeros(3));
        ModelWeights.LoadInto([("a", a), ("b", b)], folder, File);
        Assert.Equal((3f, 6f), (a.sum().item<float>(), b.sum().item<float>()));
    }

    [Fact]
    public void Ranks_that_end_their_parts_at_the_same_time_make_one_checkpoint_of_them()
    {
        var savers = Enumerable.Range(0, 4).Select(rank => SaverOf(new CheckpointPart(rank, 4), attempt: 1)).ToList();
        for (var step = 1L; step <= 10; step++)
        {
            var ranks = savers.Select((saver, rank) => new Thread(() => Save(saver, $"w{rank}", rank, step))).ToList();
            ranks.ForEach(r => r.Start());
            ranks.ForEach(r => r.Join());
            Assert.Single(_link.Checkpoints, c => c.Step == step);
        }
        savers.ForEach(s => s.Dispose());
        Assert.DoesNotContain(_link.Reports, r => r.Note is not null);
    }

    [Fact]
    public void A_rank_that_starts_takes_away_only_what_it_wrote_itself_or_what_older_attempts_left()
    {
        using var scope = NewDisposeScope();
        Save(new CheckpointPart(0, 3), "a", 1, attempt: 2);
        Save(new CheckpointPart(1, 3), "b", 1, attempt: 2);
        string[] old = [".step-00000004.attempt-1.tmp", ".step-00000004.attempt-3.tmp", ".step-00000004.attempt-2.deleted.tmp"];
        Array.ForEach(old, name => Directory.CreateDirectory(Path.Combine(Folder, name)));
        _ = Open(new CheckpointPart(1, 3), attempt: 2);
        Assert.Equal(
            [".step-00000004.attempt-2.tmp", ".step-00000004.attempt-3.tmp"],
            Directory.EnumerateDirectories(Folder).Select(d => Path.GetFileName(d)).Order(StringComparer.Ordinal));
        Assert.Equal(
            ["config.json", "model.rank-0-of-3.safetensors", "part.rank-0-of-3.json"],
            Directory.EnumerateFiles(Path.Combine(Folder, ".step-00000004.attempt-2.tmp")).Select(f => Path.GetFileName(f))
                .Order(StringComparer.Ordinal));
    }

    [Fact]
    public void A_tensor_in_pieces_is_put_together_and_one_that_lacks_a_piece_is_refused()
    {
        using var scope = NewDisposeScope();
        var whole = arange(12, dtype: ScalarType.Float32).reshape(4, 3);
        PartTensor Piece(int rank, long from, long rows) =>
            new(File, "w", [4, 3], $"model.rank-{rank}-of-2.safetensors") { Offset = [from, 0], Extent = [rows, 3] };
        var read = zeros(4, 3);
        ModelWeights.LoadInto([("w", read)], ByHand(whole, Piece(0, 0, 1), Piece(1, 1, 3)), File);
        Assert.True(read.equal(whole).all().item<bool>());

        string Refused(params PartTensor[] pieces) =>
            Assert.Throws<RefusedCheckpointException>(() => ModelWeights.LoadInto([("w", zeros(4, 3))], ByHand(whole, pieces), File))
                .Message;
        Assert.Contains("hold 6 of the 12 numbers of w", Refused(Piece(0, 0, 2)), StringComparison.Ordinal);
        Assert.Contains("of another shape", Refused(Piece(0, 0, 2) with { Shape = [2, 3] }), StringComparison.Ordinal);
        Assert.Contains("of another shape", Refused(Piece(0, 3, 2)), StringComparison.Ordinal);
        Assert.Contains("does not list ../w.safetensors", Refused(Piece(0, 0, 4) with { File = "../w.safetensors" }),
            StringComparison.Ordinal);
    }

    [Fact]
    public void A_checkpoint_from_before_there_were_parts_is_read_as_ever()
    {
        using var scope = NewDisposeScope();
        var folder = Directory.CreateDirectory(Path.Combine(Folder, "old")).FullName;
        var sha256 = SafetensorsWriter.Write(Path.Combine(folder, File), [("w", ones(2))]);
        WriteManifest(folder, [new ManifestFile(File, new FileInfo(Path.Combine(folder, File)).Length, sha256)], parts: []);
        var read = zeros(2);
        ModelWeights.LoadInto([("w", read)], folder, File);
        Assert.Equal(2, read.sum().item<float>());
        Assert.True(ModelWeights.Has(folder, File) && !ModelWeights.Has(folder, "reference.safetensors"));
    }

    /// <summary>Each piece in a file of its own, and a list for each.</summary>
    private string ByHand(Tensor whole, params PartTensor[] pieces)
    {
        var folder = Directory.CreateDirectory(Path.Combine(Folder, Path.GetRandomFileName())).FullName;
        var (files, lists) = (new List<ManifestFile>(), new List<string>());
        for (var rank = 0; rank < pieces.Length; rank++)
        {
            var own = $"model.rank-{rank}-of-2.safetensors";
            var (from, rows) = (pieces[rank].Offset![0], Math.Min(pieces[rank].Extent![0], 4 - pieces[rank].Offset![0]));
            var sha256 = SafetensorsWriter.Write(Path.Combine(folder, own), [("w", whole.narrow(0, from, rows))]);
            files.Add(new ManifestFile(own, new FileInfo(Path.Combine(folder, own)).Length, sha256));
            lists.Add(new CheckpointPart(rank, 2).ListName);
            System.IO.File.WriteAllBytes(Path.Combine(folder, lists[^1]),
                new PartList(rank, 2, 1, 4, [files[^1]], [pieces[rank]]).ToBytes());
        }
        WriteManifest(folder, [.. files, .. lists.Select(l => new ManifestFile(l, 1, ""))], lists);
        return folder;
    }

    private static void WriteManifest(string folder, IReadOnlyList<ManifestFile> files, IReadOnlyList<string> parts) =>
        System.IO.File.WriteAllBytes(
        Path.Combine(folder, Manifest.FileName),
        new Manifest(Manifest.CurrentFormat, "run", "pretrain", 1, 1, new Position(4, 64, 1, 2, 1), "", false, null,
            files)
        { Parts = parts }.ToBytes());

    private CheckpointFolder Open(CheckpointPart part, int attempt, bool clean = true) =>
        new(_mini.Root, new LaunchBounds("run", "pretrain", clean ? attempt : 0, 0, [""]) { Part = part }, _link);

    private CheckpointSaver SaverOf(CheckpointPart part, int attempt) =>
        new(Open(part, attempt), new CheckpointPolicy { EverySteps = 4, Keep = 20 }, _link, TimeProvider.System);

    private void Save(CheckpointPart part, string name, float value, int attempt = 1)
    {
        using var saver = SaverOf(part, attempt);
        Save(saver, name, value, step: 4, attempt);
    }

    private static void Save(CheckpointSaver saver, string name, float value, long step, int attempt = 1)
    {
        using var tensor = full([3], value);
        saver.Save(
            new Manifest(Manifest.CurrentFormat, "run", "pretrain", attempt, 1, new Position(step, 64, 1, 2, 1), "", false, null, []),
            new Snapshot(
                new Dictionary<string, IReadOnlyList<Piece>> { [File] = [(name, tensor)] },
                new Dictionary<string, byte[]> { ["config.json"] = "{}"u8.ToArray() }));
        saver.Wait();
    }
}
