using System.Text.Json;
using CsCheck;
using DeepSeekOps.Decisions.Spikes;
using Xunit;

namespace DeepSeekOps.Decisions.Tests.Spikes;

public sealed class SpikeDetectorTests
{
    private static readonly LossSample[] Course = Courses.Healthy(600, seed: 1);

    [Fact]
    public void A_healthy_course_of_any_seed_is_not_flagged() => Assert.All(Enumerable.Range(0, 20), seed =>
        Assert.Empty(SpikeReport.Of(Courses.Healthy(2000, seed)).Alarms));

    [Fact]
    public void One_odd_batch_is_flagged_at_its_own_step_and_told_as_a_blip()
    {
        var report = SpikeReport.Of(Course.With(300, 1, s => s with { Loss = s.Loss + 1 }));
        var alarm = Assert.Single(report.Alarms);
        Assert.Equal((301, SpikeKind.Blip), (alarm.Step, alarm.Kind));
        Assert.Empty(report.Actions);
    }

    [Fact]
    public void A_rise_that_comes_back_by_itself_is_a_spike_and_nothing_is_done()
    {
        var report = SpikeReport.Of(Course.With(300, 8, s => s with { Loss = s.Loss + 1 }));
        Assert.Equal((301, SpikeKind.Spike), (report.Alarms[0].Step, report.Alarms[0].Kind));
        Assert.Empty(report.Actions);
    }

