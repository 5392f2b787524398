using System.Collections.Immutable;
using CsCheck;
using DeepSeekOps.Decisions.Recipes;
using DeepSeekOps.Decisions.Runs;
using DeepSeekOps.Decisions.Stages;
using Xunit;

namespace DeepSeekOps.Decisions.Tests.Runs;

/// <summary>What follows for a TrainingPipeline from what is seen of it and of its run.</summary>
public sealed class DeclarationPlannerTests
{
    private const string Resource = "TrainingPipeline dsops/mini";

    private static readonly DateTimeOffset Now = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    private static Declaration New { get; } = new(Resource, 1, "mini", null, false, null);

    private static Declaration Bound { get; } = New with { Claim = "mini" };

    [Fact]
    public void A_resource_is_bound_before_anything_of_it_begins_so_that_it_cannot_go_without_us()
    {
        Assert.Equal(new DeclarationStep.Hold("mini"), Step(New, new RunFound.None()));
        Assert.IsType<DeclarationStep.Submit>(Step(Bound, new RunFound.None()));
    }

    [Fact]
    public void A_deleted_resource_cancels_its_run_waits_for_the_end_and_is_let_go()
    {
        var deleted = Told(Bound, "running") with { Deleting = true };
        Assert.Equal(new DeclarationStep.Cancel("mini"), Step(deleted, Run("running")));
        Assert.IsType<DeclarationStep.Tell>(Step(deleted, Run("cancelling")));
        Assert.IsType<DeclarationStep.LetGo>(Step(deleted, Run("cancelled")));
        Assert.IsType<DeclarationStep.LetGo>(Step(deleted, new RunFound.None()));
    }

    [Fact]
    public void A_run_that_cannot_be_asked_is_no_reason_for_anything()
    {
        foreach (var seen in new[] { New, Bound, Told(Bound, "running") with { Deleting = true } })
        {
            var decision = DeclarationPlanner.Decide(seen, new RunFound.Unknown("its silo moves"), Now, null, null);
            Assert.IsType<DeclarationStep.Stay>(decision.Step);
            Assert.Contains("its silo moves", decision.Reason, StringComparison.Ordinal);
        }
    }

    [Theory]
    [InlineData("", "a submission (dsops submit, REST or the pages)")]
    [InlineData("TrainingPipeline dsops/other", "TrainingPipeline dsops/other")]
    public void A_name_that_somebody_elses_run_has_is_told_in_words_and_that_run_is_left_alone(string by, string whom)
    {
        var status = Assert.IsType<DeclarationStep.Tell>(Step(Bound, Run("running", by))).Status;
        Assert.Equal((DeclarationVerdict.NameTaken, "refused", ""), (status.Verdict, status.State, status.Run));
        Assert.Contains($"a run named mini exists already, and it was submitted by {whom}", status.Words, StringComparison.Ordinal);
        Assert.IsType<DeclarationStep.Stay>(Step(Bound with { Told = status }, Run("running", by)));
        Assert.IsType<DeclarationStep.LetGo>(Step(Bound with { Told = status, Deleting = true }, Run("running", by)));
    }

    [Fact]
    public void A_changed_spec_is_compared_with_the_run_and_another_name_in_it_is_refused_in_words()
    {
        var changed = Told(Bound, "running") with { Generation = 2 };
        Assert.IsType<DeclarationStep.Submit>(Step(changed, Run("running")));
        var renamed = Assert.IsType<DeclarationStep.Tell>(Step(changed with { Run = "other" }, Run("running"))).Status;
        Assert.Equal((DeclarationVerdict.SpecChanged, "running", "mini"), (renamed.Verdict, renamed.State, renamed.Run));
        Assert.Contains("spec.name: 'other' is another run than mini", renamed.Words, StringComparison.Ordinal);
        // Put back, it is compared again.
        Assert.IsType<DeclarationStep.Submit>(Step(changed with { Told = renamed, Generation = 3 }, Run("running")));
    }

    [Fact]
    public void A_name_that_was_refused_may_still_be_changed()
    {
        var refused = Bound with { Told = Status(Bound, new RunFound.None(), new(DeclarationVerdict.Refused, "stages: none")) };
        Assert.Equal(new DeclarationStep.Hold("other"), Step(refused with { Run = "other", Generation = 2 }, new RunFound.None()));
        Assert.Equal(new DeclarationStep.Hold("other"), Step(refused with { Run = "other", Generation = 2 }, Run("running", "")));
    }

