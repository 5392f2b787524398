using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using DeepSeekOps.Worker.Cli;
using DeepSeekOps.Worker.Model;
using DeepSeekOps.Worker.Parallel;
using DeepSeekOps.Worker.Tests.Parallel;
using DeepSeekOps.Worker.Training.Learning;
using TorchSharp;
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

    /// <summary>
    /// Every weight, row and layer where its rank has it: ranks that are threads of this process and talk over sockets, with the very code
    /// that a rank process runs.
    /// </summary>
    [Theory]
    [InlineData("v3-gang", "dp=2,ep=2,pp=2")]
    [InlineData("v3-tiny-yarn", "ep=2,pp=2")]
    [InlineData("v3-gang", "dp=2,pp=2,schedule=dualpipev")]
    [InlineData("v3-gang", "ep=4,nodes=2")]
    [InlineData("v3-gang", "ep=4,pp=2,nodes=4,schedule=dualpipe")]
    [InlineData("v3-tiny-yarn", "cp=2")]
    public void A_gang_computes_what_transformers_computes(string name, string text)
    {
        var (folder, layout) = (Fixture(name), GangLayout.Parse(text));
        GangCheck.Require(folder, layout);
        var parts = SocketRanks.Run(layout, (rank, mesh) =>
        {
            using var check = new GangCheck(folder, new RankContext(rank, layout, torch.CPU, Threads: 1), mesh);
            return check.Run();
        });
        var deviations = ReferenceGang.Deviations(parts, ReferenceNumbers.ReadExpected(folder), folder);
        Assert.True(deviations.Passed, deviations.ToString());
    }

    /// <summary>
    /// The verb, whose ranks are processes: each pays for a start and for libtorch, so they are few. `dsops-worker model check FOLDER
    /// --parallel LAYOUT` checks any other layout so.
    /// </summary>
    [Theory]
    [InlineData("v3-tiny-yarn", "ep=2,pp=2")]
    [InlineData("v2-tiny", "ep=2")]
    public void Rank_processes_compute_what_transformers_computes(string name, string layout)
    {
        var (output, errors) = (new StringWriter(), new StringWriter());
        var code = ModelVerbs.Run(["check", Fixture(name), "--parallel", layout, "--json"], output, errors);
        Assert.True(code == 0, $"{output}{errors}");
        Assert.True(JsonDocument.Parse(output.ToString()).RootElement.GetProperty("passed").GetBoolean());
    }

    [Fact]
    public void A_wrong_expectation_fails_a_gangs_check_too()
    {
        using var copy = new FixtureCopy(Fixture("v3-tiny"));
        copy.Change("config.json", "\"routed_scaling_factor\": 2.5", "\"routed_scaling_factor\": 2.4");
        Assert.Equal(1, ModelVerbs.Run(["check", copy.Path, "--parallel", "dp=2"], TextWriter.Null, TextWriter.Null));
    }

    [Theory]
    [InlineData("dp=3", "16 sequences cannot be dealt evenly to the 3 ranks")]
    [InlineData("ep=3", "16 routed experts cannot be dealt evenly to 3 ranks")]
    [InlineData("pp=9", "8 layers cannot be cut among 9 ranks")]
    [InlineData("pp=3,schedule=dualpipe", "cannot have 3 ranks. Write an even number, or another schedule.")]
    [InlineData("pp=5,schedule=dualpipev", "8 layers cannot be cut among 5 ranks of two pieces each")]
    [InlineData("dp=8,pp=2,schedule=dualpipev", "at least 4 micro-batches a step, and there are 2. They are the 16 sequences")]
    [InlineData("pp=2,schedule=zbv", "There is no schedule \"zbv\": write one of 1f1b, zb1p, dualpipe, dualpipev.")]
    [InlineData("schedule=zb1p,schedule=zb1p", "each once at most")]
    [InlineData("dp=65", "at most 64")]
    [InlineData("ep=4,nodes=3", "nodes=3 does not divide the 4 ranks (dp × ep × pp × cp): write a divisor of 4.")]
    [InlineData("cp=32", "A sequence of 32 tokens is too short to be shared by 32 ranks")]
    [InlineData("dp=3,ep=4,nodes=2", "nodes=2 puts 6 ranks on a node, which cuts the 4 ranks that share experts (ep) unevenly")]
    [InlineData("ep=4,nodes=0", "from 1 to")]
    [InlineData("tp=2", "write dp=N,ep=N,pp=N,cp=N,nodes=N")]
    [InlineData("dp=2,dp=2", "each once at most")]
    [InlineData("dp=0", "from 1 to")]
    [InlineData("", "for example dp=2,ep=2,pp=2")]
    public void A_layout_that_does_not_fit_is_one_clear_error(string layout, string expected)
    {
        var errors = new StringWriter();
        Assert.Equal(1, ModelVerbs.Run(["check", Fixture("v3-gang"), "--parallel", layout], TextWriter.Null, errors));
        Assert.Contains(expected, errors.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public void A_wrong_expectation_fails_the_check()
    {
        using var copy = new FixtureCopy(Fixture("v3-tiny"));
        copy.Change("config.json", "\"routed_scaling_factor\": 2.5", "\"routed_scaling_factor\": 2.4");
        Assert.Equal(1, ModelVerbs.Run(["check", copy.Path], TextWriter.Null, TextWriter.Null));
    }

    [Theory]
    [InlineData("config.json", "\"hidden_size\": 64", "\"hidden_size\": 64.5", "hidden_size is 64.5")]
    [InlineData("config.json", "\"hidden_size\": 64", "\"hidden_size\": 1e12", "hidden_size is 1000000000000")]
    [InlineData("config.json", "\"vocab_size\": 256", "\"vocab_size\": 8", "the model needs [8, 64]")]
    [InlineData("config.json", "\"hidden_size\": 64", "\"hidden_size\": 72", "[")]
    [InlineData("expected.json", "\"betas\": [", "\"betas\": [0.1,", "betas")]
    [InlineData("batches.safetensors", null, null, "batches.safetensors is missing")]
    [InlineData("expected.safetensors", "logits", "logit2", "logits")]
    public void What_does_not_fit_is_one_clear_error_in_json_too(string file, string? written, string? changed, string expected)
    {
        using var copy = new FixtureCopy(Fixture("v3-tiny"));
        copy.Change(file, written, changed);
        var errors = new StringWriter();
        Assert.Equal(1, ModelVerbs.Run(["check", copy.Path, "--json"], TextWriter.Null, errors));
        var message = JsonDocument.Parse(errors.ToString()).RootElement.GetProperty("error").GetProperty("message").GetString();
        Assert.Contains(expected, message, StringComparison.Ordinal);
    }

    [Fact]
    public void Sequences_beyond_what_config_calls_the_context_are_computed_as_transformers_does()
    {
        using var copy = new FixtureCopy(Fixture("v3-tiny"));
        var config = JsonNode.Parse(File.ReadAllText(System.IO.Path.Combine(copy.Path, "config.json")))!;
        config["max_position_embeddings"] = 4;
        File.WriteAllText(System.IO.Path.Combine(copy.Path, "config.json"), config.ToJsonString());
        Assert.Equal(0, ModelVerbs.Run(["check", copy.Path], TextWriter.Null, TextWriter.Null));
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
    internal static string Fixture(string name)
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

    /// <summary>A fixture that may be spoiled.</summary>
    private sealed class FixtureCopy : IDisposable
    {
        private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("dsops-check-");

        public FixtureCopy(string fixture)
        {
            foreach (var file in Directory.GetFiles(fixture))
            {
                // Read and written, not copied: a fixture may be write-protected.
                File.WriteAllBytes(System.IO.Path.Combine(Path, System.IO.Path.GetFileName(file)), File.ReadAllBytes(file));
            }
        }

        public string Path => _folder.FullName;

        /// <summary>Every occurrence of a text in a file, byte for byte; no text: the file goes.</summary>
        public void Change(string file, string? written, string? changed)
        {
            var path = System.IO.Path.Combine(Path, file);
            if (written is null)
            {
                File.Delete(path);
                return;
            }

            var text = File.ReadAllText(path, Encoding.Latin1);
            Assert.Contains(written, text, StringComparison.Ordinal);
            File.WriteAllText(path, text.Replace(written, changed, StringComparison.Ordinal), Encoding.Latin1);
        }

        public void Dispose() => _folder.Delete(recursive: true);
    }
}
