using DeepSeekOps.Contracts.Worker.V1;
using DeepSeekOps.Recipes.Pipelining;
using DeepSeekOps.Worker.Checkpoints;
using DeepSeekOps.Worker.Model;
using DeepSeekOps.Worker.Parallel;
using DeepSeekOps.Worker.Tests.Agent;
using DeepSeekOps.Worker.Tests.Parallel;
using DeepSeekOps.Worker.Training.Loop;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace DeepSeekOps.Worker.Tests.Training.Loop;

/// <summary>
/// A stage on several ranks, by the loop that one rank runs: its steps, its checkpoints in parts, and that any layout goes on from any
/// other's. The ranks are threads that talk over sockets; what draws random numbers needs processes, and is looked at end to end.
/// </summary>
[Collection(RandomNumbers.OneStream)]
public sealed class StageGangTests(StageGangTests.Courses courses) : IClassFixture<StageGangTests.Courses>
{
    /// <summary>Of most stages here: three saves, and pretraining's rates and weights of losses change on the way.</summary>
    private const int Steps = 12;

    private static readonly GangLayout Alone = new(1, 1, 1, 1);
    private readonly string _own = courses.NextName();

    [Theory]
    [InlineData("pretrain", 4, 2, 2)]
    [InlineData("extend", 2, 2, 1)]
    [InlineData("sft", 3, 1, 1)]
    [InlineData("pretrain", 4, 2, 2, PipelineSchedule.DualPipe)]
    [InlineData("extend", 2, 2, 1, PipelineSchedule.ZeroBubble)]
    [InlineData("extend", 2, 1, 2, PipelineSchedule.OneForwardOneBackward, 2)]
    [InlineData("extend", 4, 1, 1, PipelineSchedule.OneForwardOneBackward, 4, 2)]
    public void A_gang_learns_what_one_process_learns(
        string stage, int ranks, int pipeline, int expert, PipelineSchedule schedule = PipelineSchedule.OneForwardOneBackward,
        params int[] sharing)
    {
        var whole = Course(stage, Alone)[0];
        var gang = Course(stage, new GangLayout(ranks, pipeline, 1, expert)
        {
            Schedule = schedule, DealsMoments = pipeline * expert > 2, Contexts = [.. sharing],
        });
        Assert.Equal(Steps, gang[0].Samples.Count);
        Assert.All(whole.Samples.Zip(gang[0].Samples), pair => Assert.Equal(pair.First.Loss, pair.Second.Loss, 1e-3));
        Assert.Equal(whole.Samples.Select(s => s.Tokens), gang[0].Samples.Select(s => s.Tokens));
        Assert.Equal(whole.Evaluations.Select(e => (e.Name, e.Samples)), gang[0].Evaluations.Select(e => (e.Name, e.Samples)));
        Assert.All(gang, rank =>
            Assert.Equal(gang[0].Samples.Select(s => (s.Loss, s.GradNorm)), rank.Samples.Select(s => (s.Loss, s.GradNorm))));
        AssertAlike(whole.Checkpoints[^1], FinalOf(gang), 1e-3);
    }

    [Theory]
    [InlineData("rl", 4, 2)]
    [InlineData("distill", 3, 1)]
    public void Ranks_share_what_is_drawn_and_agree_on_it(string stage, int ranks, int expert)
    {
        var plan = Plan(stage);
        var gang = Train(plan, stage, new GangLayout(ranks, 1, 1, expert), run: "gang");
        Assert.All(gang, rank => Assert.Equal(gang[0].Samples.Select(s => (s.Loss, s.GradNorm, s.Tokens)),
            rank.Samples.Select(s => (s.Loss, s.GradNorm, s.Tokens))));
        Assert.All(gang, rank => Assert.Equal(gang[0].Evaluations.Select(e => (e.Name, e.Value, e.Samples)),
            rank.Evaluations.Select(e => (e.Name, e.Value, e.Samples))));
        Assert.Equal(stage == "rl" ? Steps / 2 : Steps, FinalOf(gang).Step);
    }

    /// <summary>Each of the two attempts in a layout of its own: identity is the logical tensor.</summary>
    [Theory]
    [InlineData(4, 2, 2, 1, 1, 1)]
    [InlineData(1, 1, 1, 4, 2, 2)]
    [InlineData(2, 1, 2, 4, 1, 1)]
    public void Any_layout_goes_on_from_any_other(int ranks, int pipeline, int expert, int nextRanks, int nextPipeline, int nextExpert)
    {
        var plan = Plan("pretrain");
        var whole = Course("pretrain", Alone)[0];
        var first = Train(plan, "pretrain", new GangLayout(ranks, pipeline, 1, expert), stopAt: 6);
        var made = Assert.Single(first.SelectMany(r => r.Checkpoints), c => c.Step == 6);
        var second = Train(
            plan, "pretrain", new GangLayout(nextRanks, nextPipeline, 1, nextExpert), attempt: 2, from: made);
        Assert.Equal(Steps - 6, second[0].Samples.Count);
        Assert.All(whole.Samples.Skip(6).Zip(second[0].Samples), pair => Assert.Equal(pair.First.Loss, pair.Second.Loss, 1e-3));
        AssertAlike(whole.Checkpoints[^1], FinalOf(second), 1e-3);
    }

