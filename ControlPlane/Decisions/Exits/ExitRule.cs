namespace DeepSeekOps.Decisions.Exits;

/// <summary>How much a line says. Of two lines the weightier tells why, and of two of one weight the first.</summary>
public enum Weight
{
    /// <summary>Said as a warning, or as something that was got over.</summary>
    Mild = 1,
    /// <summary>A <see cref="Mention"/> that was not the last word.</summary>
    Past = 2,
    /// <summary>How it ended and not why: killed, terminated, aborted.</summary>
    HowEnded = 3,
    /// <summary>Somebody else ended first. Never wins over a cause.</summary>
    Peer = 4,
    /// <summary>
    /// What scripts say all day and go on: no such file, permission denied, not found. It is a cause where an exception or a level of
    /// error says it, and where nothing comes after.
    /// </summary>
    Mention = 5,
    /// <summary>What a cause somewhere else also looks like from here: a broken connection, a collective that nobody came to.</summary>
    Symptom = 6,
    /// <summary>An exception by its type alone.</summary>
    Exception = 7,
    /// <summary>A cause by its own name.</summary>
    Cause = 8,
}

/// <summary>Phrases that say one class, as <see cref="Phrase"/> reads them.</summary>
public sealed record ExitRule(string Class, Weight Weight, params string[] Phrases);
