using System.Text.Json;
using DeepSeekOps.Worker.Cli;
using Xunit;

namespace DeepSeekOps.Worker.Tests.Model;

public class ReferenceCheckTests
{
    [Theory]
    [InlineData("v3-tiny")]
    [InlineData("v3-tiny-yarn")]
    [InlineData("v2-tiny")]
    public void The_model_computes_what_transformers_computes(string name)
    {
        var folder = Fixture(name);
        var output = new StringWriter();
        var code = ModelVerbs.Run(["check", folder, "--json"], output, TextWriter.Null);
        Assert.True(code == 0, output.ToString());
        Assert.True(JsonDocument.Parse(output.ToString()).RootElement.GetProperty("passed").GetBoolean());
    }

    [Fact]
    public void A_wrong_expectation_fails_the_check()
    {
        var copy = Directory.CreateTempSubdirectory("dsops-check-").FullName;
        try
        {
            foreach (var file in Directory.GetFiles(Fixture("v3-tiny")))
            {
                File.Copy(file, Path.Combine(copy, Path.GetFileName(file)));
            }

            var config = Path.Combine(copy, "config.json");
            var text = File.ReadAllText(config).Replace("\"routed_scaling_factor\": 2.5", "\"routed_scaling_factor\": 2.4", StringComparison.Ordinal);
            File.Delete(config);
            File.WriteAllText(config, text);
            Assert.Equal(1, ModelVerbs.Run(["check", copy], TextWriter.Null, TextWriter.Null));
        }
        finally
        {
            Directory.Delete(copy, recursive: true);
        }
    }

    [Fact]
    public void A_missing_folder_and_a_wrong_verb_are_told_apart()
    {
        var errors = new StringWriter();
        Assert.Equal(1, ModelVerbs.Run(["check", "/nowhere/at/all"], TextWriter.Null, errors));
        Assert.Contains("/nowhere/at/all", errors.ToString(), StringComparison.Ordinal);
        Assert.Equal(2, ModelVerbs.Run(["chek"], TextWriter.Null, TextWriter.Null));
    }

    [Fact]
    public void Params_counts_a_preset()
    {
        var output = new StringWriter();
        Assert.Equal(0, ModelVerbs.Run(["params", "v3", "--json"], output, TextWriter.Null));
        Assert.Equal(671_026_419_200, JsonDocument.Parse(output.ToString()).RootElement.GetProperty("total").GetInt64());
        Assert.Equal(1, ModelVerbs.Run(["params", "v9"], TextWriter.Null, TextWriter.Null));
    }

    /// <summary>DSOPS_SHARED, else the folder `shared` beside the repository.</summary>
    private static string Fixture(string name)
    {
        var shared = Environment.GetEnvironmentVariable("DSOPS_SHARED");
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); shared is null && folder is not null; folder = folder.Parent)
        {
            var beside = Path.Combine(folder.FullName, "shared");
            shared = Directory.Exists(Path.Combine(beside, "data", "hf-deepseek")) ? beside : null;
        }

        Assert.SkipWhen(shared is null, "no fixtures: set DSOPS_SHARED to the folder that holds data/hf-deepseek");
        return Path.Combine(shared!, "data", "hf-deepseek", name);
    }
}
