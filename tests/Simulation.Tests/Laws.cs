using System.Runtime.CompilerServices;
using DeepSeekOps.Decisions;
using DeepSeekOps.Decisions.Checkpoints;
using DeepSeekOps.Decisions.Gangs;
using DeepSeekOps.Decisions.Health;
using DeepSeekOps.Decisions.Recipes;
using DeepSeekOps.Decisions.Placement;
using DeepSeekOps.Decisions.Runs;
using DeepSeekOps.Decisions.Simulation;
using DeepSeekOps.Decisions.Stages;

namespace DeepSeekOps.Simulation.Tests;

/// <summary>A law of the control plane was broken; the message names the law.</summary>
internal sealed class LawBrokenException(string message) : Exception(message);

/// <summary>What holds after every tick, whatever goes wrong.</summary>
internal sealed class Laws
{
    private readonly Dictionary<StageId, Seen> seen = [];
    private Dictionary<GangId, GangGrant> granted = [];
    private TimeSpan last;

    public void Check(Decisions.Simulation.Simulation world)
    {
        Demand(world.Elapsed >= last, "time went backwards");
        last = world.Elapsed;
        Demand(world.Ledger.Total.Ticks == world.Elapsed.Ticks * world.Gpus,
            $"the ledger has {world.Ledger.Total} GPU time and the cluster {world.Elapsed * world.Gpus}");
        NothingGrantedTwice(world);
        foreach (var grant in world.Held)
        {
            if (!granted.TryGetValue(grant.Id, out var before))
            {
                GrantedByTheSettings(world, grant);
            }
            else if (grant.Nodes.Except(before.Nodes).Any())
            {
                // Who takes nodes in has lost some.
                GrantedByTheSettings(world, grant with { At = world.Now, Restores = true });
            }
        }

        granted = world.Held.ToDictionary(g => g.Id);
        OneLiveAttempt(world);
        NothingIsMadeThatIsNotWritten(world);
        LeavesOutWhatBroke(world);
        WhatIsAcknowledgedIsWritten(world);
        TrainsTheSameBatchAsAWholeWorld(world);
        foreach (var run in world.RunsByName.Values)
        {
            StagesDoWhatTheirRunHasWritten(world, run);
        }

        foreach (var (id, stage) in world.Stages)
        {
            if (seen.TryGetValue(id, out var before))
            {
                Moved(world, before, stage);
            }

            seen[id] = Remember(world, before, stage);
        }
    }

    /// <summary>Once the simulation is over.</summary>
    public static void CheckEnd(Decisions.Simulation.Simulation world)
    {
        foreach (var run in world.RunsByName.Values)
        {
            Demand(run.Phase.Terminal, $"run {run.Name} never ends: {run.Phase}: {run.Reason}");
            Demand(run.Phase is not RunPhase.Completed
                || run.Stages.All(s => world.Stages[new StageId(run.Name, s.Work.Name)].Phase is Phase.Completed),
                $"run {run.Name} completed before its stages did");
        }

        foreach (var (id, stage) in world.Stages.Where(s => s.Value.Phase is Phase.Completed))
        {
            var final = ((Phase.Completed)stage.Phase).Final;
            Demand(final.Step == stage.Wish.Work.TotalSteps, $"{id} completed at step {final.Step} of {stage.Wish.Work.TotalSteps}");
        }

        Demand(world.Held.IsEmpty, "all runs have ended and nodes are still held");
    }

    private static void NothingGrantedTwice(Decisions.Simulation.Simulation world)
    {
        var held = world.Held.SelectMany(g => g.Nodes.Select(n => (Node: n, g.SlotsPerNode))).GroupBy(g => g.Node);
        foreach (var node in held)
        {
            Demand(node.Sum(g => g.SlotsPerNode) <= SmallWorld.SlotsPerNode, $"{node.Key} is granted twice");
        }
    }

