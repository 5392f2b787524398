namespace DeepSeekOps.ControlPlane.Clusters;

/// <summary>
/// A gang of one pod that makes texts by checkpoints, beside those that train: `dsops-worker generate --stream`. A line in is an order, a
/// line out is news. It ends when what goes in ends, and so with this process, however this one ends.
/// </summary>
public interface IGeneratingPod : IAsyncDisposable
{
    /// <summary>As people find it: "process 4711", or the pod's name.</summary>
    string Name { get; }

    bool Alive { get; }

    TextWriter Orders { get; }

    TextReader News { get; }

    /// <summary>What it says beside: of an end nobody wanted the last words.</summary>
    TextReader Complaints { get; }

    /// <summary>Nothing more goes in. One that has not ended by itself within its patience is ended.</summary>
    /// <returns>How it ended: "ended with exit code 1".</returns>
    Task<string> End(TimeSpan patience);
}