    /// <summary>Whose moments a rank has is nothing that a checkpoint or a number shows.</summary>
    [Theory]
    [InlineData(4, 1, 2)]
    [InlineData(4, 2, 1)]
    public void Moments_that_are_dealt_change_no_bit_and_any_layout_goes_on_from_them(int ranks, int pipeline, int expert)
    {
        var (plan, layout) = (Plan("pretrain"), new GangLayout(ranks, pipeline, 1, expert));
        var each = Train(plan, "pretrain", layout, run: "each", stopAt: 6);
        var dealt = Train(plan, "pretrain", layout with { DealsMoments = true }, run: "dealt", stopAt: 6);
        Assert.Equal(each[0].Samples.Select(s => (s.Loss, s.GradNorm)), dealt[0].Samples.Select(s => (s.Loss, s.GradNorm)));
        CheckpointReport Made(List<RecordingRankLink> ranks) => ranks.SelectMany(r => r.Checkpoints).Single(c => c.Step == 6);
        AssertAlike(Made(each), Made(dealt), 0);

        var whole = Train(plan, "pretrain", layout, attempt: 2, run: "each", from: Made(each));
        var resumed = Train(plan, "pretrain", layout, attempt: 2, run: "dealt", from: Made(dealt));
        AssertAlike(FinalOf(whole), FinalOf(resumed), 0);
    }

    /// <summary>Where pieces lie twice, or two on a rank, and from one such layout to the other.</summary>
    [Fact]
    public void A_gang_of_one_schedule_goes_on_from_anothers_checkpoint()
    {
        var plan = Plan("pretrain");
        var whole = Course("pretrain", Alone)[0];
        var first = Train(plan, "pretrain", new GangLayout(4, 2, 1, 2) { Schedule = PipelineSchedule.DualPipe }, stopAt: 6);
        var made = Assert.Single(first.SelectMany(r => r.Checkpoints), c => c.Step == 6);
        var second = Train(
            plan, "pretrain", new GangLayout(2, 2, 1, 1) { Schedule = PipelineSchedule.DualPipeV }, attempt: 2, from: made);
        AssertAlike(whole.Checkpoints[^1], FinalOf(second), 1e-3);
    }

    [Theory]
    [InlineData(PipelineSchedule.OneForwardOneBackward)]
    [InlineData(PipelineSchedule.DualPipe)]
    public void A_gang_that_was_ended_goes_on_to_the_last_bit(PipelineSchedule schedule)
    {
        var (plan, layout) = (Plan("pretrain"), new GangLayout(4, 2, 1, 2) { Schedule = schedule, DealsMoments = true });
        var whole = Course("pretrain", layout);
        var first = Train(plan, "pretrain", layout, stopAt: 5);
        var second = Train(plan, "pretrain", layout, attempt: 2, from: first.SelectMany(r => r.Checkpoints).Single(c => c.Step == 5));
        Assert.Equal(whole[0].Samples.Skip(5).Select(s => (s.Step, s.Loss, s.GradNorm)),
            second[0].Samples.Select(s => (s.Step, s.Loss, s.GradNorm)));
        AssertAlike(FinalOf(whole), FinalOf(second), 0);
    }

    [Theory]
    [InlineData(4, PipelineSchedule.OneForwardOneBackward)]
    [InlineData(2, PipelineSchedule.DualPipe)]
    public void Each_tensor_is_written_once_and_every_rank_has_some_to_write(int dealt, PipelineSchedule schedule)
    {
        var gang = Train(Plan("pretrain"), "pretrain", new GangLayout(2 * dealt, 2, 1, 2) { Schedule = schedule }, stopAt: 4);
        var folder = Path.Combine(courses.Mini.Root, gang.SelectMany(r => r.Checkpoints).Single(c => c.Step == 4).Path);
        var parts = Manifest.Read(folder).Manifest.Parts.Select(p => PartList.Read(Path.Combine(folder, p))).ToList();
        Assert.Equal(2 * dealt, parts.Count);
        // As others publish weights in several files: whoever reads those reads this.
        var list = WeightList.Read(folder);
        Assert.Equal(list.Tensors.Keys.Order(), WeightList.Read(folder, ModelWeights.AverageFileName).Tensors.Keys.Order());
        using var model = new DeepSeekModel(ConfigJson.Read(Path.Combine(folder, ConfigJson.FileName)), CPU);
        Assert.Empty(WeightCheck.Compare(model.Shape, Quantization.None, list).AbsentMtp);
        Assert.All(parts, p => Assert.NotEmpty(p.Tensors));
        var twice = parts.SelectMany(p => p.Tensors).GroupBy(t => (t.Of, t.Name, First: t.Offset?[0] ?? 0)).Where(g => g.Count() > 1);
        Assert.Empty(twice.Select(g => g.Key.Name));
    }

