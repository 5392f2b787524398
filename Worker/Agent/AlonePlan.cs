using System.Collections.Immutable;
using DeepSeekOps.Contracts.Worker.V1;

namespace DeepSeekOps.Worker.Agent;

/// <summary>
/// What an agent does for a rank that ended while nobody can be asked. A control plane that answers decides, whatever it decides; only
/// where none has for a while the agent launches the rank again, a few times, in the same attempt and as its next local try.
/// </summary>
public static class AlonePlan
{
    /// <summary>A control plane that is started again is back within 3 s on an idle machine; its decision is worth waiting for.</summary>
    public static readonly TimeSpan AloneAfter = TimeSpan.FromSeconds(5);

    /// <summary>Launches without a new checkpoint in between. As many ends by one fault give up a stage in the control plane.</summary>
    public const int Budget = 3;

    /// <summary>Ours: 0 s, 5 s, 25 s. What ends three times within half a minute of waiting is not cured by haste.</summary>
    private static readonly TimeSpan PauseBase = TimeSpan.FromSeconds(5);

    /// <summary>
    /// No launch mends bad input, a stage without any checkpoint that can be used, a program that cannot be started or has instructions
    /// that the processor does not know (SIGILL). The control plane's dictionary of exits says the same of these codes and of no others.
    /// </summary>
    public static readonly ImmutableArray<int> NotMendedByLaunching = [RankEntry.BadInput, RankEntry.NoCheckpoint, RankEntry.NotFinite,
        126, 127, 128 + 4];

    /// <param name="alone">How long nobody has decided anything; null: somebody does.</param>
    /// <returns>The next local try, and the rank whose end it mends. Null: there is nothing to do, or it is not for the agent to
    /// do.</returns>
    public static (Wanted.Training Next, RankSeen Ended)? Decide(
        Wanted wanted, ImmutableArray<RankSeen> ranks, string node, TimeSpan? alone, DateTimeOffset now)
    {
        if (wanted is not Wanted.Training training || alone is not { } since || since < AloneAfter
            || !WholeGangIsHere(training.Assignment, node))
        {
            return null;
        }

        // Whoever lost a peer is its victim; the one that is launched again is told by what ended it.
        var ended = ranks.Where(r => training.Has(r) && r.State == RankState.Exited)
            .OrderBy(r => r.LostPeer is not null).ThenBy(r => r.EndedAt).FirstOrDefault();
        bool mendable = ended is not null && training.TriesSpent < Budget && !NotMendedByLaunching.Contains(ended.ExitCode ?? 0);
        if (!mendable || now < ended!.EndedAt + PauseBefore(training.TriesSpent))
        {
            return null;
        }

        return (training with { LocalTry = training.LocalTry + 1, TriesSpent = training.TriesSpent + 1 }, ended);
    }

    public static TimeSpan PauseBefore(int triesSpent) => triesSpent == 0 ? TimeSpan.Zero : PauseBase * Math.Pow(5, triesSpent - 1);

    /// <summary>
    /// With other nodes in the gang a rank alone is no use: all have to go back to one step together, and which is not for one of their
    /// agents to choose.
    /// </summary>
    internal static bool WholeGangIsHere(Assignment assignment, string node) =>
        assignment.Ranks.Count == assignment.WorldSize && assignment.Ranks.All(r => r.Node == node);
}
