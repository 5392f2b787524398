using DeepSeekOps.Contracts.Worker.V1;
using DeepSeekOps.Worker.Checkpoints;
using DeepSeekOps.Worker.Checkpoints.Store;
using DeepSeekOps.Worker.Safetensors;
using DeepSeekOps.Worker.Tests.Agent;
using DeepSeekOps.Worker.Tests.Training;

namespace DeepSeekOps.Worker.Tests.Checkpoints;

/// <summary>A checkpoint folder made by hand: manifests are right, weights are one number.</summary>
internal sealed class CheckpointDisk : IDisposable
{
    public const string Registration = "of-this-run";
    public const string Weights = "model.safetensors";
    private readonly DirectoryInfo _root = Directory.CreateTempSubdirectory("dsops-folder-");

    public RecordingRankLink Link { get; } = new();

    public string Folder => Path.Combine(_root.FullName, "run", "pretrain");

    public IReadOnlyList<string> Names =>
        [.. Directory.EnumerateFileSystemEntries(Folder).Select(e => Path.GetFileName(e)).Order(StringComparer.Ordinal)];

    public IEnumerable<string> Notes => Link.Reports.Where(r => r.Note is not null).Select(r => r.Note.Text);

    public IEnumerable<string> RefusedPaths => Link.Reports.Where(r => r.Refused is not null).Select(r => r.Refused.Path);

    public void Dispose()
    {
        Link.Dispose();
        _root.Delete(recursive: true);
    }

    public CheckpointFolder Open(int attempt, int roundBegan = 0, string registration = Registration) =>
        new(_root.FullName, new LaunchBounds("run", "pretrain", attempt, roundBegan, [registration]), Link);

    public CheckpointFolder Open(int attempt, StoredCheckpoints store, int roundBegan = 0) =>
        new(_root.FullName, Bounds(attempt, roundBegan), Link, store);

    public static LaunchBounds Bounds(int attempt, int roundBegan = 0) => new("run", "pretrain", attempt, roundBegan, [Registration]);

    public string PathOf(string name) => Path.Combine(Folder, name);

    /// <returns>As the control plane names it.</returns>
    public CheckpointRef Make(long step, int attempt = 1, string registration = Registration, string? name = null, bool final = false)
    {
        string folder = PathOf(name ?? $"step-{step:D8}");
        Fill(folder, step, attempt, registration, final);
        return new CheckpointRef
        {
            Path = Path.GetRelativePath(_root.FullName, folder), Step = step, Run = "run", Stage = "pretrain",
            Digest = Manifest.DigestOf(File.ReadAllBytes(Path.Combine(folder, Manifest.FileName))),
        };
    }

    /// <summary>As a rank saves: aside, and then given its name.</summary>
    public void Save(CheckpointFolder folder, long step, int attempt, int keep, string registration = Registration)
    {
        string written = folder.BeginWriting(step);
        Fill(written, step, attempt, registration, final: false);
        folder.Publish(written, step);
        folder.Tidy(keep);
    }

    /// <summary>No rights stop a test that runs as root; a link that leads to itself nobody can read.</summary>
    /// <returns>Makes it as it was.</returns>
    public Action MakeUnreadable(long step, string file)
    {
        string path = Path.Combine(PathOf($"step-{step:D8}"), file);
        byte[] bytes = File.ReadAllBytes(path);
        File.Delete(path);
        File.CreateSymbolicLink(path, path);
        return () =>
        {
            File.Delete(path);
            File.WriteAllBytes(path, bytes);
        };
    }

    /// <summary>Its weights on another disk.</summary>
    public void MoveElsewhere(long step)
    {
        string path = Path.Combine(PathOf($"step-{step:D8}"), Weights);
        string elsewhere = Path.Combine(_root.FullName, $"weights-of-{step}");
        File.Move(path, elsewhere);
        File.CreateSymbolicLink(path, elsewhere);
    }

    public void Damage(long step) => File.AppendAllText(Path.Combine(PathOf($"step-{step:D8}"), Weights), "x");

    private static void Fill(string folder, long step, int attempt, string registration, bool final)
    {
        Directory.CreateDirectory(folder);
        var weights = Path.Combine(folder, Weights);
        using var tensor = TorchSharp.torch.tensor((float)step);
        var sha256 = SafetensorsWriter.Write(weights, [("model.norm.weight", tensor)]);
        var file = new ManifestFile(Weights, new FileInfo(weights).Length, sha256);
        var manifest = new Manifest(
            Manifest.CurrentFormat, "run", "pretrain", attempt, 1, new Position(step, step * 100, 0, 0, 1.5), "", final, null, [file])
        {
            Registration = registration,
        };
        File.WriteAllBytes(Path.Combine(folder, Manifest.FileName), manifest.ToBytes());
    }
}
