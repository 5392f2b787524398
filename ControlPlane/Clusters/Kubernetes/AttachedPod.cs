using System.Security.Cryptography;
using System.Text;
using DeepSeekOps.Decisions.Pods;
using k8s;

namespace DeepSeekOps.ControlPlane.Clusters.Kubernetes;

/// <summary>
/// The pod that tries checkpoints, by its standard streams through the API server. Its stdin is attached once: when this connection ends,
/// however this process ends, its program ends too.
/// </summary>
internal sealed class AttachedPod : IGeneratingPod
{
    private static readonly TimeSpan LookEvery = TimeSpan.FromMilliseconds(250);

    private readonly KubernetesApi api;
    private readonly TimeProvider clock;
    private readonly StreamDemuxer streams;
    private PodFacts? ended;
    private volatile bool closed;

    private AttachedPod(KubernetesApi api, string name, StreamDemuxer streams, TimeProvider clock)
    {
        (this.api, this.streams, this.clock, Name) = (api, streams, clock, name);
        streams.ConnectionClosed += (_, _) => closed = true;
        var utf8 = new UTF8Encoding(false);
        Orders = new StreamWriter(streams.GetStream(null, ChannelIndex.StdIn), utf8);
        News = new StreamReader(streams.GetStream(ChannelIndex.StdOut, null), utf8);
        Complaints = new StreamReader(streams.GetStream(ChannelIndex.StdErr, null), utf8);
        streams.Start();
    }

    public string Name { get; }

    public bool Alive => !closed;

    public TextWriter Orders { get; }

    public TextReader News { get; }

    public TextReader Complaints { get; }

    /// <param name="within">How long it may take to be placed, to have its image and to start.</param>
    /// <exception cref="IOException">It does not start; the message says why, as far as the cluster does.</exception>
    public static async Task<IGeneratingPod> Begin(
        KubernetesApi api, TimeSpan within, TimeProvider clock, CancellationToken cancellation)
    {
        string name = GangNames.OfTry(Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(5)));
        await api.RemoveEndedGenerating(cancellation);
        await api.MakeGenerating(name, cancellation);
        try
        {
            await Started(api, name, within, clock, cancellation);
            return new AttachedPod(api, name, await api.Attach(name, cancellation), clock);
        }
        catch
        {
            await api.EndGenerating(name, CancellationToken.None);
            throw;
        }
    }

    public async Task<string> End(TimeSpan patience)
    {
        bool lost = closed;
        closed = true;
        streams.Dispose();
        using var limit = new CancellationTokenSource(patience, clock);
        try
        {
            ended ??= await api.Generating(Name, limit.Token);
            // How it ended is known a moment after its streams have ended.
            using var look = new PeriodicTimer(LookEvery, clock);
            while (lost && ended is { Ended: false })
            {
                await look.WaitForNextTickAsync(limit.Token);
                ended = await api.Generating(Name, limit.Token);
            }
        }
        catch (Exception e) when (e is IOException or OperationCanceledException)
        {
            // It is told of as far as it was seen.
        }

        try
        {
            await api.EndGenerating(Name, CancellationToken.None);
        }
        catch (IOException)
        {
            // Without its stdin it ends by itself, and the next that begins takes away what is left of it.
        }

        return ended switch
        {
            null => "was taken away",
            { ExitCode: > 128 and var code } => $"was ended by signal {code - 128}{Why(ended)}",
            { ExitCode: { } code } => $"ended with exit code {code}{Why(ended)}",
            _ => $"lost its connection to the control plane{Why(ended)}",
        };
    }

    public ValueTask DisposeAsync()
    {
        streams.Dispose();
        return ValueTask.CompletedTask;
    }

    private static string Why(PodFacts pod) => pod.Reason.Length > 0 ? $" ({pod.Reason})" : "";

    private static async Task Started(KubernetesApi api, string name, TimeSpan within, TimeProvider clock, CancellationToken cancellation)
    {
        long began = clock.GetTimestamp();
        using var look = new PeriodicTimer(LookEvery, clock);
        while (true)
        {
            var pod = await api.Generating(name, cancellation) ?? throw new IOException($"Pod {name} was taken away before it started.");
            if (pod.Started && !pod.Ended)
            {
                return;
            }

            if (pod.Ended || clock.GetElapsedTime(began) > within)
            {
                throw new IOException($"Pod {name}, which would try the checkpoint, "
                    + (pod.Ended ? "ended before it was asked" : $"has not started within {within.TotalSeconds:0} s")
                    + (pod.Reason.Length > 0 ? $": {pod.Reason}" : "") + $". See `kubectl describe pod {name}`.");
            }

            await look.WaitForNextTickAsync(cancellation);
        }
    }
}
