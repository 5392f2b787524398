namespace DeepSeekOps.ControlPlane.Clusters.Simulated;

/// <summary>Lets the simulated agents speak once a second, as those on machines do.</summary>
internal sealed partial class SimulatedAgents(SimulatedCluster cluster, AgentCalls door, TimeProvider clock, ILogger<SimulatedAgents> log)
    : BackgroundService
{
    private static readonly TimeSpan SpeakEvery = TimeSpan.FromSeconds(1);

    private const int SpeakAtOnce = 32;

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(SpeakEvery, clock);
        while (await timer.WaitForNextTickAsync(stoppingToken))
        {
            await Speak(stoppingToken);
        }
    }

    /// <summary>One word of each agent, and obedience to each answer.</summary>
    public async Task Speak(CancellationToken cancellation)
    {
        foreach (var some in cluster.Turn().Chunk(SpeakAtOnce))
        {
            cancellation.ThrowIfCancellationRequested();
            await Task.WhenAll(some.Select(SayOne));
        }
    }

    private async Task SayOne(SimulatedWord word)
    {
        try
        {
            cluster.Obey(word, word.First is { } first ? await door.Register(first) : await door.Heartbeat(word.Beat!));
        }
        catch (Exception lost) when (lost is TimeoutException or Orleans.Runtime.OrleansException)
        {
            // As an agent that loses contact: it trains on and says it again.
            LogLost(lost, word.Pod.Node.Name);
        }
    }

    [LoggerMessage(Level = LogLevel.Debug, Message = "The simulated agent on {Node} was not heard")]
    private partial void LogLost(Exception lost, string node);
}