    [Fact]
    public void A_refusal_is_tried_again_after_a_minute_and_at_once_when_the_spec_changes()
    {
        var refused = Bound with { Told = Status(Bound, new RunFound.None(), new(DeclarationVerdict.Refused, "data.source: gone")) };
        Assert.IsType<DeclarationStep.Stay>(Decide(refused, new RunFound.None(), TimeSpan.FromSeconds(59), null).Step);
        Assert.IsType<DeclarationStep.Submit>(Decide(refused, new RunFound.None(), TimeSpan.FromSeconds(60), null).Step);
        Assert.IsType<DeclarationStep.Submit>(Decide(refused with { Generation = 2 }, new RunFound.None(), TimeSpan.Zero, null).Step);
    }

    [Fact]
    public void A_run_of_an_earlier_resource_of_this_name_is_not_taken_for_a_new_one()
    {
        var status = Assert.IsType<DeclarationStep.Tell>(Step(Bound, Run("cancelled"))).Status;
        Assert.Equal((DeclarationVerdict.RunEnded, "cancelled"), (status.Verdict, status.State));
        Assert.Contains("`dsops retry mini` goes on with it", status.Words, StringComparison.Ordinal);
        // Retried, it is this resource's.
        Assert.IsType<DeclarationStep.Submit>(Step(Bound with { Told = status }, Run("running")));
    }

    [Fact]
    public void Steps_alone_are_told_four_times_a_minute_and_a_change_of_state_at_once()
    {
        var told = Told(Bound, "running");
        Assert.IsType<DeclarationStep.Stay>(Decide(told, Run("running", step: 9), null, TimeSpan.FromSeconds(14)).Step);
        Assert.IsType<DeclarationStep.Tell>(Decide(told, Run("running", step: 9), null, TimeSpan.FromSeconds(15)).Step);
        var paused = Assert.IsType<DeclarationStep.Tell>(Decide(told, Run("paused", step: 9), null, TimeSpan.Zero).Step).Status;
        Assert.Equal(("paused", "pretrain", 9L), (paused.State, paused.Stage, paused.Step));
    }

    [Fact]
    public void A_condition_remembers_since_when_it_holds()
    {
        var running = Told(Bound, "running").Told!;
        var later = DeclarationPlanner.StatusOf(
            Bound with { Told = running }, Run("completed"), DeclarationAnswer.Taken, Now + TimeSpan.FromHours(1));
        Assert.Equal((Now, Now + TimeSpan.FromHours(1)), (later.AcceptedSince, later.FinishedSince));
    }

    /// <summary>People apply, edit, delete and submit at random; the database and our memory are lost now and then.</summary>
    [Fact]
    public void Whatever_people_do_runs_of_others_are_left_alone_nothing_is_orphaned_and_it_comes_to_rest() =>
        Gen.Int[0, 8].Array[0, 60].Sample(acts =>
        {
            var world = new DeclarationWorld();
            foreach (int act in acts)
            {
                world.Act(act);
                world.Turn();
            }

            int turns = 0;
            while (world.Turn())
            {
                Assert.True(++turns < 20, $"it does not come to rest: {world.Seen}");
            }

            world.CheckAtRest();
        }, iter: 3_000);

    private static DeclarationStep Step(Declaration seen, RunFound run) => Decide(seen, run, null, null).Step;

    private static DeclarationDecision Decide(Declaration seen, RunFound run, TimeSpan? sinceTried, TimeSpan? sinceTold)
    {
        var decision = DeclarationPlanner.Decide(seen, run, Now, sinceTried, sinceTold);
        Assert.NotEmpty(decision.Reason);
        return decision;
    }

    private static DeclarationStatus Status(Declaration seen, RunFound run, DeclarationAnswer answer) =>
        DeclarationPlanner.StatusOf(seen, run, answer, Now);

    private static Declaration Told(Declaration seen, string state) =>
        seen with { Told = Status(seen, Run(state), DeclarationAnswer.Taken) };

    private static RunFound.There Run(string state, string by = Resource, long step = 3) =>
        new(DeclarationWorld.View("mini", state, by, step));
}

/// <summary>One resource, the runs of three names, and an API server that shows its resource as it is.</summary>
internal sealed class DeclarationWorld
{
    private const string Resource = "TrainingPipeline dsops/mini";

