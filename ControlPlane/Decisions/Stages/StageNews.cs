using System.Collections.Immutable;
using System.Globalization;
using DeepSeekOps.Decisions.Checkpoints;
using DeepSeekOps.Decisions.Health;
using DeepSeekOps.Decisions.Recipes;
using DeepSeekOps.Decisions.Recovery;

namespace DeepSeekOps.Decisions.Stages;

/// <summary>Takes what agents told into a stage. Beats repeat and overtake each other: everything is keyed by step and attempt.</summary>
internal static class StageNews
{
    public static Stage Take(Stage stage, Observation seen, DateTimeOffset now)
    {
        var news = seen.News;
        var next = stage;
        foreach (var made in news.Checkpoints.OrderBy(c => c.Step))
        {
            next = StageLosses.Remember(TakeCheckpoint(next, made, now), made, seen.LossMemories);
        }

        if (seen.Disk is { } disk && (!stage.Phase.Terminal || stage.Wish.Round > stage.Round))
        {
            next = TakeFound(next, disk, now);
        }

        foreach (var restart in news.LocalRestarts.OrderBy(r => r.LocalTry))
        {
            next = TakeLocalRestart(next, restart, seen);
        }

        foreach (var refused in news.Refused.Distinct())
        {
            next = TakeRefusal(next, refused, seen, now);
        }

        if (news.Resumed.LastOrDefault(r => r.Attempt == stage.Attempt) is { } resumed)
        {
            next = TakeResumed(next, resumed, now);
        }

        foreach (var stored in news.Stored)
        {
            next = StageStore.Take(next, stored);
        }

        next = TakeEvaluations(next, news.Evaluations);

        foreach (var note in news.Notes)
        {
            // A note that was told before differs in nothing, so the ledger keeps one.
            next = next.Say(new RunEvent(note.At, stage.Id.Run, stage.Id.Stage, note.Attempt, "note", EventLevel.Info, note.Text));
        }

        foreach (var loss in news.Losses)
        {
            next = StageLosses.Take(next, loss, now);
        }

        foreach (var back in news.Back)
        {
            string text = $"{back.Node} is in contact again after {Words.Duration(back.Silent)}; it trained on to step {back.Step}";
            next = next.Say(new RunEvent(now, stage.Id.Run, stage.Id.Stage, stage.Attempt, "agent-back", EventLevel.Info, text)
            {
                Node = back.Node.Name,
                Step = back.Step,
                Took = back.Silent,
            });
        }

        // Samples alone are no reason to write: they travel with what is.
        return ReferenceEquals(next, stage) ? stage : next with { Latest = seen.Latest ?? next.Latest };
    }

    private static Stage TakeCheckpoint(Stage stage, CheckpointMade made, DateTimeOffset now)
    {
        bool known = stage.Checkpoints.Any(c => c.Made.Step == made.Step && c.Made.Attempt >= made.Attempt);
        bool ofThisRound = made.Attempt > stage.RoundBegan && made.Attempt <= stage.Attempt;
        if (known || !ofThisRound || stage.Phase.Terminal)
        {
            return stage;
        }

        long newest = CheckpointChoice.Newest(stage.Checkpoints)?.Made.Step ?? -1;
        var kept = CheckpointChoice.Retain(
            Add(stage, stage.Checkpoints, made), stage.Wish.Work.KeepCheckpoints);
        string text = string.Create(CultureInfo.InvariantCulture,
            $"checkpoint of step {made.Step} is durable: {Words.Size(made.Bytes)}, training {Stood(made.Stall)},")
            + $" durable after {Words.Duration(made.Lag)}";
        var told = new RunEvent(now, stage.Id.Run, stage.Id.Stage, made.Attempt, "checkpoint", EventLevel.Info, text)
        {
            Step = made.Step,
            Took = made.Lag,
        };
        if (NumberBreak.Unfit(stage.Watched, made) is { } unfit)
        {
            return (stage with
            {
                Checkpoints = [.. kept.Select(c => c.Made == made ? c with { State = CheckpointState.Quarantined, Reason = unfit } : c)],
            })
                .Say(now, "checkpoint-refused", EventLevel.Warning, $"checkpoint of step {made.Step} is not used: {unfit}");
        }

        bool progress = made.Step > newest;
        return (stage with { Checkpoints = kept, Restarts = progress ? [] : stage.Restarts }).Say(told);
    }

