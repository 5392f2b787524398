using System.Collections.Immutable;
using DeepSeekOps.Decisions;
using DeepSeekOps.Decisions.Checkpoints;
using DeepSeekOps.Decisions.Health;
using DeepSeekOps.Decisions.Placement;
using DeepSeekOps.Decisions.Recipes;
using DeepSeekOps.Decisions.Runs;
using DeepSeekOps.Decisions.Simulation;
using DeepSeekOps.Decisions.Stages;
using DeepSeekOps.Recipes.Schedules;
using Xunit;

namespace DeepSeekOps.Simulation.Tests;

/// <summary>The laws are worth what they catch: planners and engines broken on purpose, one way each, must not get past them.</summary>
public sealed class MutationTests
{
    private const int Seeds = 100;

    private static readonly Dictionary<string, (Deciders Broken, string Law)> Mutants = new()
    {
        // The older agents end themselves by their number; what is left is nodes that nobody gives back.
        ["asks for a new gang before the old one has given its nodes back"] = (WithStage(Hasty), "nodes are still held"),
        ["forgets the newest checkpoint at each launch"] = (WithStage(Forgetful), "is forgotten"),
        ["never counts a restart"] = (WithStage(Tireless), "restarts of one cause without a checkpoint"),
        ["takes a minute of silence for death"] = (WithStage(Nervous), "a healthy gang was ended"),
        ["never notices a hang"] = (WithStage(Patient), "never ends"),
        ["forgets what it leaves out"] = (WithStage(Careless), "without leaving its batch out"),
        ["places as if nobody held anything"] = (Deciders.Real with { Placement = q => PlacementQueue.Decide(q with { Held = [] }) },
            "is granted twice"),
        ["places into maintenance"] =
            (Deciders.Real with { Placement = q => PlacementQueue.Decide(q with { Policy = q.Policy with { Maintenance = [] } }) },
            "into maintenance"),
        ["gives spares to everybody"] =
            (Deciders.Real with { Placement = q => PlacementQueue.Decide(q with { Policy = q.Policy with { Spares = 0 } }) },
            "lost no node and leaves"),
        ["acts before it writes"] = (Deciders.Real with { Tick = ActingFirst }, "no stage is written that holds it"),
        ["takes what an older attempt says for the present"] = (Deciders.Real with { Hear = Gullible }, "a healthy gang was ended"),
        ["acknowledges what it has not written"] = (Deciders.Real with { Hear = Rash }, "is acknowledged and not written"),
        ["scales the batch with the nodes"] = (WithStage(Scaling), "trains another batch than the run asks for"),
        ["lays a gang out for fewer nodes than it holds"] = (WithStage(Stingy), "ranks of a world of"),
        ["forms a gang again before what it gave up has ended"] = (WithStage(Impatient), "which it has given up"),
        ["makes pods on a node before the gang has it"] = (WithStage(Grabbing), "which is not granted to it"),
        ["trusts new nodes"] = (WithStage(Trusting), "which nothing has checked"),
        ["counts one step for two"] = (WithStage(Sloppy), "counts as checked before"),
        ["completes at the first checkpoint"] = (WithStage(Premature), "completed at step"),
        ["tells a stage before it writes the run"] = (Deciders.Real with { RunTick = TellingFirst }, "which its run has not written"),
        ["does not hear how its stages are"] = (Deciders.Real with { RunHear = (_, _) => false }, "never ends"),
        ["hands on a checkpoint of a stage that still trains"] = (Deciders.Real with { Run = Overhasty }, "has begun while"),
        ["begins each stage anew"] = (Deciders.Real with { Run = Rootless }, "not from what"),
    };

    /// <summary>Where a world catches one: it is played first, and the others where it does so no longer.</summary>
    private static readonly Dictionary<string, int> CaughtBy = new()
    {
        ["asks for a new gang before the old one has given its nodes back"] = 22,
        ["forgets the newest checkpoint at each launch"] = 22,
        ["never counts a restart"] = 4,
        ["forgets what it leaves out"] = 24,
        ["places into maintenance"] = 6,
        ["gives spares to everybody"] = 14,
        ["acts before it writes"] = 46,
        ["scales the batch with the nodes"] = 4,
        ["lays a gang out for fewer nodes than it holds"] = 4,
        ["tells a stage before it writes the run"] = 90,
    };

    public static TheoryData<string> Names => [.. Mutants.Keys];

