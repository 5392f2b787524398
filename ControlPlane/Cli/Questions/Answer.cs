using System.Collections.Immutable;
using DeepSeekOps.ControlPlane.Client;

namespace DeepSeekOps.ControlPlane.Cli.Questions;

/// <summary>A figure behind an answer, as the other verbs and the pages write it.</summary>
internal sealed record Figure(string Name, string Value);

/// <summary>Words that a training program or a machine printed. They are data, whatever they say.</summary>
/// <param name="From">Who printed them.</param>
internal sealed record Quote(string From, string Text);

/// <summary>Where an answer can be looked up.</summary>
/// <param name="Page">From the root of the dashboard.</param>
/// <param name="Command">What shows the same on a terminal.</param>
internal sealed record Lookup(string Page, string Command);

/// <summary>
/// One sentence, the figures behind it and where they are from. Whatever goes in is cleaned and cut here, so that no name, reason or line
/// of a run can steer a terminal, break the protocol of an assistant or fill its memory.
/// </summary>
internal sealed record Answer
{
    /// <summary>Ours: a reason with the evidence in it has some hundred characters, and what is longer is read where it is kept.</summary>
    internal const int TextMost = 1_000;

    /// <summary>Ours: a screen of them.</summary>
    internal const int FiguresMost = 24;

    /// <summary>As `dsops why` prints of a rank.</summary>
    internal const int QuotesMost = 12;

    private Answer(string sentence, bool known) => (Sentence, Known) = ($"{Plain(sentence).TrimEnd('.', ':', ' ')}.", known);

    public string Sentence { get; private init; }

    /// <summary>False: nothing is recorded that answers it, and the sentence says why.</summary>
    public bool Known { get; }

    public ImmutableArray<Figure> Figures { get; private init; } = [];

    public ImmutableArray<Quote> Quotes { get; private init; } = [];

    public ImmutableArray<Lookup> Evidence { get; private init; } = [];

    public static Answer Of(string sentence) => new(sentence, known: true);

    public static Answer Unknown(string because) => new($"Not known, because {because}", known: false);

    /// <summary>A figure without a value is left out.</summary>
    public Answer With(string name, string? value) => string.IsNullOrWhiteSpace(value) || Figures.Length >= FiguresMost ? this
        : this with { Figures = Figures.Add(new Figure(Plain(name), Plain(value))) };

    /// <summary>Figures of a list; of more than there is room for the first are told, and how many there are.</summary>
    public Answer With(IEnumerable<(string Name, string Value)> figures, int most = 10)
    {
        var all = figures.ToList();
        var answer = all.Take(most).Aggregate(this, (told, figure) => told.With(figure.Name, figure.Value));
        return all.Count > most ? answer.With("and more", $"{all.Count - most} of {all.Count} are left out here") : answer;
    }

    public Answer Quoting(string from, string text) => Quotes.Length >= QuotesMost || string.IsNullOrWhiteSpace(text) ? this
        : this with { Quotes = Quotes.Add(new Quote(Plain(from), Plain(text))) };

    public Answer See(string page, string command) =>
        this with { Evidence = Evidence.Add(new Lookup(Plain(page), Plain(command))) };

    public Answer Before(string label) => this with { Sentence = $"{label}{Sentence}" };

    internal static string Plain(string text)
    {
        string plain = string.Join(' ', PlainText.Of(text).Split(' ', StringSplitOptions.RemoveEmptyEntries));
        return plain.Length <= TextMost ? plain : $"{plain[..(TextMost - 2)].TrimEnd('\uD83C', '\uD83D', '\uD83E')} …";
    }
}
