using DeepSeekOps.ControlPlane.Cli.Questions;
using Xunit;

namespace DeepSeekOps.ControlPlane.Tests.Cli.Questions;

/// <summary>Every question against nights whose truth is known. Pure; a second of them all.</summary>
public sealed class QuestionTests
{
    private const string NoIncident = "Not known, because no incident is recorded of new.";

    private const string NoGpu = "Not known, because new has not asked for a GPU yet: it is queued (begins stage pretrain).";

    private const string NotMeasured = "Not known, because what a rank waits for data is not measured by itself: a recorded step has it "
        + "within what it computes.";

    /// <summary>Of <see cref="Night.Broken"/> (a killed rank), and of <see cref="Night.Quiet"/> (nothing).</summary>
    private static readonly Dictionary<string, (string Broken, string Quiet)> Truth = new()
    {
        ["why-waits"] = (
            "mini does not wait for nodes: it is running (stage pretrain trains).",
            "new does not wait for nodes: it is queued (begins stage pretrain)."),
        ["when-starts"] = (
            "mini has started: pretrain began 2 h ago, and it is running.",
            "Not known, because new waits for no nodes: it is queued (begins stage pretrain)."),
        ["who-holds"] = (
            "mini/pretrain holds 4 of the 18 GPUs; 12 are free; mini waits for none of them.",
            "Nobody holds any of the 8 GPUs; 8 are free; new waits for none of them."),
        ["what-broke"] = (
            "The last 1 d: 0 incidents need a person, 0 are on the way, 1 was fixed and verified; 0.50 GPU-hours ($1.00).",
            "Nothing broke within 1 d: no incident of new is recorded."),
        ["who-guilty"] = (
            "Rank 3 on node-1 is to blame: rank 3 on node-1 ended by SIGKILL.",
            NoIncident),
        ["last-line"] = (
            "The last line of rank 3 on node-1 (signal 9) is quoted below, of 2 lines kept.",
            NoIncident),
        ["what-done"] = (
            "Rank 3 is launched again in place, from step 400.",
            NoIncident),
        ["did-it-work"] = (
            "Yes, and that was verified: 12 steps were made twice, their losses equal to the last bit.",
            NoIncident),
        ["incident-cost"] = (
            "It cost 0.50 GPU-hours of 4 ranks, $1.00.",
            NoIncident),
        ["steps-lost"] = (
            "12 steps were made and had to be made again.",
            NoIncident),
        ["resume-from"] = (
            "mini/pretrain would go on from step 400; 430 are made.",
            "new/pretrain has no checkpoint yet: it would begin again at its step 0."),
        ["trusted"] = (
            "Yes. pretrain: newest checkpoint step 400; it was read whole 3 min ago by the agent on node-0.",
            "Not known, because new has no checkpoint that could be gone on from."),
        ["quarantined"] = (
            "Yes, 1: step 380 of pretrain, shard 1 has another digest.",
            "No: new has no checkpoint yet."),
        ["when-ends"] = (
            "mini ends in 54 min, about 2026-01-02 08:54 UTC (50 min to 1 h): median of 32 steps.",
            "Not known, because new makes no steps: it is queued (begins stage pretrain)."),
        ["how-fast"] = (
            "mini/pretrain makes 1.00 k tokens/s.",
            "Not known, because no two steps were told one after the other yet."),
        ["mfu"] = (
            "MFU of mini/pretrain is 38.1 %.",
            "Not known, because none was told of pretrain: it has made no two steps, or the peak of its device is not known."),
        ["slower"] = (
            "Yes: 1.00 k tokens/s now and 2.00 k halfway.",
            "Not known, because pretrain has too few steps with a speed to compare: it is at step 0."),
        ["slowest-rank"] = (
            "No rank is a quarter slower than its like; rank 2 computed longest in step 420.",
            "Not known, because no rank is named as slow, and no step was recorded: `dsops trace new` records two."),
        ["data-starved"] = (
            NotMeasured,
            NotMeasured),
        ["loss-spike"] = (
            "Yes: 1 step was flagged. It was a spike: the loss is back.",
            "No: no step's loss of new was flagged."),
        ["not-finite"] = (
            "No: none of 860 points of 2 series is NaN or infinite.",
            "Not known, because new has told no numbers yet."),
        ["results"] = (
            "pretrain: heldout_loss_after is 2.2000 (2.1000 to 2.3000) of 32 samples; its loss is 2.4100 at step 430.",
            "Not known, because no stage of new has measured anything yet."),
        ["which-runs"] = (
            "2 runs: 1 failed, 1 running.",
            "None: no run was submitted yet."),
        ["doing"] = (
            "mini is running; pretrain is running, step 430/1000, loss 2.4100.",
            "new is queued; pretrain is waiting."),
        ["changed"] = (
            "1 field is not the same against base, the run most like it of those submitted before.",
            "Not known, because no run is recorded as the one that new was made from, and none with its stages was submitted before."),
        ["alike"] = (
            "base is most like it: 1 field differs; 1 other run has its stages and size.",
            "None: no other run has the stages and the size of new."),
        ["who-asked"] = (
            "ann submitted it.",
            "Not known, because the audit log has no line of who submitted new, and nobody asked anything of it since."),
        ["run-cost"] = (
            "mini has cost 10.00 GPU-hours until now, $20.00.",
            NoGpu),
        ["goodput"] = (
            "90.0 % of 10.00 GPU-hours was productive; most of the rest is restart, 1.00 GPU-hours (from the notice to the next step).",
            NoGpu),
        ["nodes-out"] = (
            "1 of 3 nodes, 2 GPUs: 1 cordoned. node-2: fan.",
            "None: the one node is ready."),
        ["lemon"] = (
            "node-2 fails most: its score is 2.50, and no other has one.",
            "None: no node has ended an attempt lately."),
        ["needs-me"] = (
            "1 run has failed.",
            "Nothing: no incident, no run and no part of the control plane waits for a person."),
        ["decided"] = (
            "Within 1 d the system decided 2 things about mini (1 placed, 1 rank-exited), and people asked for 1.",
            "Nothing about new within 1 d."),
        ["healthy"] = (
            "Yes: the control plane answers, and nothing is wrong with it or its database.",
            "Yes: the control plane answers, and nothing is wrong with it or its database."),
    };

    [Fact]
    public void Every_question_is_answered_rightly_of_a_night_that_is_known_and_of_one_in_which_nothing_happened()
    {
        Assert.Equal(QuestionBook.All.Select(q => q.Id).Order(StringComparer.Ordinal), Truth.Keys.Order(StringComparer.Ordinal));
        string[] wrong =
        [
            .. QuestionBook.All.SelectMany(question => new[]
            {
                (question.Id, Is: question.Ask(Night.Broken).Sentence, Is2: Truth[question.Id].Broken),
                (question.Id, Is: question.Ask(Night.Quiet).Sentence, Is2: Truth[question.Id].Quiet),
            }).Where(one => one.Is != one.Is2).Select(one => $"{one.Id}\n  is:     {one.Is}\n  wanted: {one.Is2}"),
        ];
        Assert.Empty(wrong);
    }
}
