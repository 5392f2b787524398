using System.Text.Json.Nodes;
using Xunit;

namespace DeepSeekOps.EndToEnd.Tests;

public sealed class DoctorTests(Shared shared)
{
    /// <summary>It warned of its own folder and of the usual port, as if another one were in the way.</summary>
    [Fact]
    public async Task Beside_a_control_plane_that_runs_it_says_so_and_looks_at_that_one()
    {
        var dsops = await shared.Idle;
        var (_, output, error) = await dsops.Verb("doctor", "--cluster", "simulated", "--json");
        Assert.Equal("", error);
        var checks = JsonNode.Parse(output)!["checks"]!.AsArray();
        JsonNode Of(string check) => checks.Single(c => (string?)c!["check"] == check)!;
        Assert.Equal(("ok", $"the control plane of this folder runs (pid {dsops.Pid}) and is ready; what follows is looked at beside it"),
            ((string?)Of("data.holder")["level"], (string?)Of("data.holder")["found"]));
        Assert.Equal(("ok", $"port {new Uri(dsops.Http).Port} is that of the control plane that has the folder"),
            ((string?)Of("port.http")["level"], (string?)Of("port.http")["found"]));
        string[] own = ["data.holder", "data.control-file", "port.http", "database.connect", "database.schema", "database.binding"];
        Assert.All(own, check => Assert.Equal("ok", (string?)Of(check)["level"]));
    }
}
