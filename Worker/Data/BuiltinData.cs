using System.Globalization;
using System.Text;

namespace DeepSeekOps.Worker.Data;

/// <summary>
/// An endless corpus without a download, grown from a seed: arithmetic in words and signs, short texts, texts to remember.
/// </summary>
/// <param name="context">Tokens of the sequences that its documents are to make use of.</param>
public sealed class BuiltinData(long seed, int heldOut, int context = BuiltinData.ShortContext) : ITrainingData
{
    private const int ShortContext = 128;
    private const int ShortestNeedle = 40;

    // Solutions that fine-tuning is shown are of mixed quality, as those of people are. The policy so learns a careful and a hasty way to
    // answer, and the rewards of reinforcement tell it which is right.
    private const int HastyOfTen = 4;

    public long? DocumentCount => null;

    public long? ProblemCount => null;

    public int HeldOutCount => heldOut;

    public long? ConversationCount => null;

    public IReadOnlyList<int> Tokens(long index, ITokenizer tokenizer) => tokenizer.Encode(Document(index));

    public string Document(long index)
    {
        var random = new SeededRandom(seed, "document", index);
        switch (random.Next(10))
        {
            case 0:
                return ShortTexts.Paragraph(ref random, random.Next(1, 4));
            case 1 or 2:
                var needle = ShortTexts.Needle(ref random, NeedleLength(ref random), random.NextDouble());
                return $"{needle.Prompt}{needle.Secret}.";
            case 3:
                return ShortTexts.AskedAgain(ref random);
            default:
                return SolvedProblems(ref random);
        }
    }

    public string DocumentPlace(long index) => $"builtin document {index}";

    public string ConversationPlace(long index) => $"builtin conversation {index}";

    public string ProblemPlace(long index) => $"builtin problem {index}";

    public ITrainingData ForContext(int sequenceLength) =>
        sequenceLength <= ShortContext ? this : new BuiltinData(seed, heldOut, sequenceLength);

    public Problem TrainingProblem(long index)
    {
        var random = new SeededRandom(seed, "problem", index);
        var problem = ArithmeticProblems.Draw(ref random, heldOut: false);
        return random.Next(10) < HastyOfTen ? ArithmeticProblems.Hasty(ref random, problem) : problem;
    }

    public Conversation TrainingConversation(long index) => TrainingProblem(index).ToConversation();

    public Problem HeldOutProblem(int index)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual((uint)index, (uint)heldOut, nameof(index));
        // The same held-out problems whatever the run's seed, so that runs can be compared.
        var random = new SeededRandom(0, "held-out", index);
        return ArithmeticProblems.Draw(ref random, heldOut: true);
    }

    // A text that a sequence cuts in two asks for what is not there: at the short context texts are short, so that most are whole. A longer
    // one has texts of all lengths up to its own.
    private int NeedleLength(ref SeededRandom random) => context <= ShortContext
        ? random.Next(ShortestNeedle, context * 2 / 3)
        : (int)(ShortestNeedle * Math.Pow((context - 16.0) / ShortestNeedle, random.NextDouble()));

    // The corpus states sums plainly; the box and the roles of a conversation are first met in fine-tuning.
    private static string SolvedProblems(ref SeededRandom random)
    {
        var text = new StringBuilder();
        var problems = random.Next(1, 5);
        for (var i = 0; i < problems; i++)
        {
            var problem = ArithmeticProblems.Draw(ref random, heldOut: false);
            var sum = problem.Solution[..(problem.Solution.IndexOf('=', StringComparison.Ordinal) + 1)] + problem.Answer;
            text.Append(i == 0 ? "" : "\n");
            text.Append(CultureInfo.InvariantCulture, $"{problem.Question} {sum}");
        }
        return text.ToString();
    }
}
