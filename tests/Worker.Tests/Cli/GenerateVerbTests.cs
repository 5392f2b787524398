using System.Text.Json;
using DeepSeekOps.Worker.Cli;
using DeepSeekOps.Worker.Model;
using DeepSeekOps.Worker.Safetensors;
using DeepSeekOps.Worker.Tests.Training;
using Xunit;
using static TorchSharp.torch;

namespace DeepSeekOps.Worker.Tests.Cli;

[Collection(RandomNumbers.OneStream)]
public sealed class GenerateVerbTests : IDisposable
{
    private readonly string _data = Directory.CreateTempSubdirectory("dsops-generate-").FullName;

    [Fact]
    public void A_stage_is_its_newest_checkpoint_and_json_tells_what_came_of_the_guesses()
    {
        Write(50, seed: 1);
        Write(100, seed: 2);
        var newest = Said("run/pretrain");
        Assert.Equal(newest.GetProperty("text").GetString(), Said("run/pretrain/100").GetProperty("text").GetString());
        Assert.NotEqual(newest.GetProperty("tokens").ToString(), Said("run/pretrain/step-00000050").GetProperty("tokens").ToString());
        Assert.InRange(newest.GetProperty("acceptanceRate").GetDouble(), 0, 1);
        Assert.Equal(newest.GetProperty("tokens").ToString(), Said("run/pretrain", "--no-speculation").GetProperty("tokens").ToString());
    }

    [Theory]
    [InlineData(1, "holds no checkpoint", "run/nothing", "--prompt", "a")]
    [InlineData(1, "has no checkpoint of step 7; it has 50", "run/pretrain/7", "--prompt", "a")]
    [InlineData(1, "is not a folder", "nowhere", "--prompt", "a")]
    [InlineData(1, "more than the 128 places", "run/pretrain", "--prompt", "a", "--max-tokens", "500")]
    [InlineData(1, "has no ema.safetensors", "run/pretrain", "--prompt", "a", "--ema")]
    [InlineData(2, "prompt is empty", "run/pretrain", "--prompt", "")]
    [InlineData(2, "--temperature -1 is not valid", "run/pretrain", "--prompt", "a", "--temperature", "-1")]
    public void What_cannot_be_done_is_said_in_words(int exit, string words, params string[] args)
    {
        Write(50, seed: 1);
        var errors = new StringWriter();
        Assert.Equal(exit, GenerateVerb.Run([.. args, "--tokenizer", "byte", "--data-dir", _data], TextWriter.Null, errors));
        Assert.Contains(words, errors.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public void A_truncated_file_is_named()
    {
        var file = Path.Combine(Write(50, seed: 1), "model.safetensors");
        using (var stream = File.OpenWrite(file))
        {
            stream.SetLength(stream.Length / 2);
        }

        var errors = new StringWriter();
        Assert.Equal(1,
            GenerateVerb.Run(["run/pretrain", "--prompt", "a", "--tokenizer", "byte", "--data-dir", _data], TextWriter.Null, errors));
        Assert.Contains(file, errors.ToString(), StringComparison.Ordinal);
    }

    public void Dispose() => Directory.Delete(_data, recursive: true);

    private JsonElement Said(string checkpoint, params string[] more)
    {
        var output = new StringWriter();
        var errors = new StringWriter();
        var exit = GenerateVerb.Run(
            [checkpoint, "--prompt", "12+7", "--max-tokens", "20", "--json", "--tokenizer", "byte", "--data-dir", _data, .. more], output,
            errors);
        Assert.True(exit == 0, errors.ToString());
        return JsonDocument.Parse(output.ToString()).RootElement;
    }

    private string Write(long step, long seed)
    {
        var folder = Path.Combine(_data, "checkpoints", "run", "pretrain", $"step-{step:D8}");
        Directory.CreateDirectory(folder);
        using var model = new DeepSeekModel(ModelShapes.FromProto(MiniPlans.Model()) with { InitStd = 0.1 }, CPU);
        model.Initialise(seed);
        SafetensorsWriter.Write(Path.Combine(folder, "model.safetensors"), [.. model.PublishedTensors()]);
        File.WriteAllBytes(Path.Combine(folder, ConfigJson.FileName), ConfigJson.ToBytes(model.Shape));
        return folder;
    }
}
