using DeepSeekOps.Decisions;
using DeepSeekOps.Decisions.Placement;

namespace DeepSeekOps.ControlPlane.Clusters.Simulated;

/// <summary>What a test of a node would find: figures of an eight-GPU Hopper node, and of a hidden fault what it does to them.</summary>
public sealed partial class SimulatedCluster
{
    /// <summary>About what our test takes on eight GPUs: most of it is the disk.</summary>
    private const double TestSeconds = 40;

    /// <summary>Healthy nodes lie so close to each other: ours, from the spread of GPUs of one kind.</summary>
    private const double Spread = 0.02;

    private readonly Dictionary<NodeId, HiddenFault> hidden = [];

    public NodeTesting Testing => new(Test, Machines: true);

    /// <inheritdoc cref="Kill"/>
    public bool Hide(NodeId node, HiddenFault fault)
    {
        lock (holding)
        {
            hidden[node] = fault;
            return fabric.Any(n => n.Id == node) || !hidden.Remove(node);
        }
    }

    private async Task<NodeFigures> Test(NodeId node, CancellationToken cancellation)
    {
        await Task.Delay(TimeSpan.FromSeconds(TestSeconds / options.TimeFactor), clock, cancellation);
        lock (holding)
        {
            if (broken.TryGetValue(node, out var broke))
            {
                throw new IOException($"the node broke under its test: {broke.Reason}");
            }

            HiddenFault? fault = hidden.TryGetValue(node, out var has) ? has : null;
            // H800: 989 TFLOP/s and 3.35 TB/s by NVIDIA's datasheet, of which products and copies reach three quarters and nine tenths.
            return new NodeFigures
            {
                Device = "8 x simulated", Seconds = TestSeconds, Tflops = 740 * Near(),
                MemoryBytesPerSecond = 3.0e12 * Near() * (fault == HiddenFault.SlowMemory ? 0.5 : 1),
                ReduceBytesPerSecond = 140e9 * Near(), DiskWriteBytesPerSecond = 3e9 * Near(), DiskReadBytesPerSecond = 6e9 * Near(),
                Wrong = fault == HiddenFault.WrongProduct
                    ? ["cuda:3 (simulated): a matrix product of known result is wrong in 1 row and 1 column of 8,192"] : [],
            };
        }
    }

    private double Near() => 1 + (Spread * ((random.NextDouble() * 2) - 1));
}
