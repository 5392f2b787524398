using DeepSeekOps.Contracts.Worker.V1;
using DeepSeekOps.Worker.Checkpoints;
using DeepSeekOps.Worker.Tests.Agent;
using DeepSeekOps.Worker.Tests.Training;
using Xunit;

namespace DeepSeekOps.Worker.Tests.Checkpoints.Store;

/// <summary>Stages that train with a store behind their folder: some four seconds of one core, most of them of the trainings.</summary>
[Collection(RandomNumbers.OneStream)]
public sealed class StoredStageTests : IAsyncLifetime
{
    private readonly MiniPlans _mini = new();
    private TestStore _server = null!;

    public async ValueTask InitializeAsync() => _server = await TestStore.Start();

    public async ValueTask DisposeAsync()
    {
        await _server.DisposeAsync();
        _mini.Dispose();
    }

    private string Folder => Path.Combine(_mini.Root, "test", "pretrain");

    [Fact]
    public void A_checkpoint_is_copied_and_read_on_another_node_while_lines_break_and_the_weights_are_the_same()
    {
        _server.CutUploads(2);
        using var first = MiniPlans.Train(_mini.Launch(Plan(), "pretrain"), StopAt(13));
        Assert.Equal([12L, 13], StepsOf(_server.Whole));
        var told = first.Reports.Where(r => r.Stored is not null).Select(r => r.Stored).ToList();
        Assert.Contains(told, s => s.Step == 13 && s.Digest == first.Checkpoints[^1].Digest
            && s.Uri.StartsWith("s3://training/deep/runs/test/pretrain/step-00000013-", StringComparison.Ordinal));

        // Another node: nothing of it is on the disk there.
        Directory.Delete(Folder, recursive: true);
        _server.CutDownloads(2);
        using var second = MiniPlans.Train(_mini.Launch(Plan(), "pretrain", attempt: 2, from: first.Checkpoints[^1]));
        Assert.Equal(13, Assert.Single(second.Reports, r => r.Resumed is not null).Resumed.Checkpoint.Step);
        Assert.Equal(14, second.Samples[0].Step);
        Assert.DoesNotContain(second.Reports, r => r.Refused is not null);
        Assert.Equal([16L, 20, 24], StepsOf(_server.Whole));

        using var alone = new MiniPlans();
        using var undisturbed = MiniPlans.Train(alone.Launch(alone.Plan("pretrain"), "pretrain"));
        Assert.Equal(Weights(alone.Root), Weights(_mini.Root));
    }

    [Fact]
    public void The_next_stage_begins_on_a_node_that_sees_the_store_alone()
    {
        using var first = MiniPlans.Train(_mini.Launch(Plan(), "pretrain"));
        var final = first.Checkpoints[^1];
        Directory.Delete(Folder, recursive: true);
        var plan = _mini.Plan("sft", every: 100);
        plan.CheckpointStore = _server.Settings;
        plan.BeginFrom = new CheckpointRef
        {
            Path = final.Path, Digest = final.Digest, Step = final.Step, Run = "test", Stage = "pretrain",
        };
        using var second = MiniPlans.Train(_mini.Launch(plan, "sft"), StopAt(2));
        Assert.Equal(1, second.Samples[0].Step);
        Assert.Equal(final.Digest, Manifest.Read(Path.Combine(_mini.Root, final.Path)).Digest);
    }

    private TrainingPlan Plan()
    {
        var plan = _mini.Plan("pretrain");
        plan.CheckpointStore = _server.Settings;
        return plan;
    }

    private static Action<RecordingRankLink, RankReport> StopAt(long step) => (link, report) =>
    {
        if (report.Sample?.Step == step)
        {
            link.OrderStop("enough", save: true);
        }
    };

    private static IEnumerable<long> StepsOf(IEnumerable<string> folders) =>
        folders.Select(f => long.Parse(f.Split('/')[^1].Split('-')[1], System.Globalization.CultureInfo.InvariantCulture));

    private static string Weights(string root) => Manifest.Read(Path.Combine(root, "test", "pretrain", "step-00000024"))
        .Manifest.Files.Single(f => f.Name == ModelWeights.FileName).Sha256;
}
