using DeepSeekOps.Contracts.Worker.V1;
using DeepSeekOps.Worker.Checkpoints;
using DeepSeekOps.Worker.Data;
using DeepSeekOps.Worker.Parallel;
using DeepSeekOps.Worker.Tests.Agent;
using DeepSeekOps.Worker.Tests.Data;
using DeepSeekOps.Worker.Tests.Parallel;
using DeepSeekOps.Worker.Training.Loop;
using Xunit;

namespace DeepSeekOps.Worker.Tests.Training.Loop;

/// <summary>Files that were exchanged between two launches of a stage, or that differ between the ranks of one.</summary>
[Collection(RandomNumbers.OneStream)]
public sealed class InputTests : IDisposable
{
    private readonly MiniPlans _mini = new();

    public void Dispose() => _mini.Dispose();

    [Theory]
    [InlineData("pretrain", "b.jsonl has 1,200 bytes, it had 1,000")]
    [InlineData("sft", "b.jsonl has 1,200 bytes, it had 1,000")]
    public void Data_that_were_exchanged_between_two_launches_are_told_by_file_and_once(string stage, string told)
    {
        var (a, b) = (Lines("a.jsonl", 30, 'x'), Lines("b.jsonl", 25, 'y'));
        var plan = Plan(stage, a, b);
        var first = Stopped(plan, stage, 1, null, after: 2);
        Lines("b.jsonl", 30, 'y');
        var second = Stopped(plan, stage, 2, first, after: 4, out var notes);
        Assert.Contains(told, Assert.Single(notes, n => n.Contains("data changed", StringComparison.Ordinal)), StringComparison.Ordinal);
        Assert.DoesNotContain(notes, n => n.Contains("a.jsonl has", StringComparison.Ordinal));
        Stopped(plan, stage, 3, second, after: 6, out notes);
        Assert.DoesNotContain(notes, n => n.Contains("data changed", StringComparison.Ordinal));
    }

    [Fact]
    public void A_copy_of_the_data_with_another_time_is_the_same_data_and_as_many_other_bytes_are_not()
    {
        var (a, b) = (Lines("a.jsonl", 30, 'x'), Lines("b.jsonl", 25, 'y'));
        var plan = Plan("pretrain", a, b);
        var first = Stopped(plan, "pretrain", 1, null, after: 2);
        File.Delete(b);
        File.SetLastWriteTimeUtc(Lines("b.jsonl", 25, 'y'), DateTime.UnixEpoch);
        var second = Stopped(plan, "pretrain", 2, first, after: 4, out var notes);
        Assert.DoesNotContain(notes, n => n.Contains("data changed", StringComparison.Ordinal));
        Lines("b.jsonl", 25, 'z');
        Stopped(plan, "pretrain", 3, second, after: 6, out notes);
        Assert.Contains(notes, n => n.Contains("b.jsonl has other content in as many bytes (1,000)", StringComparison.Ordinal));
    }

    [Fact]
    public void Another_tokenizer_under_the_same_name_is_refused_with_where_the_first_one_is()
    {
        var plan = Plan("pretrain", Lines("a.jsonl", 30, 'x'));
        plan.Data.Tokenizer = Path.Combine(_mini.Root, "tokenizer.json");
        var tokenizer = TokenizerFixtures.Small("v3");
        File.WriteAllText(plan.Data.Tokenizer, tokenizer.ToJsonString());
        plan.Model.VocabSize = 300;
        var first = Stopped(plan, "pretrain", 1, null, after: 2);
        File.WriteAllText(plan.Data.Tokenizer, TokenizerFixtures.Small("coder").ToJsonString());
        var wrong = Assert.Throws<InvalidDataException>(() => Stopped(plan, "pretrain", 2, first, after: 4));
        Assert.Contains("is not the one that step 2 was trained with", wrong.Message, StringComparison.Ordinal);
        Assert.Contains("--stage pretrain --from 0", wrong.Message, StringComparison.Ordinal);
        var copy = Path.Combine(_mini.Root, first.Path, "tokenizer.json");
        File.Copy(copy, plan.Data.Tokenizer, overwrite: true);
        Assert.Equal(4, Stopped(plan, "pretrain", 2, first, after: 4).Step);
    }