    /// <summary>A new grant keeps to maintenance, spares, groups and quotas.</summary>
    private static void GrantedByTheSettings(Decisions.Simulation.Simulation world, GangGrant grant)
    {
        var policy = world.Policy;
        foreach (var node in world.Machines.Where(m => grant.Nodes.Contains(m.Id)))
        {
            Demand(!policy.Maintenance.Any(
                w => w.Covers(node, policy.Groups) && w.Until > grant.At && (grant.ExpectedEnd is null || grant.ExpectedEnd > w.From)),
                $"{grant.Stage} is placed on {node.Id} into maintenance");
            Demand(grant.Group.Length == 0
                || policy.Groups.Single(g => g.Name == grant.Group)
                    .Holds(node), $"{grant.Stage} is placed on {node.Id}, not of group {grant.Group}");
        }

        int free = world.Machines.Count(m => world.Held.All(h => !h.Nodes.Contains(m.Id)));
        bool alone = world.Held.Count(h => h.At == grant.At) == 1;
        Demand(grant.Restores || !alone
            || free >= policy.Spares, $"{grant.Stage} lost no node and leaves {free} of {policy.Spares} spares");
        int holds = world.Held.Where(h => h.Team == grant.Team).Sum(h => h.Slots);
        Demand(policy.Borrow || policy.QuotaSlots.IsEmpty
            || holds <= policy.QuotaSlots.GetValueOrDefault(grant.Team), $"team {grant.Team} holds {holds} slots, over its quota");
    }

    private static void OneLiveAttempt(Decisions.Simulation.Simulation world)
    {
        foreach (var stage in world.Training.GroupBy(t => t.Stage).Where(s => s.Count() > 1))
        {
            Demand(false, $"{stage.Key} trains twice: attempts {string.Join(", ", stage.Select(s => s.Attempt))}");
        }

        foreach (var stage in world.LiveAgents.GroupBy(a => a.Gang.Stage).Where(s => s.Select(a => a.Gang).Distinct().Count() > 1))
        {
            Demand(false, $"{stage.Key} has agents of two gangs: {string.Join(", ", stage.Select(s => s.Gang.Number).Distinct())}");
        }
    }

    /// <summary>
    /// A record that a crash leaves behind knows of each pod that there is: the stage is written first. Where a gang goes on without some
    /// of its nodes, nothing of it is left there once it is launched.
    /// </summary>
    private static void NothingIsMadeThatIsNotWritten(Decisions.Simulation.Simulation world)
    {
        foreach (var (gang, node) in world.MadePods)
        {
            var phase = world.Stages.GetValueOrDefault(gang.Stage)?.Phase;
            Demand(phase?.GangOrNull?.Id == gang, $"a pod of {gang} is on {node}, and no stage is written that holds it");
            Demand(phase!.GangOrNull!.Holds(node) || phase is not (Phase.Running or Phase.Restarting { Leaving: [] }),
                $"a pod of {gang} is on {node}, which it has given up");
            Demand(world.Held.Any(h => h.Id == gang && h.Holds(node)), $"a pod of {gang} is on {node}, which is not granted to it");
        }
    }

    /// <summary>
    /// A run that a crash leaves behind knows of each stage that it has asked, and each goes on from what the one before handed on.
    /// </summary>
    private static void StagesDoWhatTheirRunHasWritten(Decisions.Simulation.Simulation world, Run run)
    {
        for (int i = 0; i < run.Stages.Length; i++)
        {
            if (world.Stages.GetValueOrDefault(new StageId(run.Name, run.Stages[i].Work.Name)) is not { } stage)
            {
                continue;
            }

            Demand(stage.Wish.Round <= run.Stages[i].Round,
                $"{stage.Id} is asked for round {stage.Wish.Round}, which its run has not written");
            if (i > 0)
            {
                var before = world.Stages[new StageId(run.Name, run.Stages[i - 1].Work.Name)];
                Demand(before.Phase is Phase.Completed, $"{stage.Id} has begun while {before.Id} is {before.Phase}");
                Demand(before.Phase is Phase.Completed done && stage.Wish.BeginFrom == done.Final,
                    $"{stage.Id} begins from {stage.Wish.BeginFrom?.Lineage ?? "nothing"}, not from what {before.Id} hands on");
            }
        }
    }

    /// <summary>An agent does not tell again what was acknowledged, so that a crash must not be able to forget it.</summary>
    private static void WhatIsAcknowledgedIsWritten(Decisions.Simulation.Simulation world)
    {
        foreach (var (id, step) in world.Acknowledged)
        {
            var stage = world.Stages[id];
            Demand(stage.Checkpoints.Any(c => c.Made.Step == step) || Newest(stage) > step,
                $"{id}: the checkpoint of step {step} is acknowledged and not written; the newest is {Newest(stage)}");
        }
    }

