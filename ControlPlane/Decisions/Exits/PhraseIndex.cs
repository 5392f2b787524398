namespace DeepSeekOps.Decisions.Exits;

/// <summary>
/// Texts by their first letters, so that a line is compared with those few that can stand in it: the time is in proportion to the output,
/// however many texts there are. All in lower case.
/// </summary>
internal sealed class TextIndex
{
    /// <summary>Letters by which a text is found; a test holds that each has as many.</summary>
    public const int KeyLength = 3;

    private const int Filter = 1 << 14;

    private readonly string[] _texts;
    private readonly Dictionary<int, int[]> _byKey;
    private readonly bool[] _keys = new bool[Filter];

    public TextIndex(IEnumerable<string> texts)
    {
        _texts = [.. texts];
        _byKey = Enumerable.Range(0, _texts.Length).GroupBy(i => Key(_texts[i], 0)).ToDictionary(g => g.Key, g => g.ToArray());
        foreach (int key in _byKey.Keys)
        {
            _keys[key % Filter] = true;
        }
    }

    /// <summary>Whether one of the texts stands in the line.</summary>
    public bool Touches(string lower)
    {
        for (int i = 0; i + KeyLength <= lower.Length; i++)
        {
            foreach (int at in At(lower, i))
            {
                if (lower.AsSpan(i).StartsWith(_texts[at], StringComparison.Ordinal))
                {
                    return true;
                }
            }
        }

        return false;
    }

    /// <summary>Which texts may begin at a place, in their order.</summary>
    public ReadOnlySpan<int> At(string lower, int i)
    {
        int key = Key(lower, i);
        return _keys[key % Filter] && _byKey.TryGetValue(key, out int[]? here) ? here : [];
    }

    private static int Key(string lower, int at) => (((lower[at] * 31) + lower[at + 1]) * 31) + lower[at + 2];
}

/// <summary>The phrases of rules, each found by its anchor.</summary>
internal sealed class PhraseIndex
{
    private readonly Entry[] _entries;
    private readonly TextIndex _anchors;

    /// <param name="rules">The first has the first say.</param>
    public PhraseIndex(IEnumerable<ExitRule> rules)
    {
        _entries = [.. rules.SelectMany(rule => rule.Phrases.Select(p => Entry.Of(rule, new Phrase(p))))];
        _anchors = new TextIndex(_entries.Select(e => e.Anchor));
    }

    /// <summary>Most lines have no phrase's anchor and need not be looked at.</summary>
    public bool HasAnchor(string lower) => _anchors.Touches(lower);

    /// <summary>The first phrase of the dictionary that stands in the text.</summary>
    public (ExitRule Rule, int At, int Length)? First(string text)
    {
        (ExitRule, int, int)? found = null;
        int best = _entries.Length;
        HashSet<int>? asked = null;
        string lower = text.ToLowerInvariant();
        for (int i = 0; i + TextIndex.KeyLength <= lower.Length; i++)
        {
            foreach (int at in _anchors.At(lower, i))
            {
                // In order: those behind the best one cannot win any more. Each is asked once a line, or a line of one word were slow.
                if (at >= best)
                {
                    break;
                }

                var (rule, phrase, anchor) = _entries[at];
                if (lower.AsSpan(i).StartsWith(anchor, StringComparison.Ordinal) && (asked ??= []).Add(at)
                    && phrase.Find(text) is var (from, length))
                {
                    (best, found) = (at, (rule, from, length));
                    break;
                }
            }
        }

        return found;
    }

    private sealed record Entry(ExitRule Rule, Phrase Phrase, string Anchor)
    {
        public static Entry Of(ExitRule rule, Phrase phrase) => new(rule, phrase, phrase.Anchor.ToLowerInvariant());
    }
}
