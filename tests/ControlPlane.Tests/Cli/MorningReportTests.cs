using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.ControlPlane.Cli.Verbs;
using DeepSeekOps.ControlPlane.Client;
using Google.Protobuf.WellKnownTypes;
using Xunit;

namespace DeepSeekOps.ControlPlane.Tests.Cli;

public sealed class MorningReportTests
{
    private static readonly DateTimeOffset Now = new(2026, 1, 2, 8, 0, 0, TimeSpan.Zero);

    [Fact]
    public void The_report_begins_with_what_needs_a_person_and_counts_what_was_mended_by_cause()
    {
        var reply = new ListIncidentsReply
        {
            Incidents = { Of("a", 4, "closed"), Of("a", 3, "closed"), Of("b", 1, "needs-human"), Of("done", 1, "needs-human") },
            DollarsPerGpuHour = 2,
        };
        string[] lines = Written(reply);
        Assert.Equal("The last 1 d: 1 incident needs a person, 0 are on the way, 2 were fixed and verified; "
            + "2.00 GPU-hours ($4.00).", lines[0]);
        Assert.StartsWith("NEEDS A PERSON: b/pretrain/1, ", lines[1], StringComparison.Ordinal);
        Assert.Equal("    see: dsops why b --incident 1", lines[2]);
        Assert.Equal("fixed: rank exited, 2 times, 1.00 GPU-hours", lines[3]);
        Assert.Equal("The last 1 d: 0 incidents need a person, 0 are on the way, 0 were fixed and verified; 0 GPU-hours (price not set).",
            Written(new ListIncidentsReply())[0]);
    }

    [Fact]
    public void A_node_that_is_out_is_told_after_what_needs_a_person_and_as_nobody_s_task()
    {
        string[] lines = Written(new ListIncidentsReply
        {
            Incidents = { Of("b", 1, "needs-human") },
            Nodes =
            {
                new NodeIncident { Node = "node-3", State = "acting", Sentence = "node-3 is not ready" },
                new NodeIncident { Node = "node-4", State = "closed", Sentence = "node-4 was out" },
            },
        });
        Assert.Equal(["NODE OUT, NOBODY NEEDED: node-3 is not ready", "1 node was out and came back."], lines[3..5]);
    }

    [Theory]
    [InlineData("24h", 24 * 60)]
    [InlineData("90m", 90)]
    [InlineData("7d", 7 * 24 * 60)]
    [InlineData("h", null)]
    [InlineData("-1h", null)]
    [InlineData("1w", null)]
    [InlineData("99999999999h", null)]
    [InlineData("5270400m", 3660 * 24 * 60)]
    [InlineData("2147483647m", null)]
    [InlineData("2147483647s", null)]
    public void A_time_is_a_number_with_its_unit(string text, int? minutes) =>
        Assert.Equal(minutes, IncidentsVerb.ReadSpan(text)?.TotalMinutes);

    [Theory]
    [InlineData("mini")]
    [InlineData("mini/pretrain")]
    [InlineData("mini/pretrain/0")]
    [InlineData("mini//1")]
    [InlineData("mini/pretrain/1/2")]
    public void What_names_no_incident_is_refused_with_the_form(string id) =>
        Assert.Contains("RUN/STAGE/NUMBER", Assert.Throws<RefusalException>(() => IncidentsVerb.RequestOf(id, 65)).Fix,
            StringComparison.Ordinal);

    private static string[] Written(ListIncidentsReply reply)
    {
        var text = new StringWriter { NewLine = "\n" };
        var over = new HashSet<string> { "done" };
        MorningReport.Write(new Terminal(text, text, 200, false, false), reply, over, TimeSpan.FromHours(24), Now);
        return text.ToString().Split('\n');
    }

    private static Incident Of(string run, int number, string state) => new()
    {
        Run = run, Stage = "pretrain", Number = number, State = state, Sentence = $"Rank {number} exited.",
        OpenedAt = Timestamp.FromDateTimeOffset(Now.AddHours(-2)), Diagnosis = new Diagnosis { Cause = "rank exited" },
        Outcome = new IncidentOutcome { GpuHours = 0.5 },
    };
}
