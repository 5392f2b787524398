using System.Collections.Immutable;
using DeepSeekOps.Decisions.Checkpoints;
using DeepSeekOps.Decisions.Health;
using DeepSeekOps.Decisions.Recipes;
using DeepSeekOps.Decisions.Stages;

namespace DeepSeekOps.Decisions.Tests.Stages;

/// <summary>
/// The ranks of a gang, on one node or several, which count steps together or not at all. They save onto the stage's disk and go on from
/// the newest whole checkpoint there. Where one is gone the others end too, at their next collective.
/// </summary>
/// <param name="spoilt">Batches whose numbers break each time that they are trained.</param>
internal sealed class SimGang(int nodes, List<CheckpointOnDisk> disk, IReadOnlySet<string> damaged, IReadOnlySet<long> spoilt)
{
    private const int Steps = 30;
    private const int SaveEvery = 4;

    /// <summary>Exit code of a rank whose collective was aborted: 128 + SIGABRT.</summary>
    public const int Aborted = 134;

    private (int Attempt, CheckpointMade? From, bool None) chosen;

    public List<SimAgent> Agents { get; } = [];

    /// <summary>The attempt whose every rank trains. Null: none makes steps.</summary>
    public int? Training => Agents.Count == nodes && Agents.TrueForAll(a => a.Alive && a.AllTrain && a.Launched == First.Launched)
        ? First.Launched : null;

    /// <summary>It saves and makes no further step.</summary>
    public bool Stands { get; private set; }

    public SimAgent First => Agents[0];

    /// <summary>The newest; rank 0's agent tells it.</summary>
    public StepSample? Sample { get; private set; }

    public void Train(DateTimeOffset now)
    {
        if (Training is null)
        {
            AbortPeers(now);
            return;
        }

        if (Stands)
        {
            return;
        }

        long step = First.Step + 1;
        long batch = BatchOrder.BatchOf(step, First.Assignment!.LeftOut);
        if (spoilt.Contains(batch))
        {
            First.BreakNumbers(new NotFinite("loss", "NaN", step, batch, 0, "", 0), now);
            return;
        }

        Agents.ForEach(a => a.Step = step);
        Sample = new StepSample(step, now, "", 1, 1, 1, step * 100, 0.2, First.Launched, ImmutableDictionary<string, double>.Empty);
        if (step % SaveEvery == 0 || step >= Steps)
        {
            Save(now);
        }
    }

    public void SaveThenStand(DateTimeOffset now)
    {
        if (!Stands)
        {
            Save(now);
            Stands = true;
        }
    }

    public void Save(DateTimeOffset now)
    {
        if (Training is not { } attempt)
        {
            return;
        }

        long step = First.Step;
        bool final = step >= Steps;
        var made = new CheckpointMade(step, $"step-{step}-attempt-{attempt}", 1, $"digest-{step}-{attempt}", 1, 1, "",
            TimeSpan.Zero, TimeSpan.Zero, now, attempt, final);
        First.Tell(made);
        disk.RemoveAll(c => c.Made.Step == step);
        disk.Add(new CheckpointOnDisk(made, ""));
        if (final)
        {
            Agents.ForEach(a => a.Finish());
        }
    }

    /// <summary>All ranks of an attempt go on from one checkpoint: the first rank looks, and its agent tells.</summary>
    /// <returns>None: there were checkpoints, and none can be used.</returns>
    public (CheckpointMade? From, bool None) Choose(Assignment assignment)
    {
        if (chosen.Attempt == assignment.Attempt)
        {
            return (chosen.From, chosen.None);
        }

        Stands = false;
        long wanted = assignment.ResumeFrom?.Step ?? 0;
        var candidates = disk.Where(c => c.Made.Attempt > assignment.RoundBegan || c.Made.Step <= wanted)
            .OrderByDescending(c => c.Made.Step).ToList();
        foreach (var bad in candidates.TakeWhile(c => damaged.Contains(c.Made.Path)))
        {
            First.Tell(new RefusedCheckpoint(bad.Made.Path, "truncated") { Attempt = assignment.Attempt, Digest = bad.Made.Digest });
            disk.Remove(bad);
        }

        var from = candidates.FirstOrDefault(c => !damaged.Contains(c.Made.Path))?.Made;
        bool none = from is null && assignment.ResumeFrom is not null;
        disk.RemoveAll(c => !none && c.Made.Step > (from?.Step ?? 0));
        if (!none)
        {
            First.Tell(new ResumedFrom(assignment.Attempt, from));
        }

        chosen = (assignment.Attempt, from, none);
        return (from, none);
    }

    private void AbortPeers(DateTimeOffset now)
    {
        int newest = Agents.Select(a => a.Launched).DefaultIfEmpty().Max();
        bool broken = Agents.Exists(a => !a.Alive || (a.Launched == newest && a.AnyExited));
        foreach (var agent in Agents.Where(a => broken && a.Alive))
        {
            agent.EndTraining(Aborted, "a peer is gone", now);
        }
    }
}