    private TrainingPlan Plan(string stage)
    {
        var plan = courses.Mini.Plan(stage);
        plan.Model.Layers = 4;
        if (stage == "pretrain")
        {
            plan.Pretraining.BatchSize = new BatchSize { From = 8, To = 8 };
        }
        else if (stage == "extend")
        {
            plan.ContextExtension.Phases[1].BatchSize = 2;
            foreach (var phase in plan.ContextExtension.Phases)
            {
                phase.Steps = Steps / 2;
            }
        }
        else if (stage == "sft")
        {
            plan.Sft.Instances /= 2;
        }
        else
        {
            if (stage == "rl")
            {
                plan.Rl.Steps = Steps / 2;
            }
            else
            {
                plan.Distillation.Samples /= 2;
            }
            // Four questions whose answers a few steps have taught it, so that something is right.
            plan.BeginFrom = courses.Mini.Tuned("7", "8");
            plan.Model.Layers = MiniPlans.Model().Layers;
            plan.Data.Source = courses.Mini.Questions("7", "8");
        }
        return plan;
    }

    /// <summary>A stage that nobody disturbs, by one layout: trained once, whichever tests look at it.</summary>
    private List<RecordingRankLink> Course(string stage, GangLayout layout) =>
        courses.Of((stage, layout), number => Train(Plan(stage), stage, layout, run: $"course{number}"));

    private List<RecordingRankLink> Train(
        TrainingPlan plan, string stage, GangLayout layout, string run = "test", int attempt = 1, CheckpointReport? from = null,
        long? stopAt = null)
    {
        plan = plan.Clone();
        plan.Layout = layout.ToProto();
        if (layout.Contexts is [var first, ..])
        {
            // Each phase by its own number, where there are two.
            var phases = plan.ContextExtension.Phases;
            (phases[0].ContextParallel, phases[1].ContextParallel) = (first, layout.Contexts[^1]);
        }
        var launch = courses.Mini.Launch(plan, stage, attempt, from, $"{_own}-{run}");
        launch.Assignment.WorldSize = layout.Ranks;
        return [.. SocketRanks.Run(layout, (rank, mesh) =>
        {
            var link = new RecordingRankLink();
            link.OnReport = report =>
            {
                if (report.Sample is { } sample && sample.Step == stopAt)
                {
                    link.OrderStop("a test ends the attempt", save: true);
                }
            };
            var own = launch.Clone();
            own.Rank = rank;
            RankProgram.Run(own, link, TimeProvider.System, layout.Ranks == 1 ? Mesh.Alone() : mesh, CancellationToken.None);
            return link;
        })];
    }

    private static CheckpointReport FinalOf(List<RecordingRankLink> ranks) => ranks.SelectMany(r => r.Checkpoints).Single(c => c.Final);

    private void AssertAlike(CheckpointReport one, CheckpointReport other, double tolerance)
    {
        using var scope = NewDisposeScope();
        DeepSeekModel Read(CheckpointReport made)
        {
            var folder = Path.Combine(courses.Mini.Root, made.Path);
            var model = new DeepSeekModel(ConfigJson.Read(Path.Combine(folder, ConfigJson.FileName)), CPU);
            ModelWeights.Load(model, folder);
            return model;
        }
        using var a = Read(one);
        using var b = Read(other);
        foreach (var (first, second) in a.PublishedTensors().Zip(b.PublishedTensors()))
        {
            var apart = (first.Value - second.Value).abs().max().ToDouble();
            Assert.True(apart <= tolerance, $"{first.Name} differs by {apart}");
        }
    }

    /// <summary>A folder for the checkpoints of all tests here, and what several of them compare with.</summary>
    public sealed class Courses : IDisposable
    {
        private readonly Dictionary<(string Stage, GangLayout Layout), List<RecordingRankLink>> _trained = [];
        private int _names;

        internal MiniPlans Mini { get; } = new();

        public string NextName() => $"test{++_names}";

        public List<RecordingRankLink> Of((string Stage, GangLayout Layout) course, Func<int, List<RecordingRankLink>> train) =>
            _trained.TryGetValue(course, out var trained) ? trained : _trained[course] = train(_trained.Count);

        public void Dispose() => Mini.Dispose();
    }
}
