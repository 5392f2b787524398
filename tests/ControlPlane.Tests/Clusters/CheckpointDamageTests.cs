using DeepSeekOps.ControlPlane.Clusters.LocalProcess;
using Xunit;

namespace DeepSeekOps.ControlPlane.Tests.Clusters;

/// <summary>What a drill does to a checkpoint on a disk.</summary>
public sealed class CheckpointDamageTests
{
    [Fact]
    public void One_file_of_the_newest_checkpoint_is_cut_changed_or_gone_and_nothing_else_is_touched()
    {
        string root = Directory.CreateTempSubdirectory("dsops-damage-").FullName;
        try
        {
            var done = new HashSet<string>();
            for (int draw = 0; draw < 6; draw++)
            {
                string stage = Path.Combine(root, $"{draw}");
                Make(Path.Combine(stage, "step-00000010"));
                Make(Path.Combine(stage, "step-00000020"));
                var (folder, file, what) = CheckpointDamage.Do(stage, draw);
                Assert.Equal("step-00000020", folder);
                Assert.Equal(1, Changed(Path.Combine(stage, folder)));
                Assert.Equal(0, Changed(Path.Combine(stage, "step-00000010")));
                done.Add($"{what} {file}");
            }

            Assert.Equal(6, done.Count);
        }
        finally
        {
            Directory.Delete(root, recursive: true);
        }
    }

    private static void Make(string folder)
    {
        Directory.CreateDirectory(folder);
        File.WriteAllBytes(Path.Combine(folder, "manifest.json"), new byte[100]);
        File.WriteAllBytes(Path.Combine(folder, "model.safetensors"), new byte[100]);
    }

    private static int Changed(string folder) => new[] { "manifest.json", "model.safetensors" }
        .Select(name => Path.Combine(folder, name))
        .Count(path => !File.Exists(path) || !File.ReadAllBytes(path).SequenceEqual(new byte[100]));
}
