using System.Collections.Immutable;
using DeepSeekOps.Decisions.Checkpoints;
using DeepSeekOps.Decisions.Gangs;
using DeepSeekOps.Decisions.Health;
using DeepSeekOps.Decisions.Stages;

namespace DeepSeekOps.Decisions.Simulation;

/// <summary>
/// An agent that exists only in memory, for all ranks of its node: it registers, tells what was not acknowledged, and obeys. How ranks
/// load, step, save and end is the world's that it lives in, and so what it overrides.
/// </summary>
/// <param name="id">One per agent process: a restarted agent is another agent.</param>
public abstract class SimulatedAgent(GangId gang, NodeId node, string id, int pid)
{
    private readonly Untold<StepSample> samples = new();
    private readonly Untold<CheckpointMade> checkpoints = new();
    private readonly Untold<RefusedCheckpoint> refused = new();
    private readonly Untold<ResumedFrom> resumed = new();
    private readonly Untold<ExpertLoad> loads = new();

    public GangId Gang { get; } = gang;

    public StageId Stage => Gang.Stage;

    public NodeId Node { get; } = node;

    public string Id { get; } = id;

    public int Pid { get; } = pid;

    /// <summary>What its ranks were last launched for. Null: they were not yet.</summary>
    public Assignment? Assignment { get; private set; }

    /// <summary>The attempt its ranks were launched for; 0: none yet.</summary>
    public int Launched => Assignment?.Attempt ?? 0;

    public bool Registered { get; private set; }

    /// <summary>The newest beat.</summary>
    public long Sequence { get; private set; }

    /// <summary>Samples that nobody has acknowledged.</summary>
    public int SamplesWaiting => samples.Count;

    /// <summary>A checkpoint or a refusal waits for the beat that tells it first.</summary>
    public bool HasNews => checkpoints.Newest > Sequence || refused.Newest > Sequence;

    /// <summary>Checkpoints that nobody has acknowledged.</summary>
    public bool CheckpointsWait => checkpoints.Count > 0;

    /// <summary>The newest checkpoint that it was told is known, and so does not tell again. Null: none yet.</summary>
    public CheckpointMade? Acknowledged { get; private set; }

    /// <summary>Its rank processes as they are now, of whatever attempt.</summary>
    public abstract ImmutableArray<RankStatus> Ranks { get; }

    /// <summary>It trains, and could save if it was asked to.</summary>
    protected abstract bool CanSave { get; }

    private int Attempt => Assignment?.Attempt ?? Gang.Number;

    public AgentRegistration Registration()
    {
        Registered = true;
        return new AgentRegistration("simulated", Node, Id, Pid, Stage, Attempt, Ranks);
    }

    /// <summary>Everything since the last acknowledged beat.</summary>
    /// <param name="passing">A sample that is told this once, whether the beat arrives or not.</param>
    public AgentBeat Beat(StepSample? passing = null)
    {
        Sequence++;
        var steps = passing is null ? samples.All : [.. samples.All, passing];
        return new AgentBeat(
            Node, Id, Stage, Attempt, Sequence, Ranks, steps, checkpoints.All, [], [], LaunchSeconds, refused.All, loads.All)
        {
            Resumed = resumed.All,
        };
    }

    /// <summary>What it was answered.</summary>
    public void Take(WorkerReply reply)
    {
        samples.Acknowledge(reply.Acknowledged);
        Acknowledged = checkpoints.Acknowledge(reply.Acknowledged) ?? Acknowledged;
        refused.Acknowledge(reply.Acknowledged);
        resumed.Acknowledge(reply.Acknowledged);
        loads.Acknowledge(reply.Acknowledged);
        Obey(reply.Order);
    }

    public void Obey(WorkerOrder order) => order.Match(
        goOn: _ => true,
        start: start => LaunchOnce(start.Assignment),
        save: _ => Did(Save),
        rollBack: back => LaunchOnce(back.Assignment),
        restart: restart => LaunchOnce(restart.Assignment),
        // Simulated ranks do not talk: none of them waits to be told of the others.
        form: _ => true,
        stop: stop => stop.SaveWithin is not null && CanSave ? Did(SaveThenEnd) : Did(() => End(stop.Reason)));

    public void Tell(StepSample sample) => samples.Add(sample, Sequence + 1);

    public void Tell(CheckpointMade made) => checkpoints.Add(made, Sequence + 1);

    public void Tell(RefusedCheckpoint refusal) => refused.Add(refusal, Sequence + 1);

    public void Tell(ResumedFrom found) => resumed.Add(found, Sequence + 1);

    public void Tell(ExpertLoad load) => loads.Add(load, Sequence + 1);

    protected virtual ImmutableDictionary<string, double> LaunchSeconds => ImmutableDictionary<string, double>.Empty;

    /// <summary>Ends the ranks of older attempts and launches those of this one.</summary>
    /// <param name="before">What they were launched for until now.</param>
    protected abstract void Launch(Assignment assignment, Assignment? before);

    /// <summary>Saves at the next step boundary.</summary>
    protected abstract void Save();

    /// <summary>Saves, makes no further step, and ends by itself or by the next order. Said again until then.</summary>
    protected abstract void SaveThenEnd();

    /// <summary>Ends all ranks, then the agent.</summary>
    protected abstract void End(string reason);

    /// <summary>An attempt is launched once, however often it is ordered.</summary>
    private bool LaunchOnce(Assignment assignment)
    {
        if (assignment.Attempt > Launched)
        {
            var before = Assignment;
            Assignment = assignment;
            Launch(assignment, before);
        }

        return true;
    }

    private static bool Did(Action what)
    {
        what();
        return true;
    }

    /// <summary>Reports, each with the beat that carries it first.</summary>
    private sealed class Untold<T>
        where T : class
    {
        private readonly List<(long FirstSent, T Report)> all = [];

        public int Count => all.Count;

        public long Newest => all.Count == 0 ? 0 : all[^1].FirstSent;

        public ImmutableArray<T> All => all.Count == 0 ? [] : [.. all.Select(u => u.Report)];

        public void Add(T report, long firstSent) => all.Add((firstSent, report));

        /// <returns>The newest of those that are told for good now.</returns>
        public T? Acknowledge(long sequence)
        {
            // The oldest first, and most beats have none.
            int told = 0;
            while (told < all.Count && all[told].FirstSent <= sequence)
            {
                told++;
            }

            if (told == 0)
            {
                return null;
            }

            var newest = all[told - 1].Report;
            all.RemoveRange(0, told);
            return newest;
        }
    }
}
