using System.Collections.Immutable;

namespace DeepSeekOps.Decisions.Exits;

/// <summary>
/// A phrase as a program prints it; case does not count, <c>*</c> stands for anything, <c>#</c> for digits, <c>~</c> for spaces and marks
/// that may be missing, <c>=</c> before it: it is all that a line says behind its prefix, but for punctuation. At a letter or digit a
/// phrase begins and ends with the word.
/// </summary>
/// <remarks>
/// No regular expression: 500 of them take seconds to build, and this takes time in proportion to the line whatever stands in it.
/// </remarks>
internal sealed class Phrase
{
    private const StringComparison AnyCase = StringComparison.OrdinalIgnoreCase;

    /// <summary>"exit code", " : ", " -9": what a launcher puts between a name and its number is short.</summary>
    private const int MarksMax = 16;

    /// <summary>Between the stars, in order.</summary>
    private readonly ImmutableArray<ImmutableArray<Piece>> _parts;
    private readonly bool _isAll;

    public Phrase(string phrase)
    {
        _isAll = phrase[0] == '=';
        _parts = [.. phrase[(_isAll ? 1 : 0)..].Split('*').Select(Pieces)];
        // Of "ERROR~53300" the number: the rarer a text, the fewer lines are looked at.
        Anchor = _parts.SelectMany(p => p).MaxBy(t => t.Text.Length + (t.Text.Length > 4 && t.Text.Any(char.IsAsciiDigit) ? 100 : 0))!.Text;
    }

    private enum Gap
    {
        None = 0,
        Digits = 1,
        Marks = 2,
    }

    /// <summary>The longest or rarest text in it: a line without it need not be looked at.</summary>
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

    private static ImmutableArray<Piece> Pieces(string part)
    {
        var pieces = ImmutableArray.CreateBuilder<Piece>();
        var gap = Gap.None;
        int from = 0;
        for (int i = 0; i <= part.Length; i++)
        {
            if (i == part.Length || part[i] is '#' or '~')
            {
                pieces.Add(new Piece(gap, part[from..i]));
                gap = i < part.Length && part[i] == '~' ? Gap.Marks : Gap.Digits;
                from = i + 1;
            }
        }

        return pieces.ToImmutable();
    }

    private (int At, int End)? Part(ImmutableArray<Piece> pieces, string text, int from, bool isFirst, bool isLast)
    {
        if (pieces is [{ Gap: Gap.None, Text: "" }])
        {
            return (from, isLast ? text.Length : from);
        }

        for (int at = from; (at = text.IndexOf(pieces[0].Text, at, AnyCase)) >= 0; at++)
        {
            if (End(pieces, text, at) is { } end && (!isFirst || BeginsAt(text, at)) && (!isLast || EndsAt(text, end)))
            {
                return (at, end);
            }
        }

        return null;
    }

    private static int? End(ImmutableArray<Piece> pieces, string text, int at)
    {
        int end = at;
        foreach (var piece in pieces)
        {
            int from = end;
            while (end < text.Length && piece.Gap switch
            {
                Gap.None => false,
                Gap.Digits => char.IsAsciiDigit(text[end]),
                Gap.Marks => IsMark(text, end) && end - from < MarksMax,
                _ => throw new System.Diagnostics.UnreachableException($"gap {piece.Gap}"),
            })
            {
                end++;
            }

            if ((piece.Gap == Gap.Digits && end == from) || string.Compare(text, end, piece.Text, 0, piece.Text.Length, AnyCase) != 0)
            {
                return null;
            }

            end += piece.Text.Length;
        }

        return end;
    }

    /// <summary>A minus before a digit is the number's.</summary>
    private static bool IsMark(string text, int at) => !IsWord(text[at])
        ? text[at] != '-' || at + 1 == text.Length || !char.IsAsciiDigit(text[at + 1])
        : text[at] == '_';

    private bool BeginsAt(string text, int at) => _isAll ? text.AsSpan(0, at).Trim().IsEmpty
        : at == 0 || !IsWord(text[at]) || !IsWord(text[at - 1]);

    private bool EndsAt(string text, int end) => _isAll ? !text.AsSpan(end).ContainsAnyInRange('0', 'z')
        : end == text.Length || !IsWord(text[end - 1]) || !IsWord(text[end]);

    private static bool IsWord(char c) => char.IsLetterOrDigit(c) || c == '_';

    /// <summary>A text, and what may stand before it.</summary>
    private sealed record Piece(Gap Gap, string Text);
}
