using DeepSeekOps.Contracts.Worker.V1;
using DeepSeekOps.Worker.Agent;
using Xunit;

namespace DeepSeekOps.Worker.Tests.Agent;

public sealed class ReportLimitsTests
{
    [Theory]
    [InlineData(double.NaN, 0)]
    [InlineData(double.PositiveInfinity, 0)]
    [InlineData(-1, 0)]
    [InlineData(0.25, 0.25)]
    public void A_time_that_is_none_does_not_keep_the_beat_from_being_taken(double told, double taken)
    {
        var report = new RankReport { Sample = new StepSample { StepSeconds = told, Loss = double.NaN } };
        ReportLimits.Fit(report);
        Assert.Equal(taken, report.Sample.StepSeconds);
        Assert.True(double.IsNaN(report.Sample.Loss));
    }

    [Fact]
    public void What_is_too_much_loses_its_end()
    {
        var note = new RankReport { Note = new WorkerNote { Text = new string('x', 100_000) } };
        ReportLimits.Fit(note);
        Assert.Equal(4_096, note.Note.Text.Length);
        var sample = new RankReport { Sample = new StepSample() };
        for (int i = 0; i < 200; i++)
        {
            sample.Sample.Extra[$"a\n{i}"] = i;
        }
        ReportLimits.Fit(sample);
        Assert.Equal(100, sample.Sample.Extra.Count);
        Assert.DoesNotContain(sample.Sample.Extra.Keys, name => name.Any(char.IsControl));
    }

    [Fact]
    public void A_line_of_the_agents_log_cannot_be_forged_by_what_a_rank_said()
    {
        string[] lines = LogText.Escaped("rank ended: \x1b[31m\n2026-01-01T00:00:00.000Z forged").Split('\n');
        Assert.Equal(["rank ended: \\u001b[31m", "    | 2026-01-01T00:00:00.000Z forged"], lines);
    }
}