    private static void Moved(Decisions.Simulation.Simulation world, Seen before, Stage now)
    {
        string id = now.Id.ToString();
        Demand(now.Attempt >= before.Stage.Attempt, $"{id}: attempt {before.Stage.Attempt} became {now.Attempt}");
        Demand(!before.Stage.Phase.Terminal || now.Phase.Terminal, $"{id} had ended as {before.Stage.Phase} and is {now.Phase}");
        bool refused =
            now.Checkpoints.Count(c => c.State == CheckpointState.Quarantined)
                > before.Stage.Checkpoints.Count(c => c.State == CheckpointState.Quarantined);
        Demand(refused
            || Newest(now) >= Newest(before.Stage), $"{id}: checkpoint of step {Newest(before.Stage)} is forgotten, {Newest(now)} is left");
        long newest = CheckpointChoice.ToResume(now.Checkpoints)?.Made.Step ?? 0;
        Demand(now.Attempt == before.Stage.Attempt
            || now.LaunchedFrom == newest, $"{id}: launched from {now.LaunchedFrom}, the newest is {newest}");
        Demand(before.FaultsWithoutProgress
            <= now.Policy.MaxRestarts, $"{id}: {before.FaultsWithoutProgress} restarts of one cause without a checkpoint");
        NumbersBreakOnce(before.Stage, now);
        NewNodesAreChecked(world, before, now);
        // Word of a refusal may come when the next attempt has already begun from the same checkpoint.
        bool told = refused && now.RestartsByCause.GetValueOrDefault(FailureCause.CheckpointRefused)
            > before.Stage.RestartsByCause.GetValueOrDefault(FailureCause.CheckpointRefused);
        if (Restarts(now) > Restarts(before.Stage) && before.Stage.Phase.GangOrNull is not null && !told)
        {
            Demand(before.Unsound || world.LastFaultOf(now.Id) >= before.LaunchedAt, $"{id}: a healthy gang was ended: {now.Reason}");
        }
    }

    /// <summary>
    /// A long stage trains on new nodes only once their first steps are made, and what is swapped before was new, was not sound, and costs
    /// none of the run's restarts.
    /// </summary>
    private static void NewNodesAreChecked(Decisions.Simulation.Simulation world, Seen before, Stage now)
    {
        if (now.Policy.CheckFrom > TimeSpan.Zero)
        {
            return;
        }

        Demand(now.Phase is not Phase.Running { Gang.Untried: [_, ..] },
            $"{now.Id} trains on {string.Join(", ", now.Phase.GangOrNull?.Untried ?? [])}, which nothing has checked");
        if (now.Phase is Phase.Running { Gang: var gang } && before.Stage.Phase.GangOrNull is { Untried: [_, ..] } unchecked_
            && unchecked_.Id == gang.Id)
        {
            long least = Math.Min(now.LaunchedFrom + now.Policy.CheckSteps, now.Wish.Work.TotalSteps);
            Demand(world.StepOf(now.Id, now.Attempt) >= least, $"{now.Id} counts as checked before step {least} is made");
        }

        foreach (var swapped in now.Avoid.Where(a => a.WasNew && !before.Stage.Avoid.Contains(a)))
        {
            Demand(before.Stage.Phase.GangOrNull?.Untried.Contains(swapped.Node) ?? false,
                $"{now.Id}: {swapped.Node} is swapped and was not new");
            Demand(Restarts(now) == Restarts(before.Stage), $"{now.Id}: the swap of {swapped.Node} is counted as a restart");
            Demand(before.Unsound || world.LastFaultOf(now.Id) >= before.LaunchedAt, $"{now.Id}: a healthy gang was ended: {now.Reason}");
        }
    }

    /// <summary>A break leaves its batch out and goes on from before it; what is left out stays so.</summary>
    private static void NumbersBreakOnce(Stage before, Stage now)
    {
        Demand(before.LeftOut.All(
            b => now.LeftOut.Contains(
                b)), $"{now.Id}: batch {string.Join(", ", before.LeftOut.Select(b => b.Batch))} is no longer left out");
        if (now.RestartsByCause.GetValueOrDefault(FailureCause.NotFinite)
            > before.RestartsByCause.GetValueOrDefault(FailureCause.NotFinite))
        {
            Demand(now.LeftOut.Length > before.LeftOut.Length, $"{now.Id}: goes on after a break without leaving its batch out");
            Demand(Newest(now) < now.LeftOut[^1].Step,
                $"{now.Id}: goes on from step {Newest(now)} though the numbers broke at step {now.LeftOut[^1].Step}");
        }
    }