    [Theory]
    [MemberData(nameof(Names))]
    public void A_planner_or_engine_broken_on_purpose_is_caught(string name)
    {
        var (broken, law) = Mutants[name];
        var caught = new List<string>();
        foreach (int seed in Enumerable.Range(1, Seeds).OrderByDescending(s => s == CaughtBy.GetValueOrDefault(name)))
        {
            if (caught.Exists(c => c.Contains(law, StringComparison.Ordinal)))
            {
                break;
            }

            try
            {
                SeedTests.Played(World(seed), broken);
            }
            catch (LawBrokenException found)
            {
                caught.Add(found.Message);
                TestContext.Current.TestOutputHelper?.WriteLine($"seed {seed}: {found.Message}");
            }
        }

        Assert.True(caught.Exists(c => c.Contains(law, StringComparison.Ordinal)),
            $"{Seeds} worlds with one that {name}: {(caught.Count == 0 ? "no law broken" : string.Join('\n', caught))}");
    }

    /// <summary>Every other one has a single hang and nothing else, which no later fault makes good.</summary>
    private static Scenario World(int seed) => seed % 2 == 0
        ? SmallWorld.Drawn(seed) with { Limit = TimeSpan.FromHours(2) }
        : SmallWorld.Scripted(nodes: 3, gang: 2, steps: 40, stepSeconds: 2, saveEvery: 5, inMemory: false, checks: false,
            [new ScriptedFault(TimeSpan.FromSeconds(20 + seed), new NodeId("node-0000"),
                new FaultCause("stuck", 1, FaultEffect.RankHangs))]);

    private static Deciders WithStage(Func<Stage, Observation, DateTimeOffset, Decision> stage) => Deciders.Real with { Stage = stage };

    private static IEnumerable<StageEffect> ActingFirst(StageEngine engine) =>
        WritingLast(engine.Tick(), effect => effect is StageEffect.Write write
            && Said(() => write.Written(write.Next with { Outbox = [] })));

    private static IEnumerable<RunEffect> TellingFirst(RunEngine engine) =>
        WritingLast(engine.Tick(), effect => effect is RunEffect.Write write
            && Said(() => write.Written(write.Next with { Outbox = [] })));

    /// <summary>The engine's own tick, but what is to be written is written at its end.</summary>
    /// <param name="said">Tells the engine of a write, and of nothing else, that it is done.</param>
    private static IEnumerable<TEffect> WritingLast<TEffect>(IEnumerable<TEffect> tick, Func<TEffect, bool> said)
    {
        var unwritten = new List<TEffect>();
        foreach (var effect in tick)
        {
            if (said(effect))
            {
                unwritten.Add(effect);
                continue;
            }

            yield return effect;
        }

        foreach (var write in unwritten)
        {
            yield return write;
        }
    }

    private static bool Said(Action written)
    {
        written();
        return true;
    }

    private static RunDecision Overhasty(Run run, ImmutableArray<StageReport?> reports, DateTimeOffset now) =>
        RunPlanner.Decide(run, [.. reports.Select(r => r is { Phase: Phase.Running, UsableSteps: [.., var step] }
            && new CheckpointRef(run.Name, r.Stage.Stage, step, $"{r.Stage}/{step}", "", "") is var made
                ? r with { Phase = new Phase.Completed(made, now), Final = made } : r)], now);

    private static RunDecision Rootless(Run run, ImmutableArray<StageReport?> reports, DateTimeOffset now)
    {
        var decision = RunPlanner.Decide(run, reports, now);
        return decision with { Wishes = [.. decision.Wishes.Select(w => w with { BeginFrom = null })] };
    }

    /// <summary>The number of the attempt fences nothing out.</summary>
    private static WorkerReply Gullible(StageEngine engine, AgentBeat beat, Instant now)
    {
        int attempt = engine.Stage!.Attempt;
        var present = beat with { Attempt = attempt, Ranks = [.. beat.Ranks.Select(r => r with { Attempt = attempt })] };
        return engine.Heartbeat(present, now, _ => beat.Sequence).Reply;
    }

    /// <summary>Tells each agent that its beat is taken for good, before a tick has written what is in it.</summary>
    private static WorkerReply Rash(StageEngine engine, AgentBeat beat, Instant now) =>
        engine.Heartbeat(beat, now, _ => beat.Sequence).Reply with { Acknowledged = beat.Sequence };

    private static Decision Hasty(Stage stage, Observation seen, DateTimeOffset now) =>
        StagePlanner.Decide(stage,
            stage.Phase is Phase.Stopping { Then: Ending.Relaunch } stopping ? seen with { GoneGang = stopping.Gang.Id } : seen, now);

