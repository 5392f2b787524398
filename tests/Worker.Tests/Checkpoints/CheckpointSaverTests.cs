using DeepSeekOps.Contracts.Worker.V1;
using DeepSeekOps.Worker.Agent;
using DeepSeekOps.Worker.Checkpoints;
using DeepSeekOps.Worker.Safetensors;
using DeepSeekOps.Worker.Tests.Agent;
using DeepSeekOps.Worker.Tests.Training;
using DeepSeekOps.Worker.Training.Loop;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace DeepSeekOps.Worker.Tests.Checkpoints;

[Collection(RandomNumbers.OneStream)]
public sealed class CheckpointSaverTests : IDisposable
{
    private const string File = "model.safetensors";

    private readonly MiniPlans _mini = new();
    private readonly RecordingRankLink _link = new();
    private readonly CheckpointSaver _saver;

    public CheckpointSaverTests() => _saver = new CheckpointSaver(
        new CheckpointFolder(_mini.Root, new LaunchBounds("test", "pretrain", 1, 0, [""]), _link), new CheckpointPolicy { Keep = 2 }, _link,
        TimeProvider.System);

    public void Dispose()
    {
        _saver.Dispose();
        _link.Dispose();
        _mini.Dispose();
    }

    [Fact]
    public void What_is_saved_is_what_stood_there_when_a_change_waits_for_the_copy()
    {
        using var weight = ones(1000);
        using var copied = new ManualResetEventSlim();
        Save(4, weight, _ => copied.Wait(TestContext.Current.CancellationToken));
        var settled = Task.Run(_saver.Settle, TestContext.Current.CancellationToken);
        Assert.False(settled.IsCompleted);
        copied.Set();
        _saver.Settle();
        weight.zero_();
        _saver.Wait();
        Assert.Equal(1000, Saved(4).sum().item<float>());
        Save(8, weight);
        _saver.Settle();
        weight.fill_(7);
        _saver.Wait();
        Assert.Equal(0, Saved(8).sum().item<float>());
    }

    [Fact]
    public void On_a_gpu_too_what_is_saved_is_what_stood_there_before_the_change()
    {
        Assert.SkipUnless(cuda.is_available(), "There is no GPU here.");
        using var weight = ones(1 << 22, device: CUDA);
        foreach (var step in (int[])[4, 8])
        {
            Save(step, weight, look => Assert.Equal(DeviceType.CUDA, look[File][0].Value.device_type));
            _saver.Settle();
            weight.add_(1);
            _saver.Wait();
            Assert.Equal(step / 4, Saved(step).mean().item<float>());
        }
        Save(12, weight.log_().neg_().log_(), look => throw new NotFiniteException(
            new NotFinite { What = "weight w", Value = look[File][0].Value[0].item<float>(), Step = 12 }));
        Assert.Throws<NotFiniteException>(_saver.Settle);
    }

    [Fact]
    public void What_the_look_at_the_copy_refuses_is_never_written_and_is_told_before_the_next_change()
    {
        using var weight = tensor([1.0f, float.NaN]);
        Save(4, weight, copy =>
        {
            Assert.True(copy[File][0].Value.isnan().any().item<bool>());
            throw new NotFiniteException(new NotFinite { What = "weight w", Value = double.NaN, Step = 4 });
        });
        Assert.Throws<NotFiniteException>(_saver.Settle);
        Assert.Throws<NotFiniteException>(_saver.Wait);
        Assert.Throws<NotFiniteException>(_saver.ThrowIfFailed);
        _saver.Rest();
        Assert.Empty(_link.Checkpoints);
        Assert.Empty(Directory.EnumerateFileSystemEntries(Path.Combine(_mini.Root, "test", "pretrain")));
    }

    [Fact]
    public void A_file_of_large_tensors_has_the_hash_of_its_bytes()
    {
        using var large = rand(3 << 20);
        using var small = rand(5);
        string path = Path.Combine(_mini.Root, "large.safetensors");
        string told = SafetensorsWriter.Write(path, [("small", small), ("large", large), ("again", small)]);
        Assert.Equal(Convert.ToHexStringLower(System.Security.Cryptography.SHA256.HashData(System.IO.File.ReadAllBytes(path))), told);
        using var file = SafetensorsFile.Open(path);
        Assert.True(file.Read("large").equal(large).all().item<bool>() && file.Read("again").equal(small).all().item<bool>());
    }

    private void Save(long step, Tensor weight, Action<IReadOnlyDictionary<string, IReadOnlyList<Piece>>>? look = null)
    {
        // As in the loop: the tensors that a step names end with its scope.
        using var scope = NewDisposeScope();
        _saver.Save(new Manifest(Manifest.CurrentFormat, "test", "pretrain", 1, 1, new Position(step, 64, 1, 2, 1), "", false, null, []),
            new Snapshot(new Dictionary<string, IReadOnlyList<Piece>> { [File] = [new Piece("w", weight.detach())] },
                new Dictionary<string, byte[]>()), look);
    }

    private Tensor Saved(long step)
    {
        string folder = Path.Combine(_mini.Root, _link.Checkpoints.Single(c => c.Step == step).Path);
        using var file = SafetensorsFile.Open(Path.Combine(folder, File));
        return file.Read("w");
    }
}
