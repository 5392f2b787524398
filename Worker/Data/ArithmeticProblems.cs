using System.Globalization;

namespace DeepSeekOps.Worker.Data;

/// <summary>
/// Additions and subtractions of small numbers, bare or told as a story. Whether a problem is for training or held out hangs on
/// its operands alone, so that no wording of a held-out sum is ever trained on.
/// </summary>
public static class ArithmeticProblems
{
    /// <summary>Operands are below this.</summary>
    public const int Limit = 20;

    // One ordered pair of operands in eight is held out.
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
            if (IsHeldOut(minus, a, b) == heldOut)
            {
                return Tell(ref random, minus, a, b);
            }
        }
    }

    public static bool IsHeldOut(bool minus, int a, int b) =>
        SeededRandom.Mix((ulong)((minus ? 1 : 0) + (2 * a) + (2 * Limit * b)) + 0x5eed) % HeldOutShare == 0;

    private static Problem Tell(ref SeededRandom random, bool minus, int a, int b)
    {
        var (sign, result) = minus ? ('-', a - b) : ('+', a + b);
        var answer = result.ToString(CultureInfo.InvariantCulture);
        var solution = $"{a}{sign}{b}=\\boxed{{{answer}}}";
        var wording = random.Next(4);
        if (wording < 2)
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
