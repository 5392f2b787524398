using System.Collections.Immutable;
using System.Diagnostics;
using DeepSeekOps.Decisions.Health;

namespace DeepSeekOps.Decisions.Recovery;

/// <summary>A step of the ladder: a remedy, or null where it has none for this failure.</summary>
/// <param name="Passed">Why it has none, in words for people.</param>
public sealed record Rung(string Name, Func<FailedAttempt, Remedy?> Try, Func<FailedAttempt, string> Passed);

/// <summary>What the ladder says.</summary>
/// <param name="Failure">As it is told, which may suspect its node by now.</param>
/// <param name="Rung">Which one decided.</param>
/// <param name="Refused">The rungs that were asked before it, and those after it, with why they did not decide.</param>
public sealed record Climbed(Failure Failure, Remedy Remedy, string Rung, ImmutableArray<(string Rung, string Because)> Refused)
{
    public void Deconstruct(out Failure failure, out Remedy remedy) => (failure, remedy) = (Failure, Remedy);
}

/// <summary>
/// How a stage is brought back. The rungs are asked in this order and the first that has an answer decides; what gives a stage up comes
/// before what launches it again, and the cheapest launch last, since it takes every failure. A new rung is a file beside the others and
/// its place here.
/// </summary>
public static class Ladder
{
    public static ImmutableArray<Rung> Rungs { get; } =
    [
        AskedFor.Rung, NoCheckpointLeft.Rung, NotCured.Rung, BreaksAgain.Rung, NewNode.Rung, SameFault.Rung, RestartBudget.Rung,
        AnotherGang.Rung, WithoutBatch.Rung, LossRise.Rung, InPlace.Rung,
    ];

    public static Climbed Climb(FailedAttempt failed)
    {
        var suspected = failed with { Failure = NodeSuspicion.Of(failed) };
        var told = suspected with { Failure = NewNode.Of(suspected) };
        for (int i = 0; i < Rungs.Length; i++)
        {
            if (Rungs[i].Try(told) is { } remedy)
            {
                string decided = Rungs[i].Name;
                return new Climbed(told.Failure, remedy, decided,
                [
                    .. Rungs.Take(i).Select(r => (r.Name, r.Passed(told))),
                    .. Rungs.Skip(i + 1).Where(r => r.Try(told) is not null).Select(r => (r.Name, $"'{decided}' stands before it")),
                ]);
            }
        }

        throw new UnreachableException($"no rung for {told.Failure.Cause}");
    }
}
