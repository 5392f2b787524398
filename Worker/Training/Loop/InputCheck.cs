using DeepSeekOps.Contracts.Worker.V1;
using DeepSeekOps.Worker.Data;
using DeepSeekOps.Worker.Parallel;
using DeepSeekOps.Worker.Training.Stages;

namespace DeepSeekOps.Worker.Training.Loop;

/// <summary>
/// Whether what a stage goes on with is what it was trained with, and whether all ranks of its gang read the same. A state counts
/// documents: in another file the same count leads to another text, which no loss shows.
/// </summary>
internal static class InputCheck
{
    /// <summary>Other data go on and are told: a person may have mended a line or added some. Another tokenizer never does.</summary>
    /// <exception cref="InvalidDataException">The tokenizer is another one.</exception>
    public static void Compare(IReadOnlyList<InputMark> before, long step, StageContext context, Assignment assignment)
    {
        var again = $"`dsops retry {assignment.Attempt.Run} --stage {assignment.Attempt.Stage} --from 0` begins again with";
        if (Tokenizer(before, context) is { } was && Tokenizer(context.Inputs, context) is { } now && !was.SaysTheSame(now))
        {
            throw new InvalidDataException(
                $"The tokenizer {now} is not the one that step {step} was trained with ({was.Bytes} bytes, SHA-256 {was.Sha256[..12]}…): "
                    + $"the same ids would mean other text. Put that one back (each checkpoint has a copy); {again} the new one.");
        }
        if (InputMark.Differences(before, context.Inputs).ToList() is { Count: > 0 } differences)
        {
            context.Tell($"The data changed since step {step} was trained: {string.Join("; ", differences)}. The stage goes on with what "
                + $"is there now, by the count of documents that it had reached; {again} it.");
        }
    }

    /// <summary>A call of all ranks.</summary>
    /// <exception cref="InvalidDataException">This rank reads something else than the first one.</exception>
    public static void Agree(StageContext context, IProcessGroup world)
    {
        if (world.Ranks == 1)
        {
            return;
        }
        var own = InputMark.Sum(context.Inputs);
        if (world.Broadcast(own) != own)
        {
            throw new InvalidDataException(
                $"Rank {world.Own} reads other data than rank 0 does: here there is {string.Join(", ", context.Inputs)}. Give all nodes of "
                    + "the gang the same files.");
        }
    }

    private static InputMark? Tokenizer(IReadOnlyList<InputMark> marks, StageContext context) =>
        context.Tokenizer.Json is null ? null : marks.FirstOrDefault(m => m.Path == context.Plan.Data.Tokenizer);
}
