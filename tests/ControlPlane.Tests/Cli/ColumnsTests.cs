using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.ControlPlane.Cli;
using DeepSeekOps.ControlPlane.Cli.Verbs;
using DeepSeekOps.ControlPlane.Client;
using Xunit;

namespace DeepSeekOps.ControlPlane.Tests.Cli;

public sealed class ColumnsTests
{
    [Theory]
    [InlineData(40)]
    [InlineData(80)]
    [InlineData(25)]
    public void No_line_of_a_table_is_wider_than_the_terminal(int width) =>
        Assert.All(Written(width).Split('\n'), line => Assert.InRange(line.Length, 0, width));

    [Fact]
    public void At_40_columns_the_name_and_state_remain() =>
        Assert.StartsWith("RUN   STATE", Written(40), StringComparison.Ordinal);

    [Fact]
    public void Escape_sequences_of_a_hostile_name_do_not_reach_the_terminal() =>
        Assert.DoesNotContain('\x1b', Columns.Clean("mini\x1b[2J\r\n\x7f"));

    [Fact]
    public void A_reason_of_seventeen_lines_takes_three_in_a_table_and_says_that_it_goes_on()
    {
        string written = Written(80, why: string.Join(' ', Enumerable.Repeat("the same fault ended three launches", 20)));
        string[] rows = written.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.InRange(rows.Length, 4, 8);
        Assert.Contains(rows, row => row.EndsWith('…'));
    }

    [Fact]
    public void A_pipe_gets_the_whole_sentence()
    {
        string why = string.Join(' ', Enumerable.Repeat("the same fault ended three launches", 20));
        Assert.Contains(why, Written(4_000, why), StringComparison.Ordinal);
    }

    private static string Written(int width) => Written(width, "data file /data/sft.jsonl is missing on node-0");

    private static string Written(int width, string why)
    {
        using var output = new StringWriter { NewLine = "\n" };
        var terminal = new Terminal(output, TextWriter.Null, width, Colors: false, Interactive: false);
        var mini = new RunSummary
        {
            Name = "mini",
            State = "running",
            Team = "research",
            Reason = "stage pretrain is running: trains at step 120 of 305",
        };
        mini.Stages.Add(new StageSummary { Name = "pretrain", State = "running", Step = 120, TotalSteps = 305, Loss = 2.312 });
        var big = new RunSummary { Name = "big", State = "failed", Team = "research", Reason = why };
        big.Stages.Add(new StageSummary { Name = "sft", State = "failed", Step = 7, TotalSteps = 250 });
        RunsVerb.Write(terminal, [mini, big]);
        return output.ToString();
    }
}
