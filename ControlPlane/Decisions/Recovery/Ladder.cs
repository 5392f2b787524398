using System.Collections.Immutable;
using System.Diagnostics;
using DeepSeekOps.Decisions.Health;

namespace DeepSeekOps.Decisions.Recovery;

/// <summary>A step of the ladder: a remedy, or null where it has none for this failure.</summary>
public sealed record Rung(string Name, Func<FailedAttempt, Remedy?> Try);

/// <summary>
/// How a stage is brought back. The rungs are asked in this order and the first that has an answer decides; what gives a stage up comes
/// before what launches it again, and the cheapest launch last, since it takes every failure. A new rung is a file beside the others and a
/// line here.
/// </summary>
public static class Ladder
{
    public static ImmutableArray<Rung> Rungs { get; } =
    [
        new("asked for by a person", AskedFor.Try),
        new("no checkpoint", NoCheckpointLeft.Try),
        new("no launch cures it", NotCured.Try),
        new("numbers break again", BreaksAgain.Try),
        new("the same fault again", SameFault.Try),
        new("restart budget", RestartBudget.Try),
        new("another gang", AnotherGang.Try),
        new("without the batch", WithoutBatch.Try),
        new("after a loss that rose", LossRise.Try),
        new("in place", InPlace.Try),
    ];

    /// <returns>The failure as it is told, which may suspect its node by now, and what follows it.</returns>
    public static (Failure Failure, Remedy Remedy) Climb(FailedAttempt failed)
    {
        var told = failed with { Failure = NodeSuspicion.Of(failed) };
        foreach (var rung in Rungs)
        {
            if (rung.Try(told) is { } remedy)
            {
                return (told.Failure, remedy);
            }
        }

        throw new UnreachableException($"no rung for {told.Failure.Cause}");
    }
}