    /// <summary>The weights are copied between two steps and written beside them; a small model's copy takes less than is told.</summary>
    private static string Stood(TimeSpan stall) =>
        stall < TimeSpan.FromMilliseconds(0.5) ? "did not wait for it" : $"stood for {Words.Duration(stall)}";

    /// <summary>What an agent did by itself counts as a launch of ours would: it is told, and a fault that comes again is known.</summary>
    private static Stage TakeLocalRestart(Stage stage, LocalRestart restart, Observation seen)
    {
        bool counted = restart.Attempt == stage.Attempt && restart.LocalTry > stage.LocalTry;
        // Of an attempt that was superseded meanwhile it is still told; the ledger keeps one of equal lines.
        bool told = counted || (restart.Attempt > stage.RoundBegan && restart.Attempt < stage.Attempt);
        if (!told || stage.Phase.Terminal)
        {
            return stage;
        }

        var failure = RankEnd.Of(stage.Watched, restart.Node, restart.Ended, restart.At, restart.At);
        bool madeStep = restart.Ended.MadeStep(stage.LaunchedFrom);
        string text = $"{failure.Sentence}; {restart.Reason} (for {Words.Duration(restart.Alone)}), so its agent "
            + "launched it again by itself:"
            + $" local try {restart.LocalTry} of attempt {restart.Attempt}";
        var happened = new RunEvent(restart.At, stage.Id.Run, stage.Id.Stage, restart.Attempt, "restarted-by-agent", EventLevel.Warning,
            text)
        {
            Node = restart.Node.Name,
            Step = restart.Ended.Step,
        };
        return !counted ? stage.Say(happened) : StageIncidents.ToldAfterwards(stage with
        {
            LocalTry = restart.LocalTry,
            Restarts = stage.Restarts.Add(new Restart(restart.At, failure.Cause, failure.Signature, stage.Attempt, madeStep, restart.Node)),
            RestartsByCause = stage.RestartsByCause.SetItem(failure.Cause, stage.RestartsByCause.GetValueOrDefault(failure.Cause) + 1),
        }, restart, failure, seen).Say(happened);
    }

    private static Stage TakeFound(Stage stage, StageFolder disk, DateTimeOffset now)
    {
        var work = stage.Wish.Work;
        var found = CheckpointChoice.Untold(stage.Checkpoints, disk, work.Registrations, stage.RoundBegan)
            .RemoveAll(made => NumberBreak.Unfit(stage.Watched, made) is not null);
        if (found.IsEmpty)
        {
            return stage;
        }

        long newest = CheckpointChoice.Newest(stage.Checkpoints)?.Made.Step ?? -1;
        var next = stage with
        {
            Checkpoints =
                CheckpointChoice.Retain(found.Aggregate(stage.Checkpoints, (all, made) => Add(stage, all, made)), work.KeepCheckpoints),
            Restarts = found[^1].Step > newest ? [] : stage.Restarts,
        };
        string what = found.Length == 1 ? $"a checkpoint that nobody had reported was found on disk: step {found[0].Step}"
            : $"{found.Length} checkpoints that nobody had reported were found on disk: steps {found[0].Step} to {found[^1].Step}";
        return next.Say(
            new RunEvent(now, stage.Id.Run, stage.Id.Stage, stage.Attempt, "checkpoint-found", EventLevel.Info,
                what)
            { Step = found[^1].Step });
    }

