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
/// before what launches it again, and the cheapest launch last, since it takes every failure. A new rung is a file beside the others and a
/// line here.
/// </summary>
public static class Ladder
{
    public static ImmutableArray<Rung> Rungs { get; } =
    [
        new("asked for by a person", AskedFor.Try, _ => "nobody asked for it"),
        new("no checkpoint", NoCheckpointLeft.Try, _ => "the stage has what it goes on from"),
        new("no launch cures it", NotCured.Try, _ => "nothing says for certain that another launch would end the same"),
        new("numbers break again", BreaksAgain.Try,
            f => f.Failure.Broke is null ? "no number broke" : "none had broken shortly before"),
        new("the same fault again", SameFault.Try, f => f.Failure.Signature.Length == 0 ? "it says nothing of the program"
            : $"not {f.Stage.Policy.MaxSameFault} launches on one node, or nodes, ended so"),
        new("restart budget", RestartBudget.Try, f => $"{f.Restarts.Count(r => r.Cause == f.Failure.Cause)} of "
            + $"{f.Stage.Policy.MaxRestarts} restarts by this cause are used"),
        new("another gang", AnotherGang.Try, f => $"{f.Failure.Node} is not suspect, and a new gang costs minutes"),
        new("without the batch", WithoutBatch.Try, _ => "no number broke"),
        new("after a loss that rose", LossRise.Try, _ => "no loss rose and stayed up"),
        new("in place", InPlace.Try, _ => "it takes what no other rung does"),
    ];

    public static Climbed Climb(FailedAttempt failed)
    {
        var told = failed with { Failure = NodeSuspicion.Of(failed) };
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
