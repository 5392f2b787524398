using System.Collections.Immutable;
using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.ControlPlane.Api;
using DeepSeekOps.ControlPlane.Cli.Questions;
using DeepSeekOps.ControlPlane.Pipelines;
using DeepSeekOps.ControlPlane.Storage;
using DeepSeekOps.Decisions;
using Google.Protobuf.WellKnownTypes;
using Book = DeepSeekOps.Decisions.Incidents;

namespace DeepSeekOps.ControlPlane.Tests.Cli.Questions;

/// <summary>Nights of which all is known: what a question answers of them is right or wrong.</summary>
internal static class Night
{
    public static readonly DateTimeOffset Now = new(2026, 1, 2, 8, 0, 0, TimeSpan.Zero);

    /// <summary>
    /// Rank 3 on node-1 was killed in step 412 of mini's pretraining, by hand; it went on from step 400 and is past it. Of node-2 a fan is
    /// broken, step 380 was found damaged, and ann had the run submitted after bob's.
    /// </summary>
    public static Facts Broken => new(Now, TimeSpan.FromHours(24))
    {
        Site = "http://127.0.0.1:5080", Name = "mini", Run = Mini(), Checkpoints = Checkpoints, Cluster = Nodes, Events = Spiked,
        Incident = new IncidentReport { Incident = Incident, Evidence = Evidence, DollarsPerGpuHour = 2 },
        Incidents = new ListIncidentsReply { Incidents = { Incident }, DollarsPerGpuHour = 2 },
        Standing = [new RunSummary { Name = "old", State = "failed", Reason = "no checkpoint is left" }],
        Runs = new ListRunsReply
        {
            All = 2, States = { ["running"] = 1, ["failed"] = 1 },
            Runs = { new RunSummary { Name = "mini", State = "running", Reason = "step 430" }, new RunSummary { Name = "old",
                State = "failed" } },
        },
        Health = new Health(), Version = new GetVersionReply { Version = "0.1.0", Database = "SQLite", Cluster = "local" },
        Audit = [Line(3, "recovery", "system", "rank-exited", "launched again"), Line(2, "scheduler", "system", "placed", "on 2 nodes"),
            Line(1, "ann", "token ann", "submit-run", "")],
        Series = [SeriesOf("loss", 430, 0, 2.41), SeriesOf("step_seconds", 430, 0, 1.5)],
        Trace = new Trace
        {
            Ranks = 4, Slowest = 2, FirstStep = 420, StepSeconds = 2, Parts = new TraceParts { Compute = 1.5 },
            At = At(-10)
        },
        Alike =
        [
            new AlikeRun("base", Now.AddDays(-2), [new DifferentField("seed", ["1", "2"])]),
            new AlikeRun("later", Now, [new DifferentField("seed", ["3", "2"]), new DifferentField("team", ["x", "y"])]),
        ],
        PaceBefore = [.. Enumerable.Range(200, 5).Select(step => new Speed(step, 2_000))],
        PaceNow = [.. Enumerable.Range(426, 5).Select(step => new Speed(step, 1_000))],
    };

    /// <summary>Nothing has happened: a run that was submitted and has asked for nothing yet.</summary>
    public static Facts Quiet => new(Now, TimeSpan.FromHours(24))
    {
        Name = "new", Run = new Run
        {
            Name = "new", State = "queued", Reason = "begins stage pretrain",
            Stages = { new Stage { Name = "pretrain", State = "waiting" } }
        },
        Incident = new IncidentReport(), Incidents = new ListIncidentsReply(), Checkpoints = [], Events = [], Standing = [], Audit = [],
        Series = [],
        Cluster = new Cluster { Nodes = { NodeOf("node-0", "ready", 0) } }, Runs = new ListRunsReply(), Health = new Health(), Alike = [],
    };

    /// <summary>It waits for nodes that others hold.</summary>
    public static Facts Waiting
    {
        get
        {
            var wait = new Wait
            {
                Reasons = { new WaitReason { Text = "2 nodes are free and it asks for 4" }, new WaitReason { Text = "big goes first" } },
                Start = new StartEstimate { Earliest = At(30), Likely = At(42), Latest = At(60), Basis = "big ends then" },
                Ways = { new StartWay { Text = "uncordon node-2", Command = "dsops cluster uncordon node-2" } },
            };
            var stage = new Stage { Name = "pretrain", State = "queued", Wait = wait };
            var run = new Run { Name = "mini", State = "queued", Reason = "waits for nodes", Stages = { stage } };
            return Quiet with
            {
                Name = "mini",
                Run = run,
                Cluster = new Cluster
                {
                    Nodes = { NodeOf("node-0", "ready", 8, ("big", 8)), NodeOf("node-1", "ready", 8, ("big", 4), ("small", 2)) },
                    Waiting = { new WaitingGang { Run = "mini", Stage = "pretrain" } },
                },
            };
        }
    }

