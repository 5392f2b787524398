using System.Security.Cryptography;
using DeepSeekOps.ControlPlane.Pipelines;
using DeepSeekOps.Recipes.Data;
using Xunit;

namespace DeepSeekOps.ControlPlane.Tests.Pipelines;

/// <summary>A prepared set in a pipeline, by the reader that the rank has.</summary>
public sealed class PreparedSourceTests : IDisposable
{
    private readonly DirectoryInfo folder = Directory.CreateTempSubdirectory("dsops-set-");

    public PreparedSourceTests() => MakeSet(Path.Combine(folder.FullName, "set"));

    public void Dispose() => folder.Delete(recursive: true);

    [Fact]
    public void A_set_is_named_as_the_source_or_by_the_stage_that_reads_it()
    {
        string set = Path.Combine(folder.FullName, "set");
        var all = Parse("source: set");
        Assert.Empty(all.Errors);
        Assert.Equal(set, all.Spec!.Data.Source);
        var own = Parse("source: builtin:arithmetic", "data: set", sft: true);
        Assert.Empty(own.Errors);
        Assert.Equal((set, 8), (TrainingPlans.ToProto(own.Spec!, "pretrain").Data.Source, own.Spec!.Data.Heldout));
        Assert.Equal("builtin:arithmetic", TrainingPlans.ToProto(own.Spec!, "sft").Data.Source);
    }

    [Theory]
    [InlineData("source: nothing", "", "data.source", "There is no file or folder")]
    [InlineData("source: 'set,more.txt'", "", "data.source", "a prepared set stands alone")]
    [InlineData("source: s3://bucket/set", "", "data.source", "not read from stores yet")]
    [InlineData("source: .", "", "data.source", "is a folder without manifest.json")]
    [InlineData("source: builtin:arithmetic", "data: .", "stages[0].data", "is a folder without manifest.json")]
    [InlineData("source: builtin:arithmetic", "data: builtin:other", "stages[0].data", "There is no generator")]
    public void What_is_no_set_is_told_at_its_field(string data, string stage, string field, string said)
    {
        var problem = Parse(data, stage).Errors.First(p => p.Field == field);
        Assert.Contains(said, problem.Message, StringComparison.Ordinal);
        Assert.NotEmpty(problem.Fix);
    }

    [Fact]
    public void A_damaged_set_and_one_that_has_no_answers_are_told()
    {
        Assert.Contains("needs conversations", Assert.Single(Parse("source: set", sft: true).Errors).Message, StringComparison.Ordinal);
        string shard = Path.Combine(folder.FullName, "set", PreparedSet.ShardName(0));
        using (var cut = new FileStream(shard, FileMode.Open))
        {
            cut.SetLength(cut.Length - 8);
        }

        Assert.Contains($"'{shard}' has ", Assert.Single(Parse("source: set").Errors).Message, StringComparison.Ordinal);
    }

    private PipelineParse Parse(string data, string stage = "", bool sft = false)
    {
        string own = stage.Length > 0 ? $", {stage}" : "";
        string tune = sft
            ? "\n  - {name: sft, kind: sft, instances: 8, sequenceLength: 64, batchSize: 2, learningRate: 1e-3}" : "";
        return PipelineText.Parse($$"""
            apiVersion: deepseekops/v1
            name: x
            data: { {{data}}, heldout: 8 }
            model: mini
            stages:
              - {name: pretrain, kind: pretraining, tokens: 64Ki, sequenceLength: 128, batchSize: 4, learningRate: 1e-3{{own}}}
            """ + tune, folder.FullName, path => File.Exists(path) || Directory.Exists(path));
    }

    /// <summary>One shard with two documents, as `dsops data prepare` writes it.</summary>
    private static void MakeSet(string at)
    {
        Directory.CreateDirectory(at);
        byte[] body = [.. "a\0b\0c\0\0\0"u8, .. new long[] { 0, 1, 3 }.SelectMany(BitConverter.GetBytes)];
        var header = new ShardHeader(2, 0, 2, 3, 3, new byte[32], SHA256.HashData(body));
        File.WriteAllBytes(Path.Combine(at, PreparedSet.ShardName(0)), [.. header.ToBytes(), .. body]);
        byte[] table = new byte[ShardEntry.Bytes];
        new ShardEntry(0, 2, 3, 3, header.Sha256).Write(table);
        File.WriteAllBytes(Path.Combine(at, ShardTable.FileName), table);
        var manifest = new PreparedManifest(PreparedManifest.KindOfAll, PreparedManifest.CurrentFormat, "byte", "", 264, 2, 1, 2, 3, 3,
            PreparedManifest.DigestOf(table), [new PreparedSource("a.jsonl", 1, 0, 2, 3, 3, 1)]);
        File.WriteAllBytes(Path.Combine(at, PreparedManifest.FileName), manifest.ToBytes());
    }
}
