using System.Collections.Immutable;

namespace DeepSeekOps.Decisions.Exits;

/// <summary>
/// A phrase as a program prints it; case does not count, <c>*</c> stands for anything and <c>#</c> for digits, <c>=</c> before it: it is
/// all that a line says behind its prefix, but for punctuation. At a letter or digit a phrase begins and ends with the word.
/// </summary>
/// <remarks>
/// No regular expression: 500 of them take seconds to build, and this takes time in proportion to the line whatever stands in it.
/// </remarks>
internal sealed class Phrase
{
    private const StringComparison AnyCase = StringComparison.OrdinalIgnoreCase;

    /// <summary>Between the stars, in order; in each, texts between numbers.</summary>
    private readonly ImmutableArray<ImmutableArray<string>> _parts;
    private readonly bool _isAll;

    public Phrase(string phrase)
    {
        _isAll = phrase[0] == '=';
        string body = _isAll ? phrase[1..] : phrase;
        _parts = [.. body.Split('*').Select(part => part.Split('#').ToImmutableArray())];
        Anchor = _parts.SelectMany(p => p).MaxBy(t => t.Length)!;
    }

    /// <summary>The longest text in it: a line without it need not be looked at.</summary>
    public string Anchor { get; }

    /// <returns>Where it stands; null: nowhere.</returns>
    public (int At, int Length)? Find(string text)
    {
        if (!text.Contains(Anchor, AnyCase))
        {
            return null;
        }

        var (first, last) = (-1, 0);
        for (int i = 0; i < _parts.Length; i++)
        {
            // The leftmost place of each part leaves most room for the next; only where a word has to begin or end the place is chosen.
            if (Part(_parts[i], text, last, i == 0, i == _parts.Length - 1) is not var (at, end))
            {
                return null;
            }

            first = first < 0 ? at : first;
            last = end;
        }

        return (first, last - first);
    }

    private (int At, int End)? Part(ImmutableArray<string> texts, string text, int from, bool isFirst, bool isLast)
    {
        if (texts is [""])
        {
            return (from, isLast ? text.Length : from);
        }

        for (int at = from; (at = text.IndexOf(texts[0], at, AnyCase)) >= 0; at++)
        {
            if (End(texts, text, at) is { } end && (!isFirst || BeginsAt(text, at)) && (!isLast || EndsAt(text, end)))
            {
                return (at, end);
            }
        }

        return null;
    }

    private static int? End(ImmutableArray<string> texts, string text, int at)
    {
        int end = at;
        for (int i = 0; i < texts.Length; i++)
        {
            int digits = end;
            while (i > 0 && digits < text.Length && char.IsAsciiDigit(text[digits]))
            {
                digits++;
            }

            if ((i > 0 && digits == end) || string.Compare(text, digits, texts[i], 0, texts[i].Length, AnyCase) != 0)
            {
                return null;
            }

            end = digits + texts[i].Length;
        }

        return end;
    }

    private bool BeginsAt(string text, int at) => _isAll ? text.AsSpan(0, at).Trim().IsEmpty
        : at == 0 || !IsWord(text[at]) || !IsWord(text[at - 1]);

    private bool EndsAt(string text, int end) => _isAll ? !text.AsSpan(end).ContainsAnyInRange('0', 'z')
        : end == text.Length || !IsWord(text[end - 1]) || !IsWord(text[end]);

    private static bool IsWord(char c) => char.IsLetterOrDigit(c) || c == '_';
}
