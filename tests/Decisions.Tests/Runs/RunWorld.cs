using System.Collections.Immutable;
using System.Text.Json;
using DeepSeekOps.Decisions.Checkpoints;
using DeepSeekOps.Decisions.Gangs;
using DeepSeekOps.Decisions.Recipes;
using DeepSeekOps.Decisions.Runs;
using DeepSeekOps.Decisions.Stages;

namespace DeepSeekOps.Decisions.Tests.Runs;

/// <summary>A run of three stages; the stages answer wishes as stages do, and a random number says how fast and how well.</summary>
internal sealed class RunWorld(Random random)
{
    private static readonly ImmutableArray<string> Names = ["pretrain", "sft", "rl"];

    private readonly StageReport?[] reports = new StageReport?[Names.Length];
    private DateTimeOffset now = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    public Run Run { get; private set; } = RunCommands.Begin(Submission(), new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero));

    public ImmutableArray<StageReport?> Reports => [.. reports];

    /// <summary>Every wish to train, in order.</summary>
    public List<StageWish> Trained { get; } = [];

    public void Tick()
    {
        now += TimeSpan.FromSeconds(1);
        var decision = RunPlanner.Decide(Run, Reports, now);
        // What is written is what JSON gives back; a decision to stay writes nothing.
        Run = ReferenceEquals(decision.Next, Run) ? Run : JsonSerializer.Deserialize<Run>(JsonSerializer.Serialize(decision.Next))!;
        foreach (var wish in decision.Wishes)
        {
            if (wish.Intent == Intent.Train)
            {
                Trained.Add(wish);
            }

            int index = Names.IndexOf(wish.Stage.Stage);
            reports[index] = Answer(reports[index], wish);
        }
    }

    public CommandDecision Command(int which) => Take(which switch
    {
        0 => RunCommands.Pause(Run, "", now),
        1 => RunCommands.Resume(Run, "", now),
        2 => RunCommands.Cancel(Run, "", now),
        _ => RunCommands.Retry(Run, random.Next(2) == 0 ? "" : Names[random.Next(Names.Length)], 0, Reports, now),
    });

    private CommandDecision Take(CommandDecision decision)
    {
        Run = decision is CommandDecision.Take take ? take.Next : Run;
        return decision;
    }

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
