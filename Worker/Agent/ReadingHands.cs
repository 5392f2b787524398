using DeepSeekOps.Contracts.Worker.V1;

namespace DeepSeekOps.Worker.Agent;

/// <summary>Who reads checkpoints again beside the training. What a checkpoint is, an agent does not know.</summary>
/// <param name="Read">
/// Reads a share of the files under a root. It waits by what it is given; whatever ends the reading ends that by an exception.
/// </param>
/// <param name="SetAside">
/// Moves what is damaged, for a reason, to where a launch would have put it. Why it could not be moved; null: it is, or is gone, or another
/// one lies there by now.
/// </param>
public sealed record ReadingHands(
    Func<string, ReadOrder, Action<TimeSpan>, ShareRead> Read, Func<Assignment, ReadOrder, string, string?> SetAside);

/// <summary>What came of reading a share of a checkpoint again.</summary>
public abstract record ShareRead
{
    private ShareRead() { }

    /// <param name="Odd">Files that were right only when they were read a second time.</param>
    public sealed record Whole(IReadOnlyList<string> Odd) : ShareRead;

    /// <summary>Read twice, and both times another one than the manifest says.</summary>
    public sealed record Damaged(string Reason) : ShareRead;

    /// <summary>
    /// It is not there, or another one is: retention has let go of it, a rank has saved the step anew, or somebody else was here.
    /// </summary>
    public sealed record Gone(string Reason) : ShareRead;

    /// <summary>The disk does not say what lies there.</summary>
    public sealed record Unreadable(string Reason) : ShareRead;
}
