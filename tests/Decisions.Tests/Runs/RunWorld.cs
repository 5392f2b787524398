using System.Collections.Immutable;
using System.Text.Json;
using DeepSeekOps.Decisions.Checkpoints;
using DeepSeekOps.Decisions.Gangs;
using DeepSeekOps.Decisions.Recipes;
using DeepSeekOps.Decisions.Runs;
using DeepSeekOps.Decisions.Stages;

namespace DeepSeekOps.Decisions.Tests.Runs;

/// <summary>
/// A run of three stages hosted like a grain hosts it; the stages answer wishes as stages do, and a random number says how fast and how
/// well, and where the process ends. What is written is what JSON gives back.
/// </summary>
internal sealed class RunWorld
{
    private static readonly ImmutableArray<string> Names = ["pretrain", "sft", "rl"];

    private readonly Random random;
    private readonly double crashes;
    private readonly StageReport?[] stages = new StageReport?[Names.Length];
    private DateTimeOffset now = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);
    private RunEngine engine = new(null);

    /// <param name="crashes">How likely the process ends after each thing that it did.</param>
    public RunWorld(Random random, double crashes = 0)
    {
        (this.random, this.crashes) = (random, crashes);
        foreach (var effect in engine.Begin(Submission(), now, new AskedOfRun()))
        {
            Do(effect);
        }
    }

    /// <summary>As the disk has it.</summary>
    public Run Run { get; private set; } = null!;

    public ImmutableArray<StageReport?> Reports => [.. stages];

    /// <summary>Every wish to train, in order.</summary>
    public List<StageWish> Trained { get; } = [];

    /// <summary>Wishes of a round that the disk did not have when they were said.</summary>
    public List<StageWish> Unwritten { get; } = [];

    /// <summary>Whatever another process has written meanwhile, once.</summary>
    public Run? Newer { get; set; }

    public RunEngine Engine => engine;

    public void Tick()
    {
        now += TimeSpan.FromSeconds(1);
        Carry(engine.Turn());
    }

    public CommandDecision Command(int which)
    {
        int stage = random.Next(2) == 0 ? -1 : random.Next(Names.Length);
        CommandDecision? last = null;
        Carry(engine.Command((run, reports) => last = which switch
        {
            0 => RunCommands.Pause(run, "", now),
            1 => RunCommands.Resume(run, "", now),
            2 => RunCommands.Cancel(run, "", now),
            _ => RunCommands.Retry(run, stage < 0 ? "" : Names[stage], 0, reports, now),
        }, new AskedOfRun()));
        return last!;
    }

    private void Carry(IEnumerable<RunEffect> effects)
    {
        foreach (var effect in engine.Wake().Concat(effects))
        {
            Do(effect);
            if (random.NextDouble() < crashes)
            {
                engine = new RunEngine(Run);
                return;
            }
        }
    }

    private void Do(RunEffect effect) => effect.Match<object?>(
        askStages: ask =>
        {
            ask.Reports = Reports;
            return null;
        },
        lookAtClock: look => look.Now = now,
        lookAtFolders: _ => null,
        write: write =>
        {
            if (Newer is { } newer)
            {
                (Run, Newer) = (newer, null);
                write.Superseded(newer);
                return null;
            }

            Run = JsonSerializer.Deserialize<Run>(JsonSerializer.Serialize(write.Next))!;
            write.Written(Run);
            return null;
        },
        want: want =>
        {
            var wish = want.Wish;
            if (wish.Intent == Intent.Train)
            {
                Trained.Add(wish);
            }

            int index = Names.IndexOf(wish.Stage.Stage);
            if (wish.Round > Run.Stages[index].Round)
            {
                Unwritten.Add(wish);
            }

            return want.Report = stages[index] = Answer(stages[index], wish);
        });

    private StageReport Answer(StageReport? old, StageWish wish)
    {
        var gang = new GangGrant(wish.Stage, 1, [new NodeId("node-0")], 1, now);
        bool ended = old is { Phase.Terminal: true } && old.Round >= wish.Round;
        Phase phase = wish.Intent switch
        {
            _ when ended => old!.Phase,
            Intent.Cancel => random.Next(2) == 0 ? new Phase.Cancelled(now) : new Phase.Stopping(gang, now, new Ending.Cancel(""), null),
            Intent.Pause => random.Next(2) == 0 ? new Phase.Paused(now) : new Phase.Stopping(gang, now, new Ending.Pause(""), null),
            _ => random.Next(10) switch
            {
                < 2 => new Phase.Queued(now),
                < 6 => new Phase.Running(gang, now, null),
                < 9 => new Phase.Completed(new CheckpointRef(wish.Stage.Run, wish.Stage.Stage, 10, $"{wish.Stage}/10", "", ""), now),
                _ => new Phase.Failed("loss is NaN", now),
            },
        };
        // Now and then a gang completes although it was asked for something else.
        if (!ended && wish.Intent != Intent.Train && random.Next(8) == 0)
        {
            phase = random.Next(2) == 0 ? new Phase.Failed("too late", now)
                : new Phase.Completed(new CheckpointRef(wish.Stage.Run, wish.Stage.Stage, 10, $"{wish.Stage}/10", "", ""), now);
        }

        int round = ended ? old!.Round : wish.Round;
        var final = (phase as Phase.Completed)?.Final;
        return new StageReport(wish.Stage, round, phase, "so it is", final, [10], StageViews.NotBegun(wish.Work));
    }

    private static RunSubmission Submission() => new("mini", new PipelineSpec
    {
        Name = "mini", ModelFrom = new PublishedCheckpoint("/models/v3", "0123456789abcdef"),
        Stages = [.. Names.Select(n => new StageSpec
        {
            Name = n,
            Recipe = new StageRecipe.ReinforcementLearning { Steps = 10, Questions = 1, GroupSize = 2, MaxNewTokens = 1 },
            Gates = n == "rl" ? [new Gate.Approval()] : [],
        })],
    }, "");
}