    public static Incident Incident
    {
        get
        {
            // Made as the control plane makes it, so that what the wire has of it is what an answer reads.
            var died = new DateTimeOffset(2026, 1, 2, 3, 0, 0, TimeSpan.Zero);
            var incident = new Book.Incident(new StageId("mini", "pretrain"), 1, Book.IncidentState.Closed, died,
                "Rank 3 was killed; it trains again.", 4, [])
            {
                HappenedAt = died,
                Diagnosis = new Book.Diagnosis(died, "rank exited", "rank 3 on node-1 ended by SIGKILL", "killed", "look for who did it",
                    "Killed", 3,
                    "node-1", 1, 412, [new Book.RefusedTheory("out of memory", "oom_kill did not rise")]),
                Decision = new Book.IncidentDecision(died, "rank 3 is launched again in place", "in place", 400,
                    [new Book.RefusedRemedy("another gang", "the node is well")]),
                Outcome = new Book.IncidentOutcome(died.AddSeconds(20), 401, 2.5, 2.5, 12, 0)
                {
                    BackAt = died.AddSeconds(60), GpuHours = 0.5, Proof = "12 steps were made twice, their losses equal to the last bit",
                },
            };
            return new GradedIncident(incident, null).ToProto();
        }
    }

    public static Evidence Evidence => new()
    {
        Attempt = 1,
        Ranks = { new RankEvidence { Rank = 3, Node = "node-1", Role = "first to fail", HowItEnded = "signal 9", Step = 412,
            Lines = { "step 411", "step 412" } } },
    };

    public static Timestamp At(double minutes) => Timestamp.FromDateTimeOffset(Now.AddMinutes(minutes));

    public static Event Told(string kind, string level, string text) =>
        new() { At = At(-30), Run = "mini", Stage = "pretrain", Kind = kind, Level = level, Text = text };

    private static ImmutableArray<Event> Spiked =>
    [
        Told("started", "info", "trains"), Told("loss-flagged", "info", "loss 9.1 at step 300 is 12 deviations above"),
        Told("loss-judged", "info", "it was a spike: the loss is back"),
    ];

    private static ImmutableArray<Checkpoint> Checkpoints =>
    [
        new() { Stage = "pretrain", Step = 380, State = "quarantined", Reason = "shard 1 has another digest", Path = "/c/380",
            At = At(-90) },
        new() { Stage = "pretrain", Step = 400, State = "good", Path = "/c/400", Bytes = 1_000, Loss = 2.5, Attempt = 1, At = At(-60) },
    ];

    private static Cluster Nodes => new()
    {
        Nodes =
        {
            NodeOf("node-0", "ready", 2, ("mini", 2)), NodeOf("node-1", "ready", 2, ("mini", 2)),
            new Node { Name = "node-2", State = "cordoned", Reason = "fan", Slots = 2, LemonScore = 2.5 },
        },
    };

    private static Run Mini()
    {
        var cost = new Cost
        {
            GpuTime = Hours(10), Goodput = 0.9, Dollars = 20, DollarsPerGpuHour = 2, LostGpuHoursByCause = { ["rank exited"] = 0.5 },
            Buckets =
            {
                new CostBucket { Name = "productive", Words = "productive", GpuTime = Hours(9) },
                new CostBucket { Name = "restart", Words = "restart", What = "from the notice to the next step", GpuTime = Hours(1) },
            },
        };
        var stage = new Stage
        {
            Name = "pretrain", Kind = "pretraining", State = "running", Attempt = 2, Step = 430, TotalSteps = 1_000, Loss = 2.41,
            Mfu = 0.381,
            TokensPerSecond = 1_000, StartedAt = At(-120), CheckpointStep = 400, VerifiedStep = 400, VerifiedAt = At(-3),
            VerifiedBy = "the agent on node-0", Cost = cost, RestartsByCause = { ["rank exited"] = 1 },
            Ranks = { Enumerable.Range(0, 4).Select(rank => new Rank { Rank_ = rank }) },
            Evaluations = { new Evaluation { Name = "heldout_loss_after", Value = 2.2, Low = 2.1, High = 2.3, Samples = 32, Step = 400 } },
        };
        return new Run
        {
            Name = "mini", Team = "alpha", State = "running", Reason = "stage pretrain trains", SubmittedAt = At(-130),
            Stages = { stage }, Cost = cost,
            Forecast = new RunForecast
            {
                Left = Duration.FromTimeSpan(TimeSpan.FromMinutes(54)), Low = Duration.FromTimeSpan(TimeSpan.FromMinutes(50)),
                High = Duration.FromTimeSpan(TimeSpan.FromMinutes(60)), Basis = "median of 32 steps",
            },
        };
    }

    private static Duration Hours(double hours) => Duration.FromTimeSpan(TimeSpan.FromHours(hours));

    private static Series SeriesOf(string name, long points, long broken, double last) =>
        new() { Stage = "pretrain", Name = name, Points = points, NotFinite = broken, Last = last };

    private static AuditLine Line(long number, string who, string by, string act, string why) =>
        new() { Number = number, At = At(-130), Who = who, By = by, Act = act, Why = why, Run = "mini", Target = "mini", Outcome = "done" };

    private static Node NodeOf(string name, string state, int used, params (string Run, int Slots)[] work) => new()
    {
        Name = name, State = state, Slots = 8, SlotsUsed = used,
        Work = { work.Select(one => new NodeWork { Run = one.Run, Stage = "pretrain", Slots = one.Slots }) },
    };
}
