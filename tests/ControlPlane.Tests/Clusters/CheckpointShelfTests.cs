using System.Security.Cryptography;
using DeepSeekOps.ControlPlane.Clusters;
using DeepSeekOps.Decisions;
using Xunit;

namespace DeepSeekOps.ControlPlane.Tests.Clusters;

public sealed class CheckpointShelfTests : IDisposable
{
    private static readonly StageId Stage = new("mini", "pretrain");
    private readonly DirectoryInfo root = Directory.CreateTempSubdirectory("dsops-shelf-");

    private string Folder => Path.Combine(root.FullName, "mini", "pretrain");

    public void Dispose() => root.Delete(recursive: true);

    [Fact]
    public void A_checkpoint_is_seen_with_its_digest_attempt_and_registration()
    {
        string manifest = Make(120);
        var seen = Assert.Single(CheckpointShelf.Read(root.FullName, Stage).Checkpoints);
        Assert.Equal((120L, 3, "mini/pretrain/step-00000120", "reg"),
            (seen.Made.Step, seen.Made.Attempt, seen.Made.Path, seen.Registration));
        Assert.Equal(Convert.ToHexStringLower(SHA256.HashData(File.ReadAllBytes(manifest))), seen.Made.Digest);
        Assert.True(double.IsNaN(seen.Made.Loss));
    }

    [Fact]
    public void What_is_not_exactly_ours_or_not_whole_is_not_seen()
    {
        Make(20);
        Make(40, folder: "step-40");
        Make(60, folder: "superseded-step-00000060.attempt-1");
        Make(80, folder: "step-00000081");
        Make(100, bytes: 4);
        Make(120, run: "other");
        File.WriteAllText(Make(140), "{ \"run\": \"mini\", ");
        Directory.CreateDirectory(Path.Combine(Folder, "step-00009999"));
        File.WriteAllText(Path.Combine(Folder, "step-00009998"), "");
        File.Delete(Path.Combine(Path.GetDirectoryName(Make(160))!, "weights"));
        string link = Make(180);
        File.Delete(link);
        File.CreateSymbolicLink(link, "/dev/zero");
        Assert.Equal([20L], CheckpointShelf.Read(root.FullName, Stage).Checkpoints.Select(c => c.Made.Step));
    }

    [Fact]
    public void Of_a_file_that_lies_elsewhere_and_is_linked_to_the_file_counts()
    {
        foreach (string file in (string[])[Make(20), Path.Combine(Path.GetDirectoryName(Make(40))!, "weights")])
        {
            string elsewhere = Path.Combine(root.FullName, $"{Guid.NewGuid():N}");
            File.Move(file, elsewhere);
            File.CreateSymbolicLink(file, elsewhere);
        }

        Assert.Equal([20L, 40L], CheckpointShelf.Read(root.FullName, Stage).Checkpoints.Select(c => c.Made.Step));
    }

    [Fact]
    public void A_pipe_in_the_place_of_a_manifest_is_not_opened()
    {
        string manifest = Make(20);
        File.Delete(manifest);
        using (var made = System.Diagnostics.Process.Start("mkfifo", [manifest]))
        {
            made.WaitForExit();
        }

        Assert.Empty(CheckpointShelf.Read(root.FullName, Stage).Checkpoints);
    }

    [Fact]
    public void A_stage_without_a_folder_has_no_checkpoints() =>
    Assert.Empty(CheckpointShelf.Read(root.FullName, new StageId("none", "at-all")).Checkpoints);

    private string Make(long step, string? folder = null, int bytes = 3, string run = "mini")
    {
        string path = Path.Combine(Folder, folder ?? $"step-{step:D8}");
        Directory.CreateDirectory(path);
        File.WriteAllText(Path.Combine(path, "weights"), "abc");
        string manifest = Path.Combine(path, "manifest.json");
        File.WriteAllText(manifest, $$"""
            {"format": 1, "run": "{{run}}", "stage": "pretrain", "attempt": 3, "seed": 1, "dataCursor": "here", "final": false, "beganFrom": null,
             "position": {"step": {{step}}, "tokens": 100, "document": 1, "offset": 0, "loss": "NaN"},
             "files": [{"name": "weights", "bytes": {{bytes}}, "sha256": ""}], "registration": "reg"}
            """);
        return manifest;
    }
}
