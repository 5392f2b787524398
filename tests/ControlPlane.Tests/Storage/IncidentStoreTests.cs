using System.Collections.Immutable;
using DeepSeekOps.ControlPlane.Storage;
using DeepSeekOps.Decisions;
using DeepSeekOps.Decisions.Incidents;
using Microsoft.Extensions.DependencyInjection;
using Xunit;

namespace DeepSeekOps.ControlPlane.Tests.Storage;

public sealed class IncidentStoreTests(PrivatePostgres postgres)
{
    private static readonly DateTimeOffset Began = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);
    private static readonly StageId Stage = new("a", "pretrain");

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public static TheoryData<DatabaseKind> Databases => [DatabaseKind.Sqlite, DatabaseKind.Postgres];

    /// <summary>JobSet #776 and #461: the evidence is of the first failure, and outlives what follows it.</summary>
    [Theory, MemberData(nameof(Databases))]
    public async Task Evidence_outlives_a_hundred_restarts_is_of_the_first_failure_and_is_bounded(DatabaseKind kind)
    {
        await using var database = await TestDatabase.Create(kind, postgres);
        var room = database.Room();
        await room.GetRequiredService<LogStore>().Append(Stage, 1, 3, "node-0", 1,
            [.. Enumerable.Range(1, 450).Select(i => new LogLine(Began.AddSeconds(i), $"line {i}", false))], Cancellation);
        var store = room.GetRequiredService<IncidentStore>();
        for (int attempt = 1; attempt <= Evidence.AttemptsKept + 1; attempt++)
        {
            await store.Keep(Of(attempt, "first"), Cancellation);
            if (attempt == 101)
            {
                var kept = (await store.EvidenceOf("a", "pretrain", 1, Cancellation))!.Ranks.Single();
                Assert.Equal([.. Enumerable.Range(252, 199).Select(i => $"line {i}"), "its agent's last word"], kept.Lines);
            }
        }

        await store.Keep(Of(50, "second"), Cancellation);
        Assert.Equal("first", (await database.Room().GetRequiredService<IncidentStore>().EvidenceOf("a", "pretrain", 50, Cancellation))!
            .Sentence);
        Assert.Null(await store.EvidenceOf("a", "pretrain", 1, Cancellation));
        Assert.NotNull(await store.EvidenceOf("a", "pretrain", 2, Cancellation));
    }

    [Theory, MemberData(nameof(Databases))]
    public async Task Incidents_of_nodes_are_kept_apart_from_those_of_runs_and_the_newest_word_of_each_counts(DatabaseKind kind)
    {
        await using var database = await TestDatabase.Create(kind, postgres);
        var store = database.Room().GetRequiredService<IncidentStore>();
        var first = new NodeIncident(new NodeId("node-1"), 1, IncidentState.Acting, Began, NodeIncident.NotReady, "out", []);
        var closed = first with { State = IncidentState.Closed, Sentence = "back", EndedAt = Began.AddHours(1) };
        var other = first with { Node = new NodeId("node-2"), OpenedAt = Began.AddHours(2) };
        foreach (var incident in (NodeIncident[])[first, other, closed])
        {
            await store.Record(incident, Cancellation);
        }

        Assert.Equal(["node-2 out", "node-1 back"], (await store.NewestOfNodes(null, null, 9, Cancellation)).Select(Said));
        Assert.Equal(["node-1 back"], (await store.NewestOfNodes("node-1", null, 9, Cancellation)).Select(Said));
        Assert.Equal(["node-2 out"], (await store.NewestOfNodes(null, Began.AddDays(1), 9, Cancellation)).Select(Said));
        Assert.Empty(await store.Newest(null, null, 9, Cancellation));
        Assert.Empty(await store.Open(Cancellation));

        static string Said(NodeIncident incident) => $"{incident.Node} {incident.Sentence}";
    }

    [Theory, MemberData(nameof(Databases))]
    public async Task A_log_that_is_damaged_is_told_as_that_and_holds_up_no_evidence(DatabaseKind kind)
    {
        await using var database = await TestDatabase.Create(kind, postgres);
        var room = database.Room();
        var logs = room.GetRequiredService<LogStore>();
        await logs.Append(Stage, 1, 3, "node-0", 1,
            [new LogLine(Began, "line 1", false), new LogLine(Began, "line 2", false)], Cancellation);
        await using (var connections = new OpsConnections(database.Database))
        await using (var connection = await connections.Open(Cancellation))
        await using (var damage = connection.CreateCommand())
        {
            damage.CommandText = "UPDATE log_chunk SET body = substr(body, 3, 9)";
            await damage.ExecuteNonQueryAsync(Cancellation);
        }

        await logs.Append(Stage, 1, 3, "node-0", 3, [new LogLine(Began, "line 3", false)], Cancellation);
        const string Damaged = "(2 lines that were kept here are damaged in the database and cannot be read)";
        Assert.Equal([Damaged, "line 3"], (await room.GetRequiredService<LogQueries>().Tail(
            new LogQuery("a", null, 0, null, 100, ""), Cancellation)).Select(l => l.Line.Text));
        var store = room.GetRequiredService<IncidentStore>();
        await store.Keep(Of(1, "first"), Cancellation);
        Assert.Equal([Damaged, "line 3", "line 450", "its agent's last word"],
            (await store.EvidenceOf("a", "pretrain", 1, Cancellation))!.Ranks.Single().Lines);
    }

    [Theory, MemberData(nameof(Databases))]
    public async Task An_incident_is_kept_as_it_was_last_written_and_the_newest_comes_first(DatabaseKind kind)
    {
        await using var database = await TestDatabase.Create(kind, postgres);
        var store = database.Room().GetRequiredService<IncidentStore>();
        var first = IncidentMachine.Suspect(Stage, 1, 4, "no step for 11 s", "node-0", Began);
        await store.Record(first, Cancellation);
        await store.Record(IncidentMachine.HeardAgain(first, Began.AddSeconds(3)), Cancellation);
        await store.Record(IncidentMachine.Suspect(Stage, 2, 4, "no step for 12 s", "node-0", Began.AddMinutes(1)), Cancellation);
        await store.Record(IncidentMachine.Suspect(new StageId("b", "sft"), 1, 4, "no step for 13 s", "node-0", Began.AddMinutes(2)),
            Cancellation);
        Assert.Equal([("b", 1), ("a", 2), ("a", 1)],
            (await store.Newest(null, null, 10, Cancellation)).Select(i => (i.Incident.Stage.Run, i.Incident.Number)));
        Assert.Equal([(2, IncidentState.Suspected), (1, IncidentState.Closed)],
            (await store.Newest("a", null, 10, Cancellation)).Select(i => (i.Incident.Number, i.Incident.State)));
        // Since a moment: those that were opened then, and what is open still.
        Assert.Equal([("b", 1), ("a", 2)], (await store.Newest(null, Began.AddMinutes(3), 10, Cancellation))
            .Select(i => (i.Incident.Stage.Run, i.Incident.Number)));
        Assert.Equal(2, (await store.Read("a", null, null, Cancellation))!.Incident.Number);
        Assert.Equal(1, (await store.Read("a", "pretrain", 1, Cancellation))!.Incident.Number);
        Assert.Null(await store.Read("a", "sft", null, Cancellation));
    }

    [Theory, MemberData(nameof(Databases))]
    public async Task A_grade_stays_when_the_incident_moves_and_the_last_one_counts_in_the_mean(DatabaseKind kind)
    {
        await using var database = await TestDatabase.Create(kind, postgres);
        var store = database.Room().GetRequiredService<IncidentStore>();
        var first = IncidentMachine.Suspect(Stage, 1, 4, "no step for 11 s", "", Began);
        await store.Record(first, Cancellation);
        Assert.Equal(new MeanGrade(null, 0), await store.GradedSince(Began, Cancellation));
        await store.Grade(first, 35, Began.AddHours(1), Cancellation);
        await store.Grade(first, 65, Began.AddHours(2), Cancellation);
        await store.Record(IncidentMachine.HeardAgain(first, Began.AddSeconds(3)), Cancellation);
        var second = IncidentMachine.Suspect(Stage, 2, 4, "no step for 12 s", "", Began);
        await store.Record(second, Cancellation);
        await store.Grade(second, 100, Began.AddHours(2), Cancellation);
        var kept = (await store.Read("a", "pretrain", 1, Cancellation))!;
        Assert.Equal((65, IncidentState.Closed), (kept.Grade, kept.Incident.State));
        Assert.Equal(new MeanGrade(82.5, 2), await store.GradedSince(Began, Cancellation));
        Assert.Equal(new MeanGrade(null, 0), await store.GradedSince(Began.AddDays(1), Cancellation));
    }

    private static Evidence Of(int attempt, string sentence) => new(Stage, 1, attempt, Began, sentence,
        [new RankEvidence(3, "node-0", "first to fail", "exited", 7, 12, "", "exited with code 1", "exception", "", "",
            attempt == 1 ? ["line 450", "its agent's last word"] : [])], [], null, null);
}