    /// <summary>The rank looked last, when nothing else could write any more: what it goes on from is what counts.</summary>
    private static Stage TakeResumed(Stage stage, ResumedFrom resumed, DateTimeOffset now)
    {
        if (stage.Phase is not (Phase.Starting or Phase.Checking or Phase.Running or Phase.Restarting))
        {
            return stage;
        }

        // What the attempt before had told of; only where a failure ended it.
        long made = stage.Incident is { } incident ? Math.Max(incident.Step, stage.Latest?.Step ?? 0) : 0;
        if (resumed.KeptStep is { } kept)
        {
            // No word of it here: the first new step tells.
            return stage with { LaunchedFrom = kept, FromMemory = true, StepsAgain = Again(made, kept) };
        }

        var next = stage with { StepsAgain = Again(made, resumed.From?.Step ?? 0) };
        if (resumed.From is { } from && !stage.Checkpoints.Any(c => c.Usable && c.Made.Step == from.Step && c.Made.Digest == from.Digest))
        {
            next = next with { Checkpoints = Add(stage, stage.Checkpoints, from) };
        }
        else if (stage.Checkpoints.FirstOrDefault(c => c.OnlyStored && c.Made.Step == resumed.From?.Step) is { } away)
        {
            next = next with { Checkpoints = stage.Checkpoints.Replace(away, away with { OnlyStored = false }) };
        }

        if (resumed.From is { Digest.Length: > 0 } loaded)
        {
            // A rank reads every byte of what it goes on from.
            string node = stage.Phase.GangOrNull is { } gang ? $", on {gang.Nodes[0]}" : "";
            next = next with
            {
                Checkpoints = CheckpointReadings.Trust(next.Checkpoints, made => made.Step == loaded.Step && made.Digest == loaded.Digest,
                    new CheckpointTrust(now, $"the rank that went on from it{node}")),
            };
        }

        long step = resumed.From?.Step ?? 0;
        // Whom its agent launched by itself nobody had told where to go on from: the newest that is known is what was to be expected. What
        // this attempt has beyond it may have been made since: while nobody answered, the launch and its checkpoints are told at once.
        var before = stage.Checkpoints.Where(c => c.Made.Attempt != stage.Attempt || c.Made.Step <= step);
        long expected = stage.LocalTry == 0 ? stage.LaunchedFrom : CheckpointChoice.ToResume([.. before])?.Made.Step ?? 0;
        next = next.LaunchedFrom == step ? next : next with { LaunchedFrom = step };
        return step == expected ? next : next.Say(new RunEvent(
            now, stage.Id.Run, stage.Id.Stage, stage.Attempt, "goes-on-from", EventLevel.Info,
            $"attempt {stage.Attempt} goes on from step {step}, the newest whole checkpoint on disk; step {expected} was expected")
        { Step = step });
    }

    private static int Again(long made, long from) => (int)Math.Clamp(made - from, 0, int.MaxValue);

    private static ImmutableArray<StageCheckpoint> Add(Stage stage, ImmutableArray<StageCheckpoint> all, CheckpointMade made) =>
        CheckpointChoice.Add(all, made, stage.Wish.BeginFrom?.Lineage ?? "");

    private static Stage TakeRefusal(Stage stage, RefusedCheckpoint refused, Observation seen, DateTimeOffset now)
    {
        if (stage.Checkpoints.LastOrDefault(c => c.Usable && refused.Means(c.Made)) is not { Made: var made })
        {
            return stage;
        }

        var next = stage with { Checkpoints = CheckpointChoice.Quarantine(stage.Checkpoints, refused) };
        string then = CheckpointChoice.Newest(next.Checkpoints) is { } older
            ? $"the newest before it is step {older.Made.Step}" : "no other is known";
        next = StageIncidents.Refused(next, refused, made.Step, then, seen, now);
        return StageDamage.SaveAgain(next, made.Step).Say(now, "checkpoint-refused",
            EventLevel.Warning, $"checkpoint {refused.Path} is not used again: {refused.Reason}; {then}");
    }

    /// <summary>
    /// The same thing measured at the same step counts once, by its latest attempt. One look at each, however many there are.
    /// </summary>
    private static Stage TakeEvaluations(Stage stage, ImmutableArray<Evaluation> told)
    {
        if (told.IsEmpty)
        {
            return stage;
        }

        var all = stage.Evaluations.ToBuilder();
        var places = new Dictionary<(string, long), int>();
        for (int i = 0; i < all.Count; i++)
        {
            places.TryAdd((all[i].Name, all[i].Step), i);
        }

        bool changed = false;
        foreach (var evaluation in told)
        {
            if (places.TryAdd((evaluation.Name, evaluation.Step), all.Count))
            {
                all.Add(evaluation);
                changed = true;
            }
            else if (places[(evaluation.Name, evaluation.Step)] is var old && all[old].Attempt < evaluation.Attempt)
            {
                all[old] = evaluation;
                changed = true;
            }
        }

        return changed ? stage with { Evaluations = all.ToImmutable() } : stage;
    }
}
