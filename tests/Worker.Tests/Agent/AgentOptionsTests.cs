using DeepSeekOps.Worker.Agent;
using Xunit;

namespace DeepSeekOps.Worker.Tests.Agent;

public sealed class AgentOptionsTests
{
    [Theory]
    [InlineData("--gang")]
    [InlineData("--attempt")]
    public void The_gang_is_read_by_its_name_and_by_its_earlier_one(string name)
    {
        var (options, problems) = AgentOptions.Parse(
            ["--node", "node-0", "--run", "r", "--stage", "s", name, "3", "--pod-dir", "pod", "--control", "http://127.0.0.1:1"]);
        Assert.Empty(problems);
        Assert.Equal(3, options!.Attempt);
    }

    [Fact]
    public void A_gang_that_is_missing_is_named()
    {
        var (options, problems) =
            AgentOptions.Parse(["--node", "n", "--run", "r", "--stage", "s", "--pod-dir", "p", "--control", "http://a"]);
        Assert.Null(options);
        Assert.Equal(["--gang is missing."], problems);
    }
}
