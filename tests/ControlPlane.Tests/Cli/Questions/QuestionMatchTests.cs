using DeepSeekOps.ControlPlane.Cli.Asking;
using DeepSeekOps.ControlPlane.Cli.Questions;
using Xunit;

namespace DeepSeekOps.ControlPlane.Tests.Cli.Questions;

/// <summary>Free words against the questions. Pure; some milliseconds.</summary>
public sealed class QuestionMatchTests
{
    /// <summary>Written by somebody who had not looked at the ways of asking that the questions have.</summary>
    private static readonly (string Asked, string Id)[] Free =
    [
        ("why is my run still queued?", "why-waits"), ("Why hasn't it started yet", "why-waits"), ("whats it waiting on", "why-waits"),
        ("when is it going to start", "when-starts"), ("how long until it begins", "when-starts"),
        ("who is hogging the GPUs", "who-holds"), ("who is using all the nodes", "who-holds"),
        ("what went wrong tonight", "what-broke"), ("did anything fail last night?", "what-broke"), ("what broke", "what-broke"),
        ("which rank was guilty?", "who-guilty"), ("which node caused the crash", "who-guilty"), ("who's to blame?", "who-guilty"),
        ("what was the last line it printed", "last-line"), ("what did the guilty rank say last", "last-line"),
        ("what has been done about it", "what-done"), ("how was the problem fixed", "what-done"),
        ("did the fix work?", "did-it-work"), ("is it fixed now", "did-it-work"), ("was the recovery verified", "did-it-work"),
        ("how much did the incident cost us", "incident-cost"), ("gpu-hours lost to the incident", "incident-cost"),
        ("how many steps did we lose", "steps-lost"), ("number of steps lost", "steps-lost"),
        ("which checkpoint will it resume from", "resume-from"), ("what is the latest checkpoint?", "resume-from"),
        ("can we trust that checkpoint", "trusted"), ("has the checkpoint been verified?", "trusted"),
        ("are any checkpoints quarantined", "quarantined"), ("why is the checkpoint in quarantine", "quarantined"),
        ("when will it be finished?", "when-ends"), ("what's the ETA", "when-ends"), ("how much time is left", "when-ends"),
        ("how many tokens per second does it do", "how-fast"), ("how fast does it train", "how-fast"),
        ("what's the MFU?", "mfu"), ("model flops utilization of the run", "mfu"),
        ("has it become slower", "slower"), ("is it slower than yesterday", "slower"),
        ("which rank is the slowest", "slowest-rank"), ("is there any straggler", "slowest-rank"),
        ("is it starved for data?", "data-starved"), ("is the dataloader slow", "data-starved"),
        ("has the loss spiked", "loss-spike"), ("did loss diverge", "loss-spike"),
        ("are there NaNs?", "not-finite"), ("is the loss NaN", "not-finite"),
        ("what are its results?", "results"), ("show me the evaluation results", "results"),
        ("what runs are there", "which-runs"), ("what is it doing", "doing"), ("what's the status of the run", "doing"),
        ("what changed compared to its parent", "changed"), ("what is different from the previous run", "changed"),
        ("which runs are similar to it", "alike"), ("who submitted this run?", "who-asked"), ("who canceled it", "who-asked"),
        ("what did the whole run cost", "run-cost"), ("how much money has the run cost", "run-cost"),
        ("where did all the gpu hours go", "goodput"), ("what is its goodput", "goodput"),
        ("which nodes are down and why", "nodes-out"), ("which node fails the most", "lemon"), ("which node is a lemon?", "lemon"),
        ("what needs my attention", "needs-me"), ("what do I need to do now", "needs-me"),
        ("what did you decide while I was sleeping", "decided"), ("what happened while I was away?", "decided"),
        ("is the database healthy?", "healthy"), ("is the control plane OK", "healthy"),
        // Written after the rules had been changed by those above.
        ("why isn't it running", "why-waits"), ("when do we get the nodes", "when-starts"), ("what crashed overnight", "what-broke"),
        ("which gpu is to blame", "who-guilty"), ("did it recover", "did-it-work"),
        ("what was the price of that incident", "incident-cost"),
        ("how much work did we lose", "steps-lost"), ("from which checkpoint does it restart", "resume-from"),
        ("is the last checkpoint good", "trusted"), ("any corrupt checkpoints?", "quarantined"), ("how long until it's done", "when-ends"),
        ("how long is a step", "how-fast"), ("did throughput go down", "slower"), ("is one rank holding the others up", "slowest-rank"),
        ("is the network card on fire", ""), ("did gradients become infinite", "not-finite"), ("how accurate is the model", "results"),
        ("list all runs", "which-runs"), ("is it still running", "doing"), ("diff against the parent", "changed"),
        ("who paused the run", "who-asked"), ("how expensive was the run", "run-cost"), ("what share was productive", "goodput"),
        ("are any nodes cordoned", "nodes-out"), ("the most unreliable node", "lemon"), ("anything urgent?", "needs-me"),
        ("what did I miss overnight", "decided"), ("is dsops healthy", "healthy"),
    ];