    private static void LeavesOutWhatBroke(Decisions.Simulation.Simulation world)
    {
        foreach (var job in world.LeavingOut.Where(j => world.Stages[j.Stage].Attempt == j.Attempt))
        {
            Demand(world.Stages[job.Stage].LeftOut.All(
                b => job.LeftOut.Contains(b.Batch)), $"{job.Stage}: attempt {job.Attempt} trains a batch that is to be left out");
        }
    }

    /// <summary>
    /// Whatever a gang is laid out as: each of its ranks is there, and together they take every row of the recipe's batch once.
    /// </summary>
    private static void TrainsTheSameBatchAsAWholeWorld(Decisions.Simulation.Simulation world)
    {
        foreach (var job in world.LaidOut)
        {
            var asked = world.RunsByName[job.Stage.Run].Pipeline;
            Demand(job.Ranks == job.World && job.World == job.Pipeline.ResourcesOf(job.Pipeline.Stage(job.Stage.Stage)).Ranks,
                $"{job.Stage}: attempt {job.Attempt} trains with {job.Ranks} ranks of a world of {job.World}");
            var (was, now) = (asked.Stage(job.Stage.Stage), job.Pipeline.Stage(job.Stage.Stage));
            Demand(now.Recipe.Equals(was.Recipe), $"{job.Stage}: attempt {job.Attempt} trains another batch than the run asks for");
            Demand(job.World == asked.ResourcesOf(was).Ranks
                || DealsAllRows(((StageRecipe.Pretraining)now.Recipe).BatchSize.To, job.World, job.Pipeline.ParallelismOf(now)),
                $"{job.Stage}: attempt {job.Attempt} cannot deal its batch to {job.World} ranks");
        }
    }

    private static bool DealsAllRows(int batch, int ranks, ParallelLayout layout) =>
        ranks % layout.Pipeline == 0 && batch >= ranks / layout.Pipeline
        && (layout.Expert == 1 || (ranks / layout.Pipeline % layout.Expert == 0 && batch % (ranks / layout.Pipeline) == 0));

    private static Seen Remember(Decisions.Simulation.Simulation world, Seen? before, Stage now)
    {
        bool same = before?.Stage.Attempt == now.Attempt;
        bool sound = now.Phase.GangOrNull is not { } gang || world.IsSound(gang);
        bool progress = before is null || Newest(now) > Newest(before.Stage);
        int worst = progress ? 0 : before!.FaultsWithoutProgress;
        if (before is not null && !progress && Restarts(now) > Restarts(before.Stage))
        {
            worst = now.RestartsByCause.Max(c => c.Value - before.AtProgress.GetValueOrDefault(c.Key));
        }

        return new Seen(now, same ? before!.LaunchedAt : world.Now, (same && before!.Unsound) || !sound, worst,
            progress ? now.RestartsByCause : before!.AtProgress);
    }

    private static long Newest(Stage stage) => CheckpointChoice.Newest(stage.Checkpoints)?.Made.Step ?? 0;

    private static int Restarts(Stage stage) => stage.RestartsByCause.Values.Sum();

    private static void Demand(bool holds, string otherwise)
    {
        if (!holds)
        {
            throw new LawBrokenException(otherwise);
        }
    }

    private static void Demand(bool holds, [InterpolatedStringHandlerArgument(nameof(holds))] ref Otherwise otherwise)
    {
        if (!holds)
        {
            throw new LawBrokenException(otherwise.Words());
        }
    }

    /// <summary>Words that are made only where the law is broken: a law is asked at each of millions of ticks.</summary>
    [InterpolatedStringHandler]
    public ref struct Otherwise
    {
        private DefaultInterpolatedStringHandler words;

        public Otherwise(int literals, int parts, bool holds, out bool broken)
        {
            broken = !holds;
            words = broken ? new DefaultInterpolatedStringHandler(literals, parts) : default;
        }

        public void AppendLiteral(string text) => words.AppendLiteral(text);

        public void AppendFormatted<T>(T value) => words.AppendFormatted(value);

        public string Words() => words.ToStringAndClear();
    }

    private sealed record Seen(
        Stage Stage, DateTimeOffset LaunchedAt, bool Unsound, int FaultsWithoutProgress,
        System.Collections.Immutable.ImmutableDictionary<FailureCause, int> AtProgress);
}
