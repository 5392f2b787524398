using System.Collections.Concurrent;
using System.Collections.Immutable;
using System.Threading.Channels;
using DeepSeekOps.Decisions;
using DeepSeekOps.Decisions.Health;
using DeepSeekOps.Decisions.Recipes;
using DeepSeekOps.Decisions.Runs;

namespace DeepSeekOps.ControlPlane.Storage.Series;

/// <summary>
/// Samples as they arrive, here or at another silo (<see cref="SiloTidings"/>), to the open pages of their run in this process.
/// </summary>
public sealed class LiveSeries
{
    private readonly ConcurrentDictionary<Subscription, byte> subscriptions = new();

    public Subscription Subscribe(string run)
    {
        var subscription = new Subscription(run, this);
        subscriptions[subscription] = 0;
        return subscription;
    }

    /// <summary>Samples that came to this process: pages on other silos want them too.</summary>
    internal event Action<StageId, ImmutableArray<StepSample>>? PublishedHere;

    internal void Publish(StageId stage, ImmutableArray<StepSample> samples)
    {
        Heard(stage, samples);
        PublishedHere?.Invoke(stage, samples);
    }

    /// <summary>Some samples of other silos did not come: each page reads its pictures anew.</summary>
    internal void Missed()
    {
        foreach (var subscription in subscriptions.Keys)
        {
            subscription.Missed();
        }
    }

    /// <summary>To whichever silo they came.</summary>
    internal void Heard(StageId stage, ImmutableArray<StepSample> samples)
    {
        foreach (var (subscription, _) in subscriptions)
        {
            if (subscription.Run == stage.Run)
            {
                subscription.Offer(stage.Stage, samples);
            }
        }
    }

    /// <summary>What one page has not been sent yet. A page that is too slow loses the oldest samples and is told how many.</summary>
    public sealed class Subscription : IDisposable
    {
        private const int WaitingMax = 256;

        private readonly LiveSeries hub;
        private readonly Channel<(string Stage, ImmutableArray<StepSample> Samples)> waiting;
        private int missed;

        internal Subscription(string run, LiveSeries hub)
        {
            Run = run;
            this.hub = hub;
            waiting = Channel.CreateBounded<(string Stage, ImmutableArray<StepSample> Samples)>(
                new BoundedChannelOptions(WaitingMax) { FullMode = BoundedChannelFullMode.DropOldest, SingleReader = true },
                dropped => Interlocked.Add(ref missed, dropped.Samples.Length));
        }

        public string Run { get; }

        public void Dispose() => hub.subscriptions.TryRemove(this, out _);

        /// <summary>Waits for samples and takes all there are, as one frame of /series/live.</summary>
        public async Task<byte[]> NextFrame(CancellationToken cancellation)
        {
            await waiting.Reader.WaitToReadAsync(cancellation);
            var taken = new List<(string Stage, StepSample Sample)>();
            while (waiting.Reader.TryRead(out var batch))
            {
                taken.AddRange(batch.Samples.Select(sample => (batch.Stage, sample)));
            }

            return LiveFrame.Write(Interlocked.Exchange(ref missed, 0), taken);
        }

        internal void Missed()
        {
            Interlocked.Increment(ref missed);
            waiting.Writer.TryWrite(("", []));
        }

        internal void Offer(string stage, ImmutableArray<StepSample> samples) => waiting.Writer.TryWrite((stage, samples));
    }
}

/// <summary>
/// A frame of /series/live, little-endian: int32 version, int32 missed, int32 samples, then for each sample its stage, int32 attempt,
/// float64 step, tokens and unix seconds, uint16 values, and each value as name and float64. Texts are uint16 length and UTF-8.
/// </summary>
internal static class LiveFrame
{
    public const int Version = 1;

    public static byte[] Write(int missed, IReadOnlyList<(string Stage, StepSample Sample)> samples)
    {
        using var frame = new MemoryStream();
        using var writer = new BinaryWriter(frame);
        writer.Write(Version);
        writer.Write(missed);
        writer.Write(samples.Count);
        foreach (var (stage, sample) in samples)
        {
            WriteText(writer, stage);
            writer.Write(sample.Attempt);
            writer.Write((double)sample.Step);
            writer.Write((double)sample.Tokens);
            writer.Write(SampleSeries.UnixSeconds(sample));
            var values = SampleSeries.Of(sample);
            writer.Write((ushort)values.Count);
            foreach (var (name, value) in values)
            {
                WriteText(writer, name);
                writer.Write(value);
            }
        }

        return frame.ToArray();
    }

    private static void WriteText(BinaryWriter writer, string text)
    {
        byte[] bytes = System.Text.Encoding.UTF8.GetBytes(text);
        writer.Write(checked((ushort)bytes.Length));
        writer.Write(bytes);
    }
}

/// <summary>The series that a sample has a point of.</summary>
internal static class SampleSeries
{
    public static List<(string Name, double Value)> Of(StepSample sample)
    {
        var values = new List<(string, double)>(4 + sample.Extra.Count);
        if (sample.Learned)
        {
            values.AddRange([("loss", sample.Loss), ("grad_norm", sample.GradNorm)]);
        }
        values.AddRange([("learning_rate", sample.LearningRate), ("step_seconds", sample.StepSeconds)]);
        values.AddRange(sample.Extra.Where(e => e.Key is not ("loss" or "grad_norm" or "learning_rate" or "step_seconds"))
            .Select(e => (e.Key, e.Value)));
        return values;
    }

    public static double UnixSeconds(StepSample sample) => sample.At.ToUnixTimeMilliseconds() / 1000.0;
}
