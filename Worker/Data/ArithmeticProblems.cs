using System.Globalization;

namespace DeepSeekOps.Worker.Data;

/// <summary>
/// Additions and subtractions of small numbers, bare or told as a story. Of some sums one wording is held out: such a question is
/// never trained on, its sum is, in the other wordings. What is measured is thus whether a known sum is recognised in a wording it was
/// never met in, not whether adding carries over to unknown operands: that is beyond a model of a few million parameters in minutes.
/// </summary>
public static class ArithmeticProblems
{
    /// <summary>Operands are below this.</summary>
    public const int Limit = 10;

    // The first two draws of a wording are the bare sum, which so makes half of all problems.
    private const int Bare = 1;

    // Of each wording, one sum in eight is held out.
    private const int HeldOutShare = 8;

    private static readonly string[] Names = ["Ada", "Ben", "Chen", "Dora", "Emil", "Fei", "Gita", "Hugo", "Ines", "Jun"];
    private static readonly string[] Things = ["apples", "books", "coins", "eggs", "pens", "shells", "stamps", "stones"];

    public static Problem Draw(ref SeededRandom random, bool heldOut)
    {
        while (true)
        {
            var minus = random.Next(2) == 1;
            var (a, b) = (random.Next(Limit), random.Next(Limit));
            if (minus && a < b)
            {
                (a, b) = (b, a);
            }
            var wording = Math.Max(Bare, random.Next(4));
            if (IsHeldOut(minus, a, b, wording) == heldOut)
            {
                return Tell(ref random, minus, a, b, wording);
            }
        }
    }

    /// <summary>The same question with a solution that leaves the sum out and guesses near its result: seldom right.</summary>
    public static Problem Hasty(ref SeededRandom random, Problem problem)
    {
        var guess = Math.Max(0, int.Parse(problem.Answer, CultureInfo.InvariantCulture) + random.Next(5) - 2);
        return problem with { Solution = $"\\boxed{{{guess.ToString(CultureInfo.InvariantCulture)}}}" };
    }

    // Of one sum at most one wording: the other two always teach it.
    private static bool IsHeldOut(bool minus, int a, int b, int wording) =>
        SeededRandom.Mix((ulong)((minus ? 1 : 0) + (2 * a) + (2 * Limit * b)) + 0x5eed) % HeldOutShare == (ulong)wording;

    private static Problem Tell(ref SeededRandom random, bool minus, int a, int b, int wording)
    {
        var (sign, result) = minus ? ('-', a - b) : ('+', a + b);
        var answer = result.ToString(CultureInfo.InvariantCulture);
        var solution = $"{a}{sign}{b}=\\boxed{{{answer}}}";
        if (wording == Bare)
        {
            return new Problem($"{a}{sign}{b}=?", solution, answer);
        }
        var (who, what) = (random.Pick<string>(Names), random.Pick<string>(Things));
        var question = (minus, wording) switch
        {
            (false, 2) => $"{who} has {a} {what} and gets {b}. How many now?",
            (false, _) => $"{a} {what} and {b} {what}: how many has {who}?",
            (true, 2) => $"{who} has {a} {what} and loses {b}. How many now?",
            (true, _) => $"Of {a} {what} {who} sold {b}. How many are left?",
        };
        return new Problem(question, solution, answer);
    }
}