    [Fact]
    public void A_rise_that_stays_up_is_a_divergence_and_is_acted_on_once_and_late()
    {
        var report = SpikeReport.Of(Course.With(300, 300, s => s with { Loss = s.Loss + 1 }));
        Assert.Equal((301, SpikeKind.Divergence), (report.Alarms[0].Step, report.Alarms[0].Kind));
        var action = Assert.Single(report.Actions);
        Assert.Equal((301 + SpikeRule.JudgedAfter, "rollback"), (action.Step, action.Policy));
        Assert.Contains("go back to the newest checkpoint before step 296", action.Reason, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(double.NaN, "NaN")]
    [InlineData(double.PositiveInfinity, "infinite")]
    [InlineData(double.NegativeInfinity, "infinite")]
    public void A_loss_that_is_not_finite_is_found_from_the_first_sample_on_and_acted_on_once(double loss, string word)
    {
        var report = SpikeReport.Of(Course.With(0, 3, s => s with { Loss = loss }));
        Assert.Equal((1, SpikeKind.Nan), (report.Alarms[0].Step, report.Alarms[0].Kind));
        Assert.Contains(word, report.Alarms[0].Reason, StringComparison.Ordinal);
        Assert.Equal(1, Assert.Single(report.Actions).Step);
    }

    [Fact]
    public void A_gradient_norm_far_up_twice_in_a_row_is_flagged_and_once_is_not()
    {
        Assert.Empty(SpikeReport.Of(Course.With(300, 1, s => s with { GradNorm = 30 })).Alarms);
        var report = SpikeReport.Of(Course.With(300, 5, s => s with { GradNorm = 30 }));
        Assert.Equal((302, SpikeKind.GradientSpike), (Assert.Single(report.Alarms).Step, report.Alarms[0].Kind));
        Assert.Empty(report.Actions);
        Assert.Equal(SpikeKind.GradientSpike,
            Assert.Single(SpikeReport.Of(Course.With(300, 1, s => s with { GradNorm = double.NaN })).Alarms).Kind);
    }

    [Fact]
    public void Losses_of_two_digits_that_do_not_move_are_no_reason_to_flag_the_smallest_step()
    {
        var flat = Course.Select(s => s with { Loss = 2.31 }).ToArray();
        Assert.Empty(SpikeReport.Of(flat.With(300, 5, s => s with { Loss = 2.32 })).Alarms);
        Assert.NotEmpty(SpikeReport.Of(flat.With(300, 5, s => s with { Loss = 3.32 })).Alarms);
    }

    [Fact]
    public void Another_context_batch_or_data_is_learnt_anew_and_not_flagged()
    {
        var changed = Course.With(300, 300, s => s with { Loss = s.Loss + 1, Regime = "context 128Ki" });
        Assert.Empty(SpikeReport.Of(changed).Alarms);
        // And is watched again as soon as there is a level.
        Assert.Equal(SpikeKind.Nan, SpikeReport.Of(changed.With(303, 1, s => s with { Loss = double.NaN })).Alarms.Single().Kind);
        Assert.Equal(451, SpikeReport.Of(changed.With(450, 1, s => s with { Loss = s.Loss + 1 })).Alarms.Single().Step);
    }

    [Theory]
    [InlineData(40)]
    [InlineData(250)]
    public void A_step_back_finds_the_level_of_before_it_and_flags_nothing(int stepsBack)
    {
        // It falls fast, so that the loss gone back to is far above the newest.
        var steep = Enumerable.Range(1, 400).Select(i => new LossSample(i, 10 - (0.02 * i) + (0.01 * (i % 3)))).ToArray();
        LossSample[] restarted = [.. steep[..300], .. steep[(300 - stepsBack)..]];
        Assert.Empty(SpikeReport.Of(restarted).Alarms);
    }

    [Fact]
    public void A_batch_that_was_flagged_before_is_known_when_it_is_trained_again()
    {
        var blip = Course.With(300, 1, s => s with { Loss = s.Loss + 1 });
        var report = SpikeReport.Of([.. blip[..320], .. blip[280..]]);
        Assert.Equal([301, 301], report.Alarms.Select(a => a.Step));
        Assert.Contains("flagged when it was trained before", report.Alarms[1].Reason, StringComparison.Ordinal);
    }

    /// <summary>The state lives in a checkpoint: what goes on from it must not differ from what was never interrupted.</summary>
    [Fact]
    public void A_detector_taken_up_from_its_state_says_what_one_that_went_on_says() =>
        Gen.Select(Samples, Gen.Int[0, 200]).Sample((samples, at) =>
    {
        var whole = new SpikeDetector();
        var parts = new SpikeDetector();
        for (int i = 0; i < samples.Length; i++)
        {
            if (i % 50 == at % 50)
            {
                string json = JsonSerializer.Serialize(parts.State);
                parts = new SpikeDetector(JsonSerializer.Deserialize<SpikeState>(json));
                Assert.Equal(json, JsonSerializer.Serialize(parts.State));
                Assert.True(json.Length < 32_000, $"{json.Length} characters");
            }

            whole.Take(samples[i]);
            parts.Take(samples[i]);
            Assert.Equal(whole.Alarms, parts.Alarms);
            Assert.Equal(whole.Judged, parts.Judged);
            Assert.Equal(whole.Verdicts, parts.Verdicts);
        }
    }, iter: 100);

    /// <summary>Whatever is told, in whatever order: every NaN is found, nothing is judged twice, and no sample ends the watch.</summary>
    [Fact]
    public void Any_samples_are_taken_and_each_run_of_nan_is_one_alarm() => Samples.Sample(samples =>
    {
        var report = SpikeReport.Of(samples);
        Assert.DoesNotContain(report.Alarms, a => a.Kind == SpikeKind.Suspected);
        // A step back or another regime begins a new run.
        int runs = samples.Index().Count(s => !double.IsFinite(s.Item.Loss) && (s.Index == 0 || double.IsFinite(samples[s.Index - 1].Loss)
            || samples[s.Index - 1].Step >= s.Item.Step || samples[s.Index - 1].Regime != s.Item.Regime));
        Assert.Equal(runs, report.Alarms.Count(a => a.Kind == SpikeKind.Nan));
        Assert.True(report.Actions.Length >= runs);
    }, iter: 400);

    private static Gen<LossSample[]> Samples { get; } =
        (from loss in Gen.Frequency((40, Gen.Double[1.9, 2.1]), (2, Gen.Double[-10, 10]), (1, Gen.Const(double.NaN)),
                (1, Gen.Const(double.PositiveInfinity)), (1, Gen.Double))
         from norm in Gen.Frequency((10, Gen.Double[0.9, 1.1]), (1, Gen.Double))
         from told in Gen.Bool
         from move in Gen.Frequency((60, Gen.Const(1L)), (1, Gen.Long[-150, 5]))
         from regime in Gen.Frequency((200, Gen.Const("a")), (1, Gen.Const("b")))
         select (loss, norm: told ? norm : (double?)null, move, regime)).Array[0, 400].Select(moves =>
        {
            long step = 0;
            return moves.Select(m => new LossSample(step = Math.Max(0, step + m.move), m.loss, m.norm, m.regime)).ToArray();
        });
}
