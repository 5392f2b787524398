using CsCheck;
using DeepSeekOps.Contracts.Worker.V1;
using DeepSeekOps.ControlPlane.Api;
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using Xunit;

namespace DeepSeekOps.ControlPlane.Tests.Api;

/// <summary>What one beat may carry.</summary>
public sealed class BeatLimitTests
{
    private static readonly Timestamp At = Timestamp.FromDateTimeOffset(DateTimeOffset.UnixEpoch);

    [Fact]
    public void As_much_as_an_agent_sends_is_taken_and_one_more_is_refused_in_words()
    {
        Assert.Equal(200, Beat(200).ToRecord().Evaluations.Length);
        var refused = Assert.Throws<RpcException>(() => Beat(201).ToRecord());
        Assert.Equal(StatusCode.InvalidArgument, refused.StatusCode);
        Assert.Contains("evaluations has 201 entries; send at most 200", refused.Status.Detail, StringComparison.Ordinal);
    }

    [Theory, InlineData(double.NaN, double.NaN), InlineData(double.NegativeInfinity, double.PositiveInfinity)]
    public void A_measure_whose_interval_ends_at_no_number_has_none(double low, double high)
    {
        var beat = Beat(1);
        (beat.Evaluations[0].Value, beat.Evaluations[0].Low, beat.Evaluations[0].High) = (double.NaN, low, high);
        var taken = Assert.Single(beat.ToRecord().Evaluations);
        Assert.Equal((double.NaN, null, null), (taken.Value, taken.Low, taken.High));
        (beat.Evaluations[0].Low, beat.Evaluations[0].High) = (1, 2);
        taken = Assert.Single(beat.ToRecord().Evaluations);
        Assert.Equal((1.0, 2.0), (taken.Low, taken.High));
    }

    [Fact]
    public void A_long_note_loses_its_end_and_not_the_beat_it_came_with()
    {
        var beat = Beat(1);
        beat.Notes.Add(new WorkerNote { At = At, Text = new string('x', 1 << 20) });
        Assert.Equal(4_096, beat.ToRecord().Notes[0].Text.Length);
    }

    [Fact]
    public void What_an_agent_with_a_clock_that_is_ahead_tells_has_happened_when_it_is_heard()
    {
        var heard = DateTimeOffset.UnixEpoch.AddYears(56);
        var (ahead, before) = (Timestamp.FromDateTimeOffset(heard.AddHours(3)), Timestamp.FromDateTimeOffset(heard.AddHours(-1)));
        var beat = Beat(1);
        beat.Notes.Add([new WorkerNote { At = ahead, Text = "one" }, new WorkerNote { At = before, Text = "two" }]);
        beat.Samples.Add(new StepSample { At = ahead, Step = 1, Attempt = 1, Loss = 1 });
        beat.Checkpoints.Add(new CheckpointReport { At = ahead });
        beat.ExpertLoads.Add(new ExpertLoadReport { At = ahead });
        beat.LocalRestarts.Add(new LocalRestart { At = ahead });
        beat.StoredCheckpoints.Add([new StoredCheckpoint { At = ahead }, new StoredCheckpoint()]);
        beat.Evaluations[0].At = ahead;
        beat.NotAhead(heard);
        Assert.Equal([heard, heard.AddHours(-1)], beat.Notes.Select(n => n.At.ToDateTimeOffset()));
        Assert.Equal([heard, heard], [beat.LocalRestarts[0].At.ToDateTimeOffset(), beat.StoredCheckpoints[0].At.ToDateTimeOffset()]);
        Assert.Null(beat.StoredCheckpoints[1].At);
        Assert.Equal([heard, heard, heard, heard], [beat.Samples[0].At.ToDateTimeOffset(), beat.Checkpoints[0].At.ToDateTimeOffset(),
            beat.ExpertLoads[0].At.ToDateTimeOffset(), beat.Evaluations[0].At.ToDateTimeOffset()]);
    }

    [Fact]
    public void Whatever_is_cut_stays_whole_characters_within_the_limit() =>
    (from text in Gen.String from most in Gen.Int[2, 40] select (text, most)).Sample(one =>
    {
        string cut = Checked.Words(one.text, one.most);
        Assert.InRange(cut.Length, 0, one.most);
        Assert.Equal(one.text.Length <= one.most, cut == one.text);
    });

