namespace DeepSeekOps.Decisions.Goodput;

/// <summary>
/// What a GPU's second went into. The classes are Google's goodput classes (AI-Hypercomputer/ml-goodput-measurement) in our words;
/// each second is in exactly one. Numbers are stored: new ones come at the end.
/// </summary>
public enum GoodputBucket
{
    /// <summary>Steps whose result is in the run's end, or in the newest attempt where the run has not ended.</summary>
    Productive = 0,
    /// <summary>Steps beyond the checkpoint that the next attempt went on from: they were made again.</summary>
    LostWork = 1,
    /// <summary>Training stood still while a checkpoint was copied off the GPUs.</summary>
    Checkpoint = 2,
    /// <summary>Something was broken and nobody had noticed.</summary>
    Detection = 3,
    /// <summary>From the notice to the first new step: fence, pods, load.</summary>
    Restart = 4,
    /// <summary>The first launch of a stage, and its end after the last step.</summary>
    StartUp = 5,
    /// <summary>Free, while a gang waits that they are too few for; of a run: asked for and not granted.</summary>
    Queue = 6,
    /// <summary>Free, and nobody asks: spares, and nodes that the current stage does not need.</summary>
    Idle = 7,
    /// <summary>Broken, until the repair.</summary>
    Repair = 8,
    /// <summary>
    /// While a gang trains with fewer nodes: whole ones that its smaller layout has no use for, and what its others lose by being dealt
    /// unevenly; of a run: those that it asks for and does not have.
    /// </summary>
    Shrunk = 9,
    /// <summary>What a rank that was named as slow held all others up by, at most.</summary>
    Straggler = 10,
    /// <summary>Nobody listened, and what was told afterwards does not fill the time.</summary>
    Unknown = 11,
    /// <summary>Broken, and known to be; a person holds the run and nothing is done about it.</summary>
    OnHold = 12,
}

public static class GoodputBuckets
{
    /// <summary>"lostWork": as JSON and the wire name it.</summary>
    public static string NameOf(GoodputBucket bucket) => char.ToLowerInvariant(bucket.ToString()[0]) + bucket.ToString()[1..];

    public static (string Name, string What) InWords(GoodputBucket bucket) => bucket switch
    {
        GoodputBucket.Productive => ("productive", "steps that count"),
        GoodputBucket.LostWork => ("lost work", "steps made again after a restart"),
        GoodputBucket.Checkpoint => ("checkpoint", "stood still while one was copied"),
        GoodputBucket.Detection => ("detection", "broken, and not noticed yet"),
        GoodputBucket.Restart => ("restart", "from the notice to the next step"),
        GoodputBucket.StartUp => ("start-up", "first launch and end of a stage"),
        GoodputBucket.Queue => ("queue", "free, while a gang waits for more"),
        GoodputBucket.Idle => ("idle", "free: spares, and what a stage does not need"),
        GoodputBucket.Repair => ("repair", "broken nodes"),
        GoodputBucket.Shrunk => ("shrunk", "unused, while a gang trained with fewer nodes"),
        GoodputBucket.Straggler => ("straggler tax", "what a rank that is slow held the others up by"),
        GoodputBucket.OnHold => ("on hold", "broken, while a person holds the run"),
        GoodputBucket.Unknown => ("unknown", "no report came, and no step shows for it"),
        _ => throw new System.Diagnostics.UnreachableException($"bucket {bucket}"),
    };

    /// <summary>Nothing is held in it, so it costs time and no money.</summary>
    public static bool HoldsNothing(GoodputBucket bucket) => bucket is GoodputBucket.Queue or GoodputBucket.Shrunk;
}