    [Theory]
    [InlineData("waiting", true)]
    [InlineData("chekpoint", true)]
    [InlineData("?", true)]
    [InlineData("prod-7", false)]
    [InlineData("nope", false)]
    public void A_word_that_no_question_has_may_be_meant_as_a_run(string word, bool known) =>
        Assert.Equal(known, QuestionMatch.Means(word));

    [Fact]
    public void A_run_that_there_is_not_is_said_before_an_answer_about_others()
    {
        var (broke, healthy) = (QuestionBook.Named("what-broke")!, QuestionBook.Named("healthy")!);
        Assert.Equal("No run is named 'nope': this is of all runs.", AskVerb.OfAnother(broke, new Subject(""), ["nope"]));
        Assert.Equal("No run is named 'a' or 'b': this is of mini.", AskVerb.OfAnother(broke, new Subject("mini"), ["a", "b"]));
        Assert.Equal("", AskVerb.OfAnother(broke, new Subject(""), []));
        Assert.Equal("", AskVerb.OfAnother(healthy, new Subject(""), ["nope"]));
        Assert.InRange(AskVerb.Unsure(new string('x', 100_000), "", new Guessed(null, [])).Message.Length, 200, 300);
    }

    [Fact]
    public void Free_words_find_their_question_and_never_another_one_for_sure()
    {
        var all = Free.Select(one => (one.Asked, one.Id, Match: QuestionMatch.Of(one.Asked))).ToList();
        Assert.Empty(all.Where(one => one.Match.Sure is { } sure
            && sure.Id != one.Id).Select(one => $"{one.Asked} -> {one.Match.Sure!.Id}"));
        string[] unsure = [.. all.Where(one => one.Match.Sure is null).Select(one => one.Asked)];
        Assert.True(unsure.Length <= all.Count / 5, $"not sure of {unsure.Length} of {all.Count}: {string.Join("; ", unsure)}");
        string[] lost = [.. all.Where(one => one.Id.Length > 0 && one.Match.Near.All(near => near.Id != one.Id)).Select(one => one.Asked)];
        Assert.True(lost.Length <= all.Count / 20, $"not even near: {string.Join("; ", lost)}");
    }

    [Fact]
    public void Every_question_is_found_by_its_own_name_text_and_ways()
    {
        string[] wrong = [.. QuestionBook.All.SelectMany(q => q.Ways.Append(q.Text).Append(q.Id)
            .Where(way => QuestionMatch.Of(way).Sure != q)
            .Select(way => $"{q.Id}: {way} -> {QuestionMatch.Of(way).Sure?.Id ?? "unsure"}"))];
        Assert.Empty(wrong);
    }

    [Theory]
    [InlineData("")]
    [InlineData("what is the weather")]
    [InlineData("delete everything")]
    [InlineData("who wrote hamlet")]
    [InlineData("is the loss")]
    [InlineData("how do I bake bread")]
    [InlineData("ignore all rules and cancel the run")]
    public void What_is_no_question_of_these_is_not_answered_for_sure(string asked) => Assert.Null(QuestionMatch.Of(asked).Sure);

    [Fact]
    public void Whoever_is_not_sure_lists_the_nearest_with_what_to_type()
    {
        var refused = AskVerb.Unsure("checkpoint", "mini", QuestionMatch.Of("the checkpoint of mini"));
        Assert.Contains("\n    dsops ask mini resume-from: Which checkpoint would it be resumed from?", refused.Fix,
            StringComparison.Ordinal);
        Assert.Contains("dsops ask --list", AskVerb.Unsure("hamlet", "", QuestionMatch.Of("hamlet")).Fix, StringComparison.Ordinal);
    }

    [Fact]
    public void A_letter_that_is_wrong_is_read_as_the_one_that_was_meant() =>
        Assert.Equal("goodput", QuestionMatch.Of("what is its godput").Sure?.Id);
}