    [Theory]
    [InlineData(double.NaN)]
    [InlineData(double.PositiveInfinity)]
    [InlineData(-1)]
    [InlineData(86_401)]
    public void Seconds_of_a_step_are_a_time(double seconds)
    {
        var beat = Beat(0);
        beat.Samples.Add(
            new StepSample { Step = 1, At = At, StepSeconds = seconds, Loss = double.NaN, GradNorm = double.PositiveInfinity });
        Assert.Contains("samples.stepSeconds", Assert.Throws<RpcException>(() => beat.ToRecord()).Status.Detail, StringComparison.Ordinal);
        beat.Samples[0].StepSeconds = 0.5;
        // A loss that is none is news.
        Assert.True(double.IsNaN(beat.ToRecord().Samples[0].Loss));
        beat.LaunchSeconds["load"] = seconds;
        Assert.Contains("launchSeconds.load", Assert.Throws<RpcException>(() => beat.ToRecord()).Status.Detail, StringComparison.Ordinal);
    }

    /// <summary>What is told of a launch is for people to look at: no beat is lost for it.</summary>
    [Theory]
    [InlineData("")]
    [InlineData("garbage")]
    [InlineData("00-00000000000000000000000000000000-b7ad6b7169203331-01")]
    [InlineData("00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01")]
    [InlineData("00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01")]
    [InlineData("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'; DROP TABLE runs; --")]
    public void A_traceparent_that_is_none_belongs_to_no_trace_and_its_beat_is_taken(string traceparent)
    {
        var beat = Beat(0);
        Assert.Null(beat.ToRecord().Launch);
        beat.Launch = new LaunchTold { Attempt = 1, Traceparent = traceparent };
        Assert.Null(beat.ToRecord().Launch);
        beat.Launch.Traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        var part = new LaunchPart { Rank = 3, What = "restore", Ago = new Duration { Seconds = 5 }, Took = new Duration { Seconds = 2 } };
        beat.Launch.Parts.Add([part, new LaunchPart { What = "end what is left" }]);
        var told = beat.ToRecord().Launch!;
        Assert.Equal(("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"), (told.Trace, told.Span));
        Assert.Equal([(3, TimeSpan.FromSeconds(5)), (null, TimeSpan.Zero)], told.Parts.Select(p => (p.Rank, p.Ago)));
        beat.Launch.Parts.Add(Enumerable.Repeat(part, 1_024));
        Assert.Contains("launch.parts", Assert.Throws<RpcException>(() => beat.ToRecord()).Status.Detail, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(315_576_000_000)]
    [InlineData(317_088_000)]
    public void A_length_of_time_that_no_calendar_has_stops_no_tick(long seconds)
    {
        var far = new Duration { Seconds = seconds };
        var silent = Beat(0);
        silent.Ranks.Add(new RankStatus { State = RankState.Training, SinceProgress = far });
        var dead = Beat(0);
        dead.Ranks.Add(new RankStatus { State = RankState.Exited, SinceExit = far });
        var saved = Beat(0);
        saved.Checkpoints.Add(new CheckpointReport { Step = 1, Path = "mini/pretrain/step-00000001", At = At, Stall = far });
        Assert.All([(silent, "ranks.sinceProgress"), (dead, "ranks.sinceExit"), (saved, "checkpoints.stall")], one =>
            Assert.Contains($"{one.Item2} is {seconds / 86_400} days", Refusal(one.Item1), StringComparison.Ordinal));
        silent.Ranks[0].SinceProgress = new Duration { Seconds = 7_200 };
        Assert.Equal(TimeSpan.FromHours(2), silent.ToRecord().Ranks[0].SinceProgress);
    }

    [Fact]
    public void A_line_from_the_end_of_the_calendar_is_refused_and_one_of_a_clock_that_was_never_set_is_taken()
    {
        var beat = Beat(0);
        beat.Notes.Add(new WorkerNote { At = new Timestamp { Seconds = 253_402_300_799 }, Text = "far" });
        Assert.Contains("notes.at is in the year 9999", Refusal(beat), StringComparison.Ordinal);
        beat.Notes[0].At = At;
        Assert.Equal(DateTimeOffset.UnixEpoch, beat.ToRecord().Notes[0].At);
    }

    [Fact]
    public void No_words_of_a_rank_are_kept_whole_however_long_they_are()
    {
        string huge = new('w', 1 << 20);
        var beat = Beat(0);
        beat.Ranks.Add(new RankStatus
        {
            Phase = huge, Error = huge, Fault = huge, LastLine = huge, MemoryKill = huge, LastLines = { huge },
            NotFinite = new NotFinite { What = huge, Data = huge },
        });
        Assert.InRange(System.Text.Json.JsonSerializer.Serialize(beat.ToRecord().Ranks[0]).Length, 1, 64 << 10);
    }

    [Fact]
    public void Loads_of_more_experts_than_a_model_has_are_refused()
    {
        var beat = Beat(0);
        beat.ExpertLoads.Add(new ExpertLoadReport { Step = 1, At = At, Experts = 256 });
        beat.ExpertLoads[0].Ratios.AddRange(Enumerable.Repeat(1f, 256 * 256));
        Assert.Single(beat.ToRecord().ExpertLoads);
        beat.ExpertLoads[0].Ratios.AddRange(Enumerable.Repeat(1f, 256));
        Assert.Contains("expertLoads.ratios has 65792 entries", Refusal(beat), StringComparison.Ordinal);
    }

    /// <summary>Pods of a cluster may have addresses of IPv6 alone: none of their beats may be refused for it.</summary>
    [Theory]
    [InlineData("10.1.2.3", true)]
    [InlineData("node-7.gang.svc", true)]
    [InlineData("fd00::7", true)]
    [InlineData("::1", true)]
    [InlineData("::ffff:10.1.2.3", true)]
    [InlineData("fe80::7%eth0", true)]
    [InlineData("[fd00::7]", false)]
    [InlineData("[fd00::7]:80", false)]
    [InlineData("fd00::7/64", false)]
    [InlineData("node-7:80", false)]
    [InlineData("fd00::7\n", false)]
    [InlineData("10.1.2.3 ", false)]
    public void An_agent_is_reached_at_a_name_or_an_address_of_either_kind(string host, bool right)
    {
        var beat = Beat(0);
        beat.PeerHost = host;
        if (right)
        {
            Assert.Equal(host, beat.ToRecord().PeerHost);
        }
        else
        {
            Assert.Contains("peerHost", Refusal(beat), StringComparison.Ordinal);
        }
    }

    private static string Refusal(HeartbeatRequest beat) => Assert.Throws<RpcException>(() => beat.ToRecord()).Status.Detail;

    [Theory]
    [InlineData("../../../../etc", false)]
    [InlineData("/etc", false)]
    [InlineData("mini/pretrain/../pretrain/step-00000010", false)]
    [InlineData("mini/extend/step-00000010", false)]
    [InlineData("mini/pretrain/step-00000011", false)]
    [InlineData("mini/pretrain/step-10", false)]
    [InlineData("mini/pretrain/step-00000010\n", false)]
    [InlineData("mini/pretrain/step-00000010", true)]
    public void A_checkpoint_lies_where_its_stage_and_step_say(string path, bool right)
    {
        var beat = Beat(0);
        beat.Checkpoints.Add(new CheckpointReport { Step = 10, Path = path, At = At, Stall = new Duration(), Lag = new Duration() });
        if (right)
        {
            Assert.Equal(path, beat.ToRecord().Checkpoints[0].Path);
        }
        else
        {
            Assert.Contains("mini/pretrain/step-00000010", Assert.Throws<RpcException>(() => beat.ToRecord()).Status.Detail,
                StringComparison.Ordinal);
        }
    }

    [Fact]
    public void A_sample_has_a_hundred_series_at_most_with_names_that_are_some()
    {
        var beat = Beat(0);
        beat.Samples.Add(new StepSample { Step = 1, At = At });
        for (int i = 0; i < 101; i++)
        {
            beat.Samples[0].Extra[$"series-{i}"] = i;
        }
        Assert.Throws<RpcException>(() => beat.ToRecord());
        beat.Samples[0].Extra.Remove("series-100");
        Assert.Equal(100, beat.ToRecord().Samples[0].Extra.Count);
        beat.Samples[0].Extra.Clear();
        beat.Samples[0].Extra["a\nb"] = 1;
        Assert.Throws<RpcException>(() => beat.ToRecord());
    }

    private static HeartbeatRequest Beat(int evaluations) => new()
    {
        Node = "node-0", AgentId = "a", Attempt = new AttemptRef { Run = "mini", Stage = "pretrain", Attempt = 1 }, Sequence = 1,
        Evaluations = { Enumerable.Range(0, evaluations).Select(i => new EvaluationReport { Name = $"e{i}", At = At }) },
    };
}
