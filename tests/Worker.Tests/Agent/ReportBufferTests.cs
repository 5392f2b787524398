using CsCheck;
using DeepSeekOps.Contracts.Worker.V1;
using DeepSeekOps.Worker.Agent;
using Xunit;

namespace DeepSeekOps.Worker.Tests.Agent;

public sealed class ReportBufferTests
{
    /// <summary>0..2: so many new samples and a beat that is lost; 3: the reply is lost; 4: both arrive.</summary>
    private static readonly Gen<int[]> Histories = Gen.Int[0, 4].Array[1, 200];

    [Fact]
    public void Every_sample_arrives_once_after_removal_of_repeats_and_in_order_whatever_is_lost_on_the_way() =>
        Histories.Sample(history =>
        {
            var buffer = new ReportBuffer();
            var ledger = new List<long>();
            long step = 0;
            long sequence = 0;
            foreach (int turn in history.Append(4))
            {
                for (int i = 0; i <= turn; i++)
                {
                    buffer.Add(new StepSample { Step = ++step });
                }

                var beat = new HeartbeatRequest { Sequence = ++sequence };
                buffer.Fill(beat);
                if (turn >= 3)
                {
                    ledger.AddRange(beat.Samples.Select(s => s.Step).Where(s => !ledger.Contains(s)));
                }

                if (turn == 4)
                {
                    buffer.Acknowledge(sequence);
                }
            }

            Assert.Equal(Enumerable.Range(1, (int)step).Select(i => (long)i), ledger);
            Assert.True(buffer.Empty);
        });

    [Fact]
    public void An_agent_that_ends_stays_while_something_of_a_long_absence_gets_through_and_no_longer()
    {
        var (buffer, now) = (new ReportBuffer(), DateTimeOffset.UnixEpoch);
        for (int i = 1; i <= 30_000; i++)
        {
            buffer.Add(new StepSample { Step = i });
        }

        var farewell = Farewell.Begin(buffer.Count, now);
        for (int sequence = 1; sequence <= 20; sequence++)
        {
            // A database that is as slow as it may be.
            now += Farewell.Patience - TimeSpan.FromMilliseconds(1);
            Assert.False(farewell.IsOver(now, answered: true));
            buffer.Fill(new HeartbeatRequest { Sequence = sequence });
            buffer.Acknowledge(sequence);
            farewell = farewell.After(buffer.Count, now);
        }

        Assert.Equal(10_000, buffer.Count);
        Assert.Equal(farewell, farewell.After(buffer.Count, now + Farewell.Patience));
        Assert.True(farewell.IsOver(now + Farewell.Patience, answered: true));
        Assert.True(farewell.IsOver(now + Farewell.PatienceUnanswered, answered: false));
    }

    [Fact]
    public void A_long_absence_leaves_a_coarser_curve_without_a_hole_and_all_checkpoints() =>
        Gen.Int[1, 5_000].Sample(steps =>
        {
            const int Limit = 100;
            var buffer = new ReportBuffer(Limit);
            for (int i = 1; i <= steps; i++)
            {
                buffer.Add(new StepSample { Step = i });
                if (i % 10 == 0)
                {
                    buffer.Add(new CheckpointReport { Step = i });
                }

                Assert.True(buffer.Samples <= Limit);
            }

            var kept = new List<long>();
            int checkpoints = 0;
            for (int sequence = 1; !buffer.Empty; sequence++)
            {
                var beat = new HeartbeatRequest { Sequence = sequence };
                buffer.Fill(beat);
                kept.AddRange(beat.Samples.Select(s => s.Step));
                checkpoints += beat.Checkpoints.Count;
                buffer.Acknowledge(sequence);
            }

            Assert.Equal(steps / 10, checkpoints);
            Assert.Equal(kept.Order(), kept);
            Assert.True(kept.Count >= Math.Min(steps, Limit / 2));
            // The widest gap is a few strides of an even curve.
            Assert.All(kept.Zip(kept.Skip(1)), pair => Assert.True(pair.Second - pair.First <= 8.0 * steps / Limit + 1));
        });

    [Fact]
    public void Loads_of_experts_that_wait_are_thinned_and_a_beat_carries_few_of_them()
    {
        var buffer = new ReportBuffer();
        for (int step = 1; step <= 1000; step++)
        {
            buffer.Add(new ExpertLoadReport { Step = step });
        }

        var kept = new List<long>();
        for (int sequence = 1; !buffer.Empty; sequence++)
        {
            var beat = new HeartbeatRequest { Sequence = sequence };
            buffer.Fill(beat);
            Assert.InRange(beat.ExpertLoads.Count, 1, 8);
            kept.AddRange(beat.ExpertLoads.Select(l => l.Step));
            buffer.Acknowledge(sequence);
        }

        Assert.InRange(kept.Count, 64, 128);
        Assert.Equal(kept.Order(), kept);
        Assert.Equal(1000, kept[^1]);
    }

    [Fact]
    public void An_old_acknowledgement_forgets_nothing_newer()
    {
        var buffer = new ReportBuffer();
        buffer.Add(new StepSample { Step = 1 });
        buffer.Fill(new HeartbeatRequest { Sequence = 5 });
        buffer.Add(new StepSample { Step = 2 });
        buffer.Acknowledge(4);
        Assert.Equal(2, buffer.Samples);
        buffer.Acknowledge(5);
        Assert.Equal(1, buffer.Samples);
    }
}
