namespace DeepSeekOps.Decisions.Exits;

/// <summary>How much a line says. Of two lines the weightier tells why, and of two of one weight the first.</summary>
public enum Weight
{
    /// <summary>Said as a warning, or as something that was got over.</summary>
    Mild = 1,
    /// <summary>How it ended and not why: killed, terminated, aborted.</summary>
    HowEnded = 2,
    /// <summary>Somebody else ended first. Never wins over a cause.</summary>
    Peer = 3,
    /// <summary>What a cause somewhere else also looks like from here: a broken connection, a collective that nobody came to.</summary>
    Symptom = 4,
    /// <summary>An exception by its type alone.</summary>
    Exception = 5,
    /// <summary>A cause by its own name.</summary>
    Cause = 6,
}

/// <summary>Phrases that say one class, as <see cref="Phrase"/> reads them.</summary>
public sealed record ExitRule(string Class, Weight Weight, params string[] Phrases)
{
    private Phrase[]? _phrases;

    /// <summary>What a line must have in it to be looked at closer: a text of each phrase.</summary>
    public IEnumerable<string> Anchors => Compiled.Select(p => p.Anchor);

    private Phrase[] Compiled => _phrases ??= [.. Phrases.Select(phrase => new Phrase(phrase))];

    /// <summary>Where in the text the first of the phrases stands that is in it; null: none is.</summary>
    public (int At, int Length)? Find(string text)
    {
        foreach (var phrase in Compiled)
        {
            if (phrase.Find(text) is { } found)
            {
                return found;
            }
        }

        return null;
    }
}
