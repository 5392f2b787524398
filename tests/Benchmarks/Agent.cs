using DeepSeekOps.Contracts.Worker.V1;
using Google.Protobuf.WellKnownTypes;

namespace DeepSeekOps.Benchmarks;

/// <summary>What one scripted agent says of its ranks.</summary>
internal sealed class Agent(string node, string id, int pid, AttemptRef attempt)
{
    private const int FirstPort = 20_000;

    private long sequence;
    private int launched;

    public string Node => node;

    public Order.KindOneofCase Order { get; set; }

    public int[] Ranks { get; private set; } = [];

    /// <summary>They have met the others of their gang.</summary>
    public bool Trains { get; set; }

    /// <summary>Steps that nobody has said to be durable, each with the beat that brings it first.</summary>
    public List<(long Beat, StepSample Sample)> Samples { get; } = [];

    private long Trained { get; set; }

    public RegisterRequest Register(int protocol, TimeSpan away) => new()
    {
        Protocol = protocol, Version = "scripted", Node = node, AgentId = id, Pid = pid, Attempt = attempt,
        Ranks = { Statuses(Trained) }, WithoutContact = sequence == 0 ? null : away.ToDuration(),
    };

    public HeartbeatRequest Beat(long step)
    {
        sequence++;
        return new HeartbeatRequest
        {
            Node = node, AgentId = id, Attempt = attempt, Sequence = sequence, PeerHost = "127.0.0.1", Ranks = { Statuses(step) },
        };
    }

    public void Launch(Assignment assignment)
    {
        attempt = assignment.Attempt;
        launched = attempt.Attempt;
        Ranks = [.. assignment.Ranks.Where(r => r.Node == node).Select(r => r.Rank)];
    }

    /// <summary>Of the gang's first node: what its first rank has to tell of each step since.</summary>
    public void TrainTo(long step)
    {
        for (; Trained < step; Trained++)
        {
            long made = Trained + 1;
            Samples.Add((sequence, new StepSample
            {
                Step = made, At = Timestamp.FromDateTimeOffset(TimeProvider.System.GetUtcNow()), Phase = "4Ki",
                Loss = 2 + (8 / Math.Sqrt(made)), GradNorm = 1, LearningRate = 1e-3, Tokens = made * LoadRun.TokensOfStep, StepSeconds = 1,
                Attempt = launched, Extra = { ["mtp_loss"] = 3, ["balance_loss"] = 0.01 },
            }));
        }
    }

    public void Acknowledge(long beat) => Samples.RemoveAll(s => s.Beat <= beat);

    private IEnumerable<RankStatus> Statuses(long step) => Ranks.Select(rank => new RankStatus
    {
        Rank = rank, Pid = pid, State = Trains ? RankState.Training : RankState.Starting, Attempt = launched, Step = Trains ? step : 0,
        Phase = Trains ? "forward" : "loading", SinceProgress = Duration.FromTimeSpan(TimeSpan.FromMilliseconds(500)),
        CollectiveSequence = Trains ? step * 100 : 0, PeerPort = FirstPort + rank, WaitsForGang = !Trains, BeganAt = 0,
        OwnSeconds = step * 0.9, WaitedSeconds = step * 0.1,
    });
}
