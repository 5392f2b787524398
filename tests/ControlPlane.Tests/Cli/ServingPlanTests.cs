using System.Text.Json.Nodes;
using DeepSeekOps.ControlPlane.Cli;
using DeepSeekOps.ControlPlane.Client;
using Xunit;
using YamlDotNet.RepresentationModel;

namespace DeepSeekOps.ControlPlane.Tests.Cli;

public sealed class ServingPlanTests : IDisposable
{
    private readonly string folder = Directory.CreateTempSubdirectory("dsops-serving-").FullName;

    public void Dispose() => Directory.Delete(folder, recursive: true);

    [Fact]
    public async Task Manifests_are_yaml_that_carries_the_placement_for_as_many_pods_as_nodes()
    {
        string loads = Loads("loads.json", $"[[{string.Join(',', Enumerable.Range(1, 256))}]]");
        var (code, output, error) = await Run("plan", "--serving", loads, "--out", Path.Combine(folder, "out"), "--image",
            "registry.example/engine:1", "--json");
        Assert.True(code == ExitCode.Ok, error);
        foreach (var deployment in JsonNode.Parse(output)!["deployments"]!.AsArray())
        {
            Assert.True((double)deployment!["after"]! <= (double)deployment["before"]!);
            using var text = File.OpenText(Path.Combine(folder, "out", $"{deployment["unit"]!["name"]}.yaml"));
            var yaml = new YamlStream();
            yaml.Load(text);
            var (config, set) = (yaml.Documents[0].RootNode, yaml.Documents[2].RootNode);
            Assert.Equal($"{deployment["unit"]!["nodes"]}", ((YamlScalarNode)set["spec"]["replicas"]).Value);
            Assert.Equal("registry.example/engine:1", ((YamlScalarNode)set["spec"]["template"]["spec"]["containers"][0]["image"]).Value);
            var placement = JsonNode.Parse(((YamlScalarNode)config["data"]["placement.json"]).Value!)!;
            Assert.Equal(deployment["slotExperts"]!.ToJsonString(), placement["slotExperts"]!.ToJsonString());
        }
    }

    [Theory]
    [InlineData("{\"groups\": 3, \"loads\": [[1, 2]]}", "groups is 3; 2 experts do not divide into them")]
    [InlineData("[[1, 2], [1]]", "layer 1 has 1 experts and layer 0 has 2")]
    [InlineData("{\"load\": [[1]]}", "is not a list of loads per layer")]
    [InlineData("1,2\n3,x", "value 2 is 'x', not a number")]
    [InlineData("[]", "there is no layer")]
    public async Task Loads_that_make_no_sense_are_refused_with_the_place(string text, string says)
    {
        var (code, _, error) = await Run("plan", "--serving", Loads("loads", text));
        Assert.Equal(ExitCode.Failed, code);
        Assert.Contains(says, error, StringComparison.Ordinal);
        Assert.Contains("fix:", error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(ExitCode.Usage, "either a pipeline file or --serving", "plan")]
    [InlineData(ExitCode.Failed, "there is no such file", "plan", "--serving", "missing.json")]
    [InlineData(ExitCode.NotReachable, "No control plane runs", "plan", "--serving", "a-run", "--data-dir", "/nowhere")]
    public async Task What_is_missing_is_named(int expected, string says, params string[] args)
    {
        var (code, _, error) = await Run(args);
        Assert.Equal(expected, code);
        Assert.Contains(says, error, StringComparison.Ordinal);
    }

    private string Loads(string name, string text)
    {
        string path = Path.Combine(folder, name);
        File.WriteAllText(path, text);
        return path;
    }

    private static async Task<(int Code, string Output, string Error)> Run(params string[] args)
    {
        using var output = new StringWriter();
        using var error = new StringWriter();
        int code =
            await CommandLine.Run(args, new Terminal(output, error, 100, Colors: false, Interactive: false),
                TestContext.Current.CancellationToken);
        return (code, output.ToString(), error.ToString());
    }
}
