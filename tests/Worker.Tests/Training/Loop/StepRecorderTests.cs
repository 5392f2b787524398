using DeepSeekOps.Contracts.Worker.V1;
using DeepSeekOps.Worker.Parallel;
using DeepSeekOps.Worker.Tests.Agent;
using DeepSeekOps.Worker.Tests.Parallel;
using DeepSeekOps.Worker.Training.Loop;
using Xunit;

namespace DeepSeekOps.Worker.Tests.Training.Loop;

/// <summary>Steps that ranks record while they train. Costs some 6 s of a core: two gangs of four, and each kind of stage twice.</summary>
[Collection(RandomNumbers.OneStream)]
public sealed class StepRecorderTests : IDisposable
{
    private const long Id = 1_780_000_000_123;

    private readonly MiniPlans _mini = new();

    public void Dispose() => _mini.Dispose();

    [Fact]
    public void Ranks_that_hear_at_different_steps_record_the_same_ones_and_train_as_if_nobody_had_asked()
    {
        var layout = new GangLayout(4, 2, 1, 2);
        var calm = Train(layout, "calm", asks: false);
        var asked = Train(layout, "asked", asks: true);
        Assert.All(calm.Zip(asked), pair => Assert.Equal(
            pair.First.Samples.Select(s => (s.Step, s.Loss, s.GradNorm)), pair.Second.Samples.Select(s => (s.Step, s.Loss, s.GradNorm))));
        // The digest is of every weight and moment.
        Assert.Equal(Weights(calm), Weights(asked));
        var traces = asked.ConvertAll(r => r.Reports.Select(report => report.Trace).OfType<RankTrace>().Single());
        Assert.All(calm, rank => Assert.DoesNotContain(rank.Reports, r => r.Trace is not null));
        // Rank 3 hears as it ends step 5.
        Assert.All(traces, trace => Assert.Equal([6, 7], trace.Steps.Select(s => s.Step)));
        Assert.All(traces, trace => Assert.Equal((Id, 3), (trace.Id, trace.TogetherNanoseconds.Count)));
        Assert.All(traces, trace => Assert.Equal(traces[0].Clock, trace.Clock));
        foreach (var trace in traces)
        {
            string[] kinds = [.. trace.Spans.Name.Select(n => trace.Spans.Names[n].Split(':')[0])];
            Assert.Equal((2, 4, 4, 2), (kinds.Count(k => k == "step"), kinds.Count(k => k == "forward"), kinds.Count(k => k == "backward"),
                kinds.Count(k => k == "update")));
            Assert.Contains("collective", kinds);
            Assert.Contains(trace.Rank < 2 ? "send" : "receive", kinds);
            Assert.All(trace.Steps, s => Assert.InRange(s.Collectives + s.Sends + s.Waits, double.Epsilon,
                (s.EndedNanoseconds - s.BeganNanoseconds) / 1e9));
            Assert.All(trace.Steps, s => Assert.True(s.Forward > 0 && s.Backward > 0 && s.Busy > 0));
        }
    }

    [Theory]
    [InlineData("extend")]
    [InlineData("sft")]
    [InlineData("rl")]
    [InlineData("distill")]
    public void Every_kind_of_stage_tells_its_passes_and_its_update(string stage)
    {
        var plan = _mini.Plan(stage, every: 1000);
        if (stage == "distill")
        {
            // Questions whose answers a few steps have taught the teacher.
            plan.BeginFrom = _mini.Tuned("7", "8");
            plan.Model.Layers = MiniPlans.Model().Layers;
            plan.Data.Source = _mini.Questions("7", "8");
        }
        var launch = _mini.Launch(plan, stage, run: stage);
        using var link = MiniPlans.Train(launch, (link, report) => AskAt(link, report, step: 1, launch));
        var trace = link.Reports.Select(r => r.Trace).OfType<RankTrace>().Single();
        Assert.Equal([2, 3], trace.Steps.Select(s => s.Step));
        var kinds = trace.Spans.Names.Select(n => n.Split(':')[0]).ToHashSet();
        Assert.Superset(new HashSet<string>(["step", "forward", "backward", "update"]), kinds);
    }

    [Fact]
    public void A_rank_hands_over_as_many_spans_as_it_is_asked_for_and_says_how_many_it_left_out()
    {
        var launch = _mini.Launch(_mini.Plan("pretrain", every: 1000), "pretrain");
        using var link = MiniPlans.Train(launch, (link, report) => AskAt(link, report, step: 1, launch, most: 3));
        var spans = link.Reports.Select(r => r.Trace).OfType<RankTrace>().Single().Spans;
        Assert.Equal((3, 3, 3), (spans.Name.Count, spans.BeganMicroseconds.Count, spans.TookMicroseconds.Count));
        Assert.True(spans.LeftOut > 0);
    }

    private List<RecordingRankLink> Train(GangLayout layout, string run, bool asks)
    {
        var plan = _mini.Plan("pretrain", every: 1000);
        plan.Pretraining.Tokens /= 2;
        plan.Layout = layout.ToProto();
        plan.Layout.MicroBatch = 1;
        var launch = _mini.Launch(plan, "pretrain", run: run);
        launch.Assignment.WorldSize = layout.Ranks;
        return [.. SocketRanks.Run(layout, (rank, mesh) =>
        {
            var link = new RecordingRankLink();
            var own = launch.Clone();
            own.Rank = rank;
            link.OnReport = report =>
            {
                if (asks)
                {
                    AskAt(link, report, step: 2 + rank, own);
                }
            };
            RankProgram.Run(own, link, TimeProvider.System, mesh, CancellationToken.None);
            return link;
        })];
    }

    private static void AskAt(RecordingRankLink link, RankReport report, long step, RankLaunch launch, int most = 10_000)
    {
        if (report.Sample?.Step == step)
        {
            link.Trace = new TraceOrder { Id = Id, Attempt = launch.Assignment.Attempt.Attempt, Steps = 2, SpansMax = most };
        }
        if (report.Trace is not null && launch.Assignment.WorldSize <= 1)
        {
            link.OrderStop("the test has seen it", save: false);
        }
    }

    private string Weights(List<RecordingRankLink> ranks)
    {
        var final = ranks.SelectMany(r => r.Checkpoints).Single(c => c.Final);
        return string.Concat(Directory.EnumerateFiles(Path.Combine(_mini.Root, final.Path), "*.safetensors").Order()
            .Select(file => Convert.ToHexString(System.Security.Cryptography.SHA256.HashData(File.ReadAllBytes(file)))));
    }
}
