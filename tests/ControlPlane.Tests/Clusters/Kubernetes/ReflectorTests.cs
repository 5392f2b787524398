using System.Runtime.CompilerServices;
using DeepSeekOps.ControlPlane.Clusters.Kubernetes;
using k8s;
using k8s.Models;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace DeepSeekOps.ControlPlane.Tests.Clusters.Kubernetes;

/// <summary>Ends of watches that a real API server was seen to make, at a time of the test's own.</summary>
public sealed class ReflectorTests
{
    private const int Watches = 5;

    private readonly FakeTimeProvider clock = new();
    private readonly TaskCompletionSource enough = new();
    private int lists;
    private int watches;

    [Fact]
    public async Task A_watch_that_is_cut_when_its_time_is_up_goes_on_where_it_was_and_is_no_trouble()
    {
        var kind = new WatchedKind<V1Node>("nodes", List, Watch);
        await using var nodes = new Reflector<V1Node, string>(kind, node => node.Metadata.Name, clock, NullLogger.Instance);
        nodes.Begin();
        await enough.Task;
        Assert.Equal((1, ""), (lists, nodes.Trouble.Why));
    }

    private Task<(IEnumerable<V1Node> Items, string Version)> List(CancellationToken stop)
    {
        lists++;
        return Task.FromResult<(IEnumerable<V1Node>, string)>(([], "1"));
    }

    /// <summary>Silent for as long as it was asked for, and then cut without the end of its answer.</summary>
    private async IAsyncEnumerable<(WatchEventType Type, V1Node Item)> Watch(
        string version, Action<Exception> onError, [EnumeratorCancellation] CancellationToken stop)
    {
        if (++watches > Watches)
        {
            enough.TrySetResult();
            await Task.Delay(Timeout.Infinite, stop);
        }

        clock.Advance(TimeSpan.FromSeconds(60.5));
        yield return Cut();
    }

    private static (WatchEventType Type, V1Node Item) Cut() => throw new IOException("Error while copying content to a stream.");
}
