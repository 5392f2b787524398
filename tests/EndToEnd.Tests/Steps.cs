using System.Globalization;
using System.Text.Json.Nodes;
using Xunit;

namespace DeepSeekOps.EndToEnd.Tests;

/// <summary>What tests of gangs ask of a control plane again and again.</summary>
internal static class Steps
{
    public static Task<JsonNode> AtStep(this Dsops dsops, string run, long step, int ranks) =>
        dsops.UntilStage(run, "pretrain", $"is at step {step.ToString(CultureInfo.InvariantCulture)} with {ranks} ranks",
            Eventually.Patience, s => (long)s["step"]! >= step && (string)s["state"]! == "running" && s["ranks"]!.AsArray().Count == ranks
                && s["ranks"]!.AsArray().All(r => (string)r!["state"]! == "training"));

    /// <summary>The verb ends with 0.</summary>
    public static async Task Did(this Dsops dsops, params string[] verb)
    {
        var (code, _, error) = await dsops.Verb(verb);
        Assert.True(code == 0, error);
    }
}
