namespace DeepSeekOps.Recipes;

/// <summary>
/// What a person gave cannot be used as it is, and no further launch would change that. Submission and rank say the same of it.
/// </summary>
public class BadInputException : Exception
{
    public BadInputException(string what, string fix)
        : base(fix.Length == 0 ? what : $"{what} {fix}") => (What, Fix) = (what, fix);

    public BadInputException(string what, string fix, Exception cause)
        : base(fix.Length == 0 ? what : $"{what} {fix}", cause) => (What, Fix) = (what, fix);

    /// <summary>What is wrong: a sentence that names file, place and value.</summary>
    public string What { get; }

    /// <summary>What to do: a sentence.</summary>
    public string Fix { get; }
}
