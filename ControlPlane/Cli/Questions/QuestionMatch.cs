using System.Collections.Immutable;
using System.Text.RegularExpressions;
using DeepSeekOps.Decisions;

namespace DeepSeekOps.ControlPlane.Cli.Questions;

/// <param name="Sure">Null: none fits well enough, or two fit as well.</param>
/// <param name="Near">The nearest first; empty where nothing has a word in common.</param>
internal sealed record Guessed(Question? Sure, ImmutableArray<Question> Near);

/// <summary>
/// Which of the questions somebody asks in words of their own. Words that the asked and a known way of asking have in common, each
/// counting the more the fewer questions have it, over all words of both (Dice's coefficient). No model: a person can follow why.
/// </summary>
internal static partial class QuestionMatch
{
    /// <summary>
    /// Ours, both: of the free wordings in QuestionMatchTests none that is told for sure is wrong with them. Below them the nearest are
    /// listed:
    /// an answer to something else is worse than a list.
    /// </summary>
    private const double Enough = 0.65;

    private const double Apart = 0.08;

    /// <summary>With less in common a question is not near.</summary>
    private const double NearLeast = 0.25;

    private const int NearMost = 5;

    /// <summary>A word that no question has may be what is meant: it counts as one that a single question has.</summary>
    private static readonly double UnknownWeight = Math.Log(1 + QuestionBook.All.Length);

    /// <summary>Of shorter words another letter makes another word.</summary>
    private const int MisspeltLeast = 5;

    private static readonly ImmutableHashSet<string> Empty =
    [
        "a", "an", "the", "it", "its", "is", "are", "was", "were", "be", "been", "do", "does", "did", "has", "have", "had", "of", "to",
        "in", "on", "at", "for", "by", "with", "my", "this", "that", "there", "and", "or", "any", "please", "tell", "show", "will",
        "would", "can", "could", "so", "about", "yet", "then", "just", "from", "run's",
    ];

    private static readonly ImmutableArray<(Question Question, ImmutableArray<ImmutableHashSet<string>> Ways)> Known =
        [.. QuestionBook.All.Select(q => (q, (ImmutableArray<ImmutableHashSet<string>>)[.. q.Ways.Append(q.Text).Select(WordsOf)]))];

    private static readonly ImmutableDictionary<string, double> Weights = Known
        .SelectMany(known => known.Ways.SelectMany(way => way).Distinct()).GroupBy(word => word)
        .ToImmutableDictionary(word => word.Key, word => Math.Log(1 + ((double)Known.Length / word.Count())));

    public static Guessed Of(string asked)
    {
        string id = asked.Trim().ToLowerInvariant();
        if (QuestionBook.Named(id) is { } named)
        {
            return new Guessed(named, [named]);
        }

        var words = WordsOf(asked).Select(Spelt).ToImmutableHashSet();
        var scored = Known.Select(known => (known.Question, Score: known.Ways.Max(way => Common(words, way))))
            .OrderByDescending(known => known.Score).ToList();
        bool sure = scored[0].Score >= Enough && scored[0].Score - scored[1].Score >= Apart;
        return new Guessed(sure ? scored[0].Question : null,
            [.. scored.Where(known => known.Score >= NearLeast).Take(NearMost).Select(known => known.Question)]);
    }

    /// <summary>Some question has that word, so that it need not be somebody's name.</summary>
    public static bool Knows(string word) => WordsOf(word).All(Weights.ContainsKey);

    /// <summary>As <see cref="Knows"/>, or one letter beside it.</summary>
    public static bool Means(string word) => WordsOf(word).Select(Spelt).All(Weights.ContainsKey);

    private static double Common(ImmutableHashSet<string> asked, ImmutableHashSet<string> way)
    {
        double common = asked.Where(way.Contains).Sum(Weight);
        double all = asked.Sum(Weight) + way.Sum(Weight);
        return all > 0 ? 2 * common / all : 0;
    }

    private static double Weight(string word) => Weights.GetValueOrDefault(word, UnknownWeight);

    /// <summary>The word that was meant, where one letter is another one.</summary>
    private static string Spelt(string word) => word.Length < MisspeltLeast || Weights.ContainsKey(word) ? word
        : Weights.Keys.Where(known => known.Length >= MisspeltLeast - 1
            && EditDistance.Between(word, known) == 1).Order(StringComparer.Ordinal)
            .FirstOrDefault() ?? word;

    private static ImmutableHashSet<string> WordsOf(string text) =>
        [.. Word().Matches(text.ToLowerInvariant().Replace('’', '\'')).Select(m => m.Value).Where(word => !Empty.Contains(word))
            .Select(Stem)];

    /// <summary>Enough of a stem that "cancel", "cancels", "cancelled" and "cancelling" are one word, however it looks.</summary>
    private static string Stem(string word)
    {
        string stem = word.EndsWith("n't", StringComparison.Ordinal) ? word[..^3] : word.EndsWith("'s", StringComparison.Ordinal)
            ? word[..^2] : word;
        string end = ((string[])["ing", "ed", "es", "s"]).FirstOrDefault(
            e => stem.Length > e.Length + 2 && stem.EndsWith(e, StringComparison.Ordinal)
                && !stem.EndsWith("ss", StringComparison.Ordinal)) ?? "";
        stem = stem[..^end.Length];
        stem = stem.Length > 3 && stem[^1] == stem[^2] && stem[^1] is not ('a' or 'e' or 'i' or 'o' or 'u') ? stem[..^1] : stem;
        return stem.Length > 3 && stem[^1] == 'e' ? stem[..^1] : stem;
    }

    [GeneratedRegex(@"[\p{L}\p{Nd}]+(?:'[a-z]+)?")]
    private static partial Regex Word();
}
