using DeepSeekOps.Contracts.Worker.V1;
using Google.Protobuf.WellKnownTypes;

namespace DeepSeekOps.Benchmarks;

/// <summary>
/// What one scripted agent says of its ranks. Of the steps the first node's agent tells; what a rank prints is told by the agent of its
/// node, and so is its share of a checkpoint that it was asked to read again.
/// </summary>
internal sealed class Agent(string node, string id, int pid, AttemptRef attempt)
{
    /// <summary>Steps from one checkpoint to the next.</summary>
    public const int SaveEvery = 30;

    /// <summary>Steps from one printed line of a node's first rank to the next. Ranks of ours print three lines in a launch.</summary>
    private const int PrintEvery = 10;

    private const int FirstPort = 20_000;
    private const long BytesOfCheckpoint = 9_000_000_000_000;

    private readonly List<(long Beat, StepSample Sample)> samples = [];
    private readonly List<(long Beat, CheckpointReport Made)> checkpoints = [];
    private readonly List<(long Beat, CheckpointRead Read)> reads = [];
    private readonly Dictionary<int, (long First, List<LogLine> Lines)> printed = [];
    private readonly HashSet<long> read = [];
    private long sequence, trained, printedTo;
    private int launched;

    public string Node => node;

    public Order.KindOneofCase Order { get; set; }

    public int[] Ranks { get; private set; } = [];

    /// <summary>They have met the others of their gang.</summary>
    public bool Trains { get; private set; }

    /// <summary>Steps and checkpoints that nobody has said to be durable.</summary>
    public int Untold => samples.Count + checkpoints.Count;

    /// <summary>What its first rank printed: lines that are stored, and those that wait.</summary>
    public (int Rank, long Stored, int Waiting) Printed =>
        Ranks.Length > 0 && printed.TryGetValue(Ranks[0], out var lines) ? (Ranks[0], lines.First, lines.Lines.Count) : default;

    public RegisterRequest Register(int protocol, TimeSpan away) => new()
    {
        Protocol = protocol, Version = "scripted", Node = node, AgentId = id, Pid = pid, Attempt = attempt,
        Ranks = { Statuses(trained) }, WithoutContact = sequence == 0 ? null : away.ToDuration(),
    };

    /// <summary>All that is not durable is said again with each beat.</summary>
    public HeartbeatRequest Beat(long step)
    {
        sequence++;
        TrainTo(step);
        return new HeartbeatRequest
        {
            Node = node, AgentId = id, Attempt = attempt, Sequence = sequence, PeerHost = "127.0.0.1", Ranks = { Statuses(step) },
            Samples = { samples.Select(s => s.Sample) }, Checkpoints = { checkpoints.Select(c => c.Made) },
            Reads = { reads.Select(r => r.Read) }, Untold = Untold + reads.Count,
        };
    }

    public void Launch(Assignment assignment)
    {
        attempt = assignment.Attempt;
        launched = attempt.Attempt;
        Ranks = [.. assignment.Ranks.Where(r => r.Node == node).Select(r => r.Rank)];
        Array.ForEach(Ranks, rank => Print(rank, $"{attempt.Stage}: model and data ready after 12.34 s"));
    }

    public void Meet()
    {
        Trains = true;
        Array.ForEach(Ranks, rank => Print(rank, "Between ranks tensors go by sockets."));
    }

    public void Acknowledge(long beat)
    {
        samples.RemoveAll(s => s.Beat <= beat);
        checkpoints.RemoveAll(c => c.Beat <= beat);
        reads.RemoveAll(r => r.Beat <= beat);
    }

    /// <summary>It is told with the next beat; the order is repeated until it was heard.</summary>
    public void Read(ReadOrder order)
    {
        if (read.Add(order.Id))
        {
            reads.Add((sequence + 1, new CheckpointRead { Id = order.Id, Share = order.Share }));
        }
    }

    /// <summary>The oldest lines of one of its ranks; null: all are stored.</summary>
    public LogBatch? Lines()
    {
        foreach (var (rank, (first, lines)) in printed)
        {
            if (lines.Count > 0)
            {
                return new LogBatch { Node = node, Attempt = attempt, Rank = rank, FirstLine = first, Lines = { lines } };
            }
        }

        return null;
    }

    public void Stored(LogBatch batch)
    {
        var (first, lines) = printed[batch.Rank];
        lines.RemoveRange(0, batch.Lines.Count);
        printed[batch.Rank] = (first + batch.Lines.Count, lines);
    }

    private static Timestamp Now => Timestamp.FromDateTimeOffset(TimeProvider.System.GetUtcNow());

    private void Print(int rank, string text)
    {
        var (_, lines) = printed.TryGetValue(rank, out var known) ? known : printed[rank] = (0, []);
        lines.Add(new LogLine { At = Now, Text = text });
    }

    private void TrainTo(long step)
    {
        for (; Ranks.Contains(0) && trained < step; trained++)
        {
            Make(trained + 1);
        }

        trained = step;
        for (; Ranks.Length > 0 && printedTo + PrintEvery <= step; printedTo += PrintEvery)
        {
            Print(Ranks[0], Table.Say($"step {printedTo + PrintEvery}: loss {LossOf(printedTo + PrintEvery):0.0000}, 1.00 s"));
        }
    }

    private static double LossOf(long step) => 2 + (8 / Math.Sqrt(step));

    private void Make(long step)
    {
        samples.Add((sequence, new StepSample
        {
            Step = step, At = Now, Phase = "4Ki", Loss = LossOf(step), GradNorm = 1, LearningRate = 1e-3,
            Tokens = step * LoadRun.TokensOfStep, StepSeconds = 1, Attempt = launched,
            Extra = { ["mtp_loss"] = 3, ["balance_loss"] = 0.01 },
        }));
        if (step % SaveEvery == 0)
        {
            checkpoints.Add((sequence, new CheckpointReport
            {
                Step = step, Path = Table.Say($"{attempt.Run}/{attempt.Stage}/step-{step:00000000}"), Bytes = BytesOfCheckpoint,
                Digest = Table.Say($"{step:x64}"), Tokens = step * LoadRun.TokensOfStep, Loss = LossOf(step),
                DataCursor = Table.Say($"epoch 0, sample {step * LoadRun.TokensOfStep}"), Stall = TimeSpan.FromSeconds(0.1).ToDuration(),
                Lag = TimeSpan.FromSeconds(20).ToDuration(), At = Now, Attempt = launched,
            }));
        }
    }

    private IEnumerable<RankStatus> Statuses(long step) => Ranks.Select(rank => new RankStatus
    {
        Rank = rank, Pid = pid, State = Trains ? RankState.Training : RankState.Starting, Attempt = launched, Step = Trains ? step : 0,
        Phase = Trains ? "forward" : "loading", SinceProgress = Duration.FromTimeSpan(TimeSpan.FromMilliseconds(500)),
        CollectiveSequence = Trains ? step * 100 : 0, PeerPort = FirstPort + rank, WaitsForGang = !Trains, BeganAt = 0,
        OwnSeconds = step * 0.9, WaitedSeconds = step * 0.1,
    });
}
