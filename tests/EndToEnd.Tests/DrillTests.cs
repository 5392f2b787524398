using System.Globalization;
using System.Text.Json.Nodes;
using DeepSeekOps.ControlPlane.Client;
using Xunit;

namespace DeepSeekOps.EndToEnd.Tests;

/// <summary>Faults for real on a local gang, and what the incident record says of each. `Benchmarks drills` plays the whole list.</summary>
public sealed class DrillTests
{
    private const int Within = 300;

    [Fact]
    public async Task Cheap_faults_are_named_rightly_and_verified()
    {
        await using var dsops = await Dsops.Start("--drills", "--nodes", "2", "--ranks-per-node", "2");
        // A second number that breaks soon after the first ends a stage, as it should.
        await dsops.Submit(TinyPipeline.Gang("shaken", steps: 100_000)
            .Replace("\nstages:", "\nrecovery: {breakForgottenAfter: 1}\nstages:", StringComparison.Ordinal));
        foreach (var (fault, seed) in new[] { ("kill-rank", 1), ("kill-rank", 2), ("nan", 1) })
        {
            var card = await Drill(dsops, fault, seed);
            Assert.True((int)card["grade"]! == 100 && (bool)card["verified"]!, card.ToJsonString());
        }
    }

    [Fact]
    public async Task A_checkpoint_that_is_damaged_when_it_is_needed_is_named_with_its_file_and_an_older_one_is_gone_on_from()
    {
        await using var dsops = await Dsops.Start("--drills");
        await dsops.Submit(TinyPipeline.Pretraining("shaken", steps: 100_000));
        var card = await Drill(dsops, "corrupt-checkpoint", seed: 1);
        Assert.True((int)card["grade"]! == 100 && (bool)card["verified"]!, card.ToJsonString());
        Assert.True((long)card["stepsLost"]! > 0, card.ToJsonString());
    }

    /// <summary>Tried again as long as the stage is not yet at a point where the fault could be told from what happens anyway.</summary>
    private static Task<JsonNode> Drill(Dsops dsops, string fault, int seed) =>
        Eventually.Get($"{fault} is injected", Eventually.Patience, async () =>
        {
            var (code, output, error) = await dsops.Verb("drill", "shaken", "--fault", fault, "--seed",
                seed.ToString(CultureInfo.InvariantCulture), "--within", Within.ToString(CultureInfo.InvariantCulture), "--json");
            return output.Length > 0 ? JsonNode.Parse(output)
                : error.Contains("Wait ", StringComparison.Ordinal) || code == ExitCode.NotReachable ? null
                : throw new InvalidOperationException($"drill {fault} ended with {code}: {error}");
        }, () => dsops.Evidence);
}
