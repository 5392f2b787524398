using System.Collections.Immutable;
using System.Diagnostics;
using DeepSeekOps.Decisions.Checkpoints;
using DeepSeekOps.Decisions.Health;
using DeepSeekOps.Decisions.Placement;
using DeepSeekOps.Decisions.Recipes;
using DeepSeekOps.Decisions.Spikes;

namespace DeepSeekOps.Decisions.Stages;

/// <summary>A stage as people see it: what is written, with what was last heard laid over it.</summary>
public static class StageViews
{
    /// <summary>The phase's name in views and on the wire.</summary>
    public static string NameOf(Phase phase) => phase switch
    {
        Phase.Waiting => "waiting",
        Phase.Queued => "queued",
        Phase.Starting => "starting",
        Phase.Checking => "checking",
        Phase.Running => "running",
        Phase.Restarting => "restarting",
        Phase.Stopping => "stopping",
        Phase.BackingOff => "backing-off",
        Phase.Paused => "paused",
        Phase.Completed => "completed",
        Phase.Failed => "failed",
        Phase.Cancelled => "cancelled",
        _ => throw new UnreachableException($"phase {phase}"),
    };

    /// <param name="reason">The newest decision's, with the numbers of the moment.</param>
    /// <param name="decided">When that was. Null: not since the control plane began.</param>
    public static StageReport Report(Stage stage, string reason, Observation seen, DateTimeOffset? decided = null)
    {
        var final = stage.Phase is Phase.Completed completed ? completed.Final : null;
        var usable = CheckpointChoice.Named(stage.Checkpoints);
        return new StageReport(stage.Id, stage.Round, stage.Phase, reason, final, usable,
            View(stage, reason, seen) with { AsOf = stage.Phase.Terminal ? null : decided })
        {
            Hold = stage.Hold,
            Measures = StageMeasures.Of(stage, seen),
            RiseInTrial = stage.LossActs is [.., { Outcome: LossOutcome.Open } open] ? open : null,
            Incident = stage.NewestIncident is { } incident
                ? new IncidentReport(incident.Number, incident.State, incident.TakenBy, StageUndo.Of(stage, seen)) : null,
        };
    }

    /// <summary>0: nobody knows before, so there is nothing to compare with what it has trained.</summary>
    private static long Told(StageWork work) => StageRecipe.Kinds[work.Kind].IsToldInTokens ? work.TotalTokens : 0;

    /// <summary>A stage that its run has not asked for yet.</summary>
    /// <param name="next">Its turn has come.</param>
    public static StageView NotBegun(StageWork work, bool next = false) => new(
        work.Name, work.Kind, "waiting", next ? "its turn has come; it asks for nodes next" : "waits for the stages before it",
        0, 0, work.TotalSteps, 0, Told(work), null, null, null,
        null, null, "", [], null, null, null, null, [], ImmutableDictionary<string, int>.Empty);

    private static StageView View(Stage stage, string reason, Observation seen)
    {
        var work = stage.Wish.Work;
        var sample = seen.Latest ?? stage.Latest;
        bool live = stage.Phase is Phase.Starting or Phase.Checking or Phase.Running or Phase.Restarting;
        long step = stage.Phase is Phase.Completed done ? done.Final.Step : sample?.Step ?? stage.LaunchedFrom;
        var outlook = StageOutlook.Of(stage, seen);
        var ranks = RankFold.Of(Ranks(stage, seen));
        return new StageView(
            work.Name, work.Kind, NameOf(stage.Phase), reason, stage.Attempt, step, work.TotalSteps, sample?.Tokens ?? 0, Told(work),
            LossOf(sample), Extra(sample, "mfu"), live ? Extra(sample, "tokens_per_second") : null,
            sample is { Learned: true } ? sample.GradNorm : null, sample?.LearningRate,
            sample?.Phase ?? "", ranks.Shown, stage.StartedAt, stage.EndedAt,
            live && !StageHolding.Stands(stage, seen.Now.At) ? outlook?.Likely : null,
            CheckpointChoice.Newest(stage.Checkpoints)?.Made.Step, stage.Evaluations,
            stage.RestartsByCause.ToImmutableDictionary(c => c.Key.InWords(), c => c.Value))
        {
            FoldedRanks = ranks.Folded,
            Trusted = stage.Checkpoints.LastOrDefault(c => c.Usable && c.Trust is not null),
            StoredStep = stage.Checkpoints.LastOrDefault(c => c.Usable && c.Stored is not null)?.Made.Step,
            Outlook = outlook,
            Stands = StageHolding.Stands(stage, seen.Now.At) ? StageHolding.Of(stage, seen.Now.At) : null,
            BeganFrom = stage.Wish.BeginFrom?.Lineage ?? "",
            Silence = Stages.Silence.Of(stage, seen),
            Cost = StageBooks.At(stage, seen, seen.Now.At),
            Pending = stage.Phase is Phase.Queued ? seen.Placement as PlacementDecision.Pending : null,
        };
    }

    /// <summary>A step of nothing repeats the loss before it, which is 0 where there was none.</summary>
    private static double? LossOf(StepSample? sample) => sample is { Learned: false, Loss: 0 } ? null : sample?.Loss;

    private static double? Extra(StepSample? sample, string name) =>
        sample is not null && sample.Extra.TryGetValue(name, out double value) ? value : null;

    /// <summary>Every rank of the stage's gang, by number.</summary>
    public static ImmutableArray<RankView> Ranks(Stage stage, Observation seen)
    {
        if (stage.Phase.GangOrNull is not { } gang)
        {
            return [];
        }

        var agents = seen.Agents.ToDictionary(a => a.Node);
        return [.. gang.Nodes.SelectMany((_, place) => gang.RanksAt(place)).Select(placement =>
        {
            var agent = agents.GetValueOrDefault(placement.Node);
            // A process of an older attempt may still be told of, for the sake of how it ended.
            var rank = agent?.Ranks.FirstOrDefault(r => r.Rank == placement.Rank && r.Attempt == stage.Attempt);
            bool fresh = agent is not null && seen.SilenceOf(agent) <= stage.Policy.UnknownAfter;
            return new RankView(placement.Rank, placement.Node.Name, rank?.Pid ?? 0,
                fresh && rank is not null ? rank.State : RankState.Unknown,
                agent?.Heard.At, agent?.Pid ?? 0)
            {
                SeenAgo = agent is null ? null : seen.SilenceOf(agent),
            };
        })];
    }
}
