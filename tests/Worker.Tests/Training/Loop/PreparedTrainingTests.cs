using DeepSeekOps.Contracts.Worker.V1;
using DeepSeekOps.Worker.Checkpoints;
using DeepSeekOps.Worker.Parallel;
using DeepSeekOps.Worker.Tests.Agent;
using DeepSeekOps.Worker.Tests.Data;
using DeepSeekOps.Worker.Tests.Parallel;
using DeepSeekOps.Worker.Training.Loop;
using Xunit;

namespace DeepSeekOps.Worker.Tests.Training.Loop;

/// <summary>Stages that read a prepared set, by the loop that a rank runs. Some 3 s.</summary>
[Collection(RandomNumbers.OneStream)]
public sealed class PreparedTrainingTests : IDisposable
{
    private readonly MiniPlans _mini = new();
    private readonly PreparedSets _sets = new();

    public void Dispose()
    {
        _mini.Dispose();
        _sets.Dispose();
    }

    [Theory]
    [InlineData("pretrain")]
    [InlineData("extend")]
    public void A_set_trains_as_its_files_do_and_goes_on_to_the_last_bit(string stage)
    {
        var (plan, files) = Plans(stage);
        using var raw = MiniPlans.Train(_mini.Launch(files, stage, run: "raw"));
        using var first = MiniPlans.Train(_mini.Launch(plan, stage), StopAt(7));
        using var second = MiniPlans.Train(_mini.Launch(plan, stage, attempt: 2, from: first.Checkpoints[^1]));
        Assert.Equal(raw.Samples.Select(s => (s.Step, s.Loss, s.GradNorm)),
            first.Samples.Concat(second.Samples).Select(s => (s.Step, s.Loss, s.GradNorm)));
        Assert.Equal(raw.Checkpoints[^1].DataCursor, second.Checkpoints[^1].DataCursor);
        Assert.Equal(Path.Combine(plan.Data.Source, "manifest.json"), Assert.Single(ManifestOf(second).Inputs).Path);
    }

    [Fact]
    public void A_launch_that_goes_on_in_another_set_says_so_and_what_to_do()
    {
        var (plan, _) = Plans("pretrain");
        using var first = MiniPlans.Train(_mini.Launch(plan, "pretrain"), StopAt(4));
        Directory.Delete(plan.Data.Source, recursive: true);
        _sets.Prepare("set", _sets.Lines("other.jsonl", 20));
        using var second = MiniPlans.Train(_mini.Launch(plan, "pretrain", attempt: 2, from: first.Checkpoints[^1]));
        var told = Assert.Single(second.Reports.Where(r => r.Note is not null).Select(r => r.Note.Text),
            n => n.Contains("The data changed since step 4", StringComparison.Ordinal));
        Assert.Contains("set/manifest.json has ", told, StringComparison.Ordinal);
        Assert.Contains("dsops retry test --stage pretrain --from 0", told, StringComparison.Ordinal);
        Assert.Equal(20, second.Samples.Count);
    }

    [Fact]
    public void A_gang_reads_its_rows_and_another_layout_goes_on()
    {
        var (plan, _) = Plans("pretrain");
        using var alone = MiniPlans.Train(_mini.Launch(plan, "pretrain", run: "alone"));
        var first = Gang(plan, new GangLayout(4, 2, 1, 2), stopAt: 8);
        var second = Gang(
            plan, new GangLayout(2, 1, 1, 1), attempt: 2, from: first.SelectMany(r => r.Checkpoints).Single(c => c.Step == 8));
        Assert.All(alone.Samples.Zip(first[0].Samples.Concat(second[0].Samples)),
            pair => Assert.Equal(pair.First.Loss, pair.Second.Loss, 1e-3));
        Assert.Equal(alone.Samples.Count, first[0].Samples.Count + second[0].Samples.Count);
        Assert.Equal(alone.Checkpoints[^1].DataCursor, second.SelectMany(r => r.Checkpoints).Single(c => c.Final).DataCursor);
    }

    private (TrainingPlan Set, TrainingPlan Files) Plans(string stage)
    {
        var (plan, source) = (_mini.Plan(stage), _sets.Lines("a.jsonl", 40));
        var files = plan.Clone();
        (plan.Data.Source, files.Data.Source) = (_sets.Prepare("set", source), source);
        return (plan, files);
    }

    private Manifest ManifestOf(RecordingRankLink link) => Manifest.Read(Path.Combine(_mini.Root, link.Checkpoints[^1].Path)).Manifest;

    private static Action<RecordingRankLink, RankReport> StopAt(long step) => (link, report) =>
    {
        if (report.Sample is { } sample && sample.Step == step)
        {
            link.OrderStop("a test ends the attempt", save: true);
        }
    };

    private List<RecordingRankLink> Gang(
        TrainingPlan plan, GangLayout layout, int attempt = 1, CheckpointReport? from = null, long stopAt = 0)
    {
        plan = plan.Clone();
        plan.Layout = layout.ToProto();
        var launch = _mini.Launch(plan, "pretrain", attempt, from, "gang");
        launch.Assignment.WorldSize = layout.Ranks;
        return [.. SocketRanks.Run(layout, (rank, mesh) =>
        {
            var link = new RecordingRankLink();
            link.OnReport = report => StopAt(stopAt)(link, report);
            var own = launch.Clone();
            own.Rank = rank;
            RankProgram.Run(own, link, TimeProvider.System, mesh, CancellationToken.None);
            return link;
        })];
    }
}