    private static Decision Forgetful(Stage stage, Observation seen, DateTimeOffset now)
    {
        var decision = StagePlanner.Decide(stage, seen, now);
        var kept = decision.Next.Checkpoints;
        return decision.Next.Attempt == stage.Attempt || kept.IsEmpty ? decision
            : decision with { Next = decision.Next with { Checkpoints = kept[..^1] } };
    }

    private static Decision Careless(Stage stage, Observation seen, DateTimeOffset now)
    {
        var decision = StagePlanner.Decide(stage, seen, now);
        return decision.Next.LeftOut.IsEmpty ? decision : decision with { Next = decision.Next with { LeftOut = [] } };
    }

    private static Decision Tireless(Stage stage, Observation seen, DateTimeOffset now) =>
        StagePlanner.Decide(stage with { Restarts = [] }, seen, now);

    private static Decision Nervous(Stage stage, Observation seen, DateTimeOffset now) =>
        StagePlanner.Decide(stage,
            stage.Phase is Phase.Running ? seen with { Now = Instant.OfOneClock(seen.Now.At + TimeSpan.FromMinutes(3)) } : seen, now);

    private static Decision Patient(Stage stage, Observation seen, DateTimeOffset now) => StagePlanner.Decide(stage, seen with
    {
        Agents = [.. seen.Agents.Select(a => a with { Ranks = [.. a.Ranks.Select(r => r with { SinceProgress = TimeSpan.Zero })] })],
    }, now);

    private static Decision Scaling(Stage stage, Observation seen, DateTimeOffset now)
    {
        var decision = StagePlanner.Decide(stage, seen, now);
        var pipeline = decision.Next.Wish.Pipeline;
        return decision.Next.Shrunk?.Layout is not { } layout || decision.Next.Phase is not Phase.Starting ? decision
            : decision with
            {
                Next = decision.Next with
                {
                    Wish = decision.Next.Wish with
                    {
                        Pipeline = pipeline with
                        {
                            Stages = [.. pipeline.Stages.Select(s => s.Recipe is not StageRecipe.Pretraining p ? s : s with
                            {
                                Recipe = p with { BatchSize = BatchRamp.Constant(Math.Max(1, p.BatchSize.To * layout.Nodes / layout.Of)) },
                            })],
                        },
                    },
                },
            };
    }

    private static Decision Stingy(Stage stage, Observation seen, DateTimeOffset now)
    {
        var decision = StagePlanner.Decide(stage, seen, now);
        return decision.Next is not { Phase: Phase.Starting, Shrunk: { Layout: { Nodes: > 1 } layout } shrunk } ? decision
            : decision with { Next = decision.Next with { Shrunk = shrunk with { Layout = layout with { Nodes = layout.Nodes - 1 } } } };
    }

    private static Decision Impatient(Stage stage, Observation seen, DateTimeOffset now)
    {
        var decision = StagePlanner.Decide(stage, seen, now);
        return decision.Next.Phase is not Phase.Restarting { Leaving: [_, ..] } leaving ? decision
            : decision with { Next = decision.Next with { Phase = leaving with { Leaving = [] } }, Actions = [] };
    }

    private static Decision Grabbing(Stage stage, Observation seen, DateTimeOffset now)
    {
        var decision = StagePlanner.Decide(stage, seen, now);
        return decision.Next.Phase is not Phase.Restarting { Leaving: [], Joining: [_, ..] } joining ? decision
            : decision with { Next = decision.Next with { Phase = joining with { Joining = [] } } };
    }

    private static Decision Trusting(Stage stage, Observation seen, DateTimeOffset now)
    {
        var decision = StagePlanner.Decide(stage, seen, now);
        return decision.Next.Phase is not Phase.Checking checking ? decision
            : decision with { Next = decision.Next with { Phase = new Phase.Running(checking.Gang, now, null) } };
    }

    private static Decision Sloppy(Stage stage, Observation seen, DateTimeOffset now)
    {
        var decision = StagePlanner.Decide(stage, seen, now);
        return decision.Next.Phase is not Phase.Checking checking ? decision : decision with
        {
            Next = decision.Next with { Phase = new Phase.Running(checking.Gang with { Untried = [] }, now, null) },
        };
    }

    private static Decision Premature(Stage stage, Observation seen, DateTimeOffset now)
    {
        var decision = StagePlanner.Decide(stage, seen, now);
        return decision.Next is { Phase: Phase.Running running, Checkpoints: [var first, ..] }
            ? decision with
            {
                Next = decision.Next with { Phase = new Phase.Stopping(running.Gang, now, new Ending.Complete(first.Ref(stage.Id)), null) },
            }
            : decision;
    }
}
