using Microsoft.Win32.SafeHandles;

namespace DeepSeekOps.Worker.Agent;

/// <summary>
/// Memory in which the ranks of a node keep their newest states. The agent holds it, so that whoever takes a dead rank's place finds what
/// that one had kept. It goes with the agent, whose ranks go with it too.
/// </summary>
internal sealed class KeptMemory : IDisposable
{
    /// <summary>Of two states one is whole at any time, also where a rank is killed while it writes.</summary>
    public const int Slots = 2;

    private readonly Dictionary<int, SafeFileHandle[]> _held = [];

    public bool Holds(int localRank) => _held.ContainsKey(localRank);

    /// <summary>Where the rank at a place of the node opens its own; it takes no room before something is written to it.</summary>
    /// <exception cref="IOException">There is none to be had.</exception>
    public string[] Of(int localRank)
    {
        if (!_held.TryGetValue(localRank, out var held))
        {
            _held[localRank] = held = [.. Enumerable.Range(0, Slots).Select(i => Posix.NewMemory($"dsops-rank-{localRank}-{i}"))];
        }

        return Array.ConvertAll(held, Posix.PathOf);
    }

    public void Dispose()
    {
        foreach (var memory in _held.Values.SelectMany(held => held))
        {
            memory.Dispose();
        }
    }
}