    [Fact]
    public void A_tokenizer_that_was_only_formatted_anew_is_gone_on_with_and_not_told_as_changed()
    {
        var plan = Plan("pretrain", Lines("a.jsonl", 30, 'x'));
        plan.Data.Tokenizer = Path.Combine(_mini.Root, "tokenizer.json");
        var tokenizer = TokenizerFixtures.Small("v3");
        File.WriteAllText(plan.Data.Tokenizer, tokenizer.ToJsonString());
        plan.Model.VocabSize = 300;
        var first = Stopped(plan, "pretrain", 1, null, after: 2);
        File.WriteAllText(plan.Data.Tokenizer, tokenizer.ToJsonString(new() { WriteIndented = true }));
        Assert.Equal(4, Stopped(plan, "pretrain", 2, first, after: 4, out var notes).Step);
        Assert.DoesNotContain(notes, n => n.Contains("data changed", StringComparison.Ordinal));
        Assert.Equal(InputMark.Sum([new("t", 1, "00") { Content = "22" }]), InputMark.Sum([new("t", 2, "11") { Content = "22" }]));
        // What a checkpoint of before said of it was its bytes alone.
        Assert.False(new InputMark("t", 1, "00").SaysTheSame(new InputMark("t", 2, "11") { Content = "22" }));
    }

    [Fact]
    public void Ranks_that_read_other_data_than_the_first_one_say_so_and_do_not_train()
    {
        string[] files = [Lines("a.jsonl", 30, 'x'), Lines("other.jsonl", 30, 'y')];
        var said = SocketRanks.Run(new GangLayout(2, 1, 1, 1), (rank, mesh) =>
        {
            using var link = new RecordingRankLink();
            return Record.Exception(() => InputCheck.Agree(MiniPlans.Context(Plan("pretrain", files[rank]), link, mesh, rank, 2),
                mesh.World));
        });
        Assert.Null(said[0]);
        Assert.Contains("Rank 1 reads other data than rank 0", Assert.IsType<InvalidDataException>(said[1]).Message,
            StringComparison.Ordinal);
        Assert.Contains("other.jsonl (1,200 bytes", said[1]!.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Checkpoints_of_before_say_nothing_of_their_data()
    {
        Assert.Empty(InputMark.Differences([], [new InputMark("a", 1, "00")]));
        Assert.Equal(["b stands in the place of a"], InputMark.Differences([new InputMark("x/a", 1, "00")], [new InputMark("b", 1, "11")]));
        Assert.Equal(["there were 2 data files, there are 1"],
            InputMark.Differences([new InputMark("a", 1, "00"), new InputMark("b", 1, "11")], [new InputMark("c", 1, "00")]));
    }

    private TrainingPlan Plan(string stage, params string[] files)
    {
        var plan = _mini.Plan(stage);
        (plan.Data.Source, plan.Data.Heldout) = (DataSource.Join(files), 0);
        if (plan.Sft is { } sft)
        {
            // The stage's own file, and the run's beside it.
            (sft.Data, plan.Data.Source) = (files[^1], files[0]);
        }
        return plan;
    }

    /// <summary>Lines of 40 bytes.</summary>
    private string Lines(string name, int count, char letter)
    {
        var path = Path.Combine(_mini.Root, name);
        File.WriteAllLines(path,
            Enumerable.Range(0, count).Select(i => $$"""{"question":"{{i:000}}{{letter}}","answer":"{{letter}}1234567"}"""));
        return path;
    }

    private CheckpointReport Stopped(TrainingPlan plan, string stage, int attempt, CheckpointReport? from, long after) =>
        Stopped(plan, stage, attempt, from, after, out _);

    private CheckpointReport Stopped(
        TrainingPlan plan, string stage, int attempt, CheckpointReport? from, long after, out IReadOnlyList<string> notes)
    {
        using var link = MiniPlans.Train(_mini.Launch(plan, stage, attempt, from), (rank, report) =>
        {
            if (report.Sample?.Step == after)
            {
                rank.OrderStop("a test ends the attempt", save: true);
            }
        });
        notes = [.. link.Reports.Where(r => r.Note is not null).Select(r => r.Note.Text)];
        return link.Checkpoints[^1];
    }
}