    private readonly Dictionary<string, RunView> runs = [];
    private DateTimeOffset now = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);
    private bool fits = true;

    public Declaration? Seen { get; private set; }

    public void Act(int act)
    {
        switch (act)
        {
            case 0 when Seen is null:
                Seen = new Declaration(Resource, 1, "a", null, false, null);
                break;
            case 0 or 1 when Seen is { Deleting: false } there:
                Seen = there with { Run = there.Run == "a" ? "b" : "a", Generation = there.Generation + 1 };
                break;
            case 2 when Seen is { Claim: null }:
                Seen = null;
                break;
            case 2 when Seen is { } there:
                Seen = there with { Deleting = true };
                break;
            case 3:
                runs.TryAdd("a", View("a", "running", "", 1));
                break;
            case 4:
                runs.TryAdd("b", View("b", "running", "", 1));
                break;
            case 5:
                foreach (string name in runs.Keys.Where(n => runs[n].State == "running").Order().ToList())
                {
                    runs[name] = runs[name] with { State = "completed" };
                }

                break;
            case 6:
                fits = !fits;
                break;
            case 7:
                runs.Clear();
                break;
            default:
                // A crash after the submission and before the word of it.
                if (Seen is { Told: not null } said)
                {
                    Seen = said with { Told = null };
                }

                break;
        }
    }

    /// <summary>False: it rests.</summary>
    public bool Turn()
    {
        now += TimeSpan.FromMinutes(2);
        foreach (string name in runs.Keys.Where(n => runs[n].State == "cancelling").ToList())
        {
            runs[name] = runs[name] with { State = "cancelled" };
        }

        if (Seen is not { } seen)
        {
            return false;
        }

        var found = Find(seen.Watched);
        var step = DeclarationPlanner.Decide(seen, found, now, fits ? null : TimeSpan.Zero, null).Step;
        switch (step)
        {
            case DeclarationStep.Hold hold:
                Assert.False(seen.Deleting);
                Assert.False(Own(seen.Claim ?? "") && !runs[seen.Claim!].Ended, "a running run was let out of hand");
                Seen = seen with { Claim = hold.Run };
                return true;
            case DeclarationStep.Submit:
                Assert.True(seen is { Deleting: false } && seen.Claim == seen.Run);
                Seen = seen with { Told = DeclarationPlanner.StatusOf(seen, Submitted(seen), Answer(seen), now) };
                return true;
            case DeclarationStep.Cancel cancel:
                Assert.True(seen.Deleting && runs[cancel.Run].DeclaredBy == Resource && !runs[cancel.Run].Ended);
                runs[cancel.Run] = runs[cancel.Run] with { State = "cancelling" };
                return true;
            case DeclarationStep.Tell tell:
                Seen = seen with { Told = tell.Status };
                return true;
            case DeclarationStep.LetGo:
                Assert.True(seen.Deleting && runs.Values.All(r => r.DeclaredBy != Resource || r.Ended));
                Seen = null;
                return true;
            default:
                return false;
        }
    }

    public void CheckAtRest()
    {
        if (Seen is not { } seen)
        {
            Assert.All(runs.Values.Where(r => r.DeclaredBy == Resource), r => Assert.True(r.Ended));
            return;
        }

        Assert.False(seen is { Deleting: true, Claim: not null }, "a deleted resource stays for ever");
        if (!seen.Deleting)
        {
            var told = Assert.IsType<DeclarationStatus>(seen.Told);
            Assert.Equal(told.Run.Length > 0, Own(told.Run));
            Assert.True(told.Accepted || told.Words.Length > 0);
            Assert.Equal(told.Run.Length > 0 ? runs[told.Run].State : "refused", told.State);
        }
    }

    public static RunView View(string name, string state, string by, long step) => new(
        name, "a", state, "so it is", DateTimeOffset.UnixEpoch, null,
        [
            StageViews.NotBegun(new StageWork("pretrain", "pretraining", 10, 10, 1, 1, 0, "a", 3, null, new RecoveryPolicy())) with
            {
                State = state, Step = step,
            },
        ], "", false)
    { DeclaredBy = by };

    private bool Own(string name) => runs.TryGetValue(name, out var run) && run.DeclaredBy == Resource;

    private RunFound Find(string name) => runs.TryGetValue(name, out var run) ? new RunFound.There(run) : new RunFound.None();

    private RunFound Submitted(Declaration seen)
    {
        if (fits)
        {
            runs.TryAdd(seen.Run, View(seen.Run, "running", Resource, 0));
        }

        return Find(seen.Run);
    }

    private DeclarationAnswer Answer(Declaration seen) => Own(seen.Run) ? DeclarationAnswer.Taken
        : new DeclarationAnswer(DeclarationVerdict.Refused, "stages: there are none");
}
