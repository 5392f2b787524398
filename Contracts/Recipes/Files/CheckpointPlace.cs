using System.Diagnostics.CodeAnalysis;
using System.Text.RegularExpressions;

namespace DeepSeekOps.Recipes.Files;

/// <summary>
/// A checkpoint store as a person writes it and as it goes on the wire. Both sides read it by this, so that a slip is told at submission.
/// </summary>
/// <param name="Prefix">Of the names of its objects, without a slash at either end; empty: the bucket is its own.</param>
public sealed partial record CheckpointPlace(string Bucket, string Prefix)
{
    private const string Mark = "://", Scheme = "s3";

    private const string Form = "Write s3://BUCKET or s3://BUCKET/PREFIX, such as s3://training/checkpoints.";

    /// <summary>S3 takes names of at most 1,024 bytes; below a prefix come run, stage, step and file.</summary>
    private const int PrefixMost = 512;

    public string Uri => Prefix.Length == 0 ? $"{Scheme}{Mark}{Bucket}" : $"{Scheme}{Mark}{Bucket}/{Prefix}";

    /// <param name="problem">A sentence with the value and one with what to do.</param>
    public static bool TryParse(string text, [NotNullWhen(true)] out CheckpointPlace? place, out (string What, string Fix) problem)
    {
        (place, problem) = (null, ("", ""));
        int mark = text.IndexOf(Mark, StringComparison.Ordinal);
        if (mark <= 0)
        {
            problem = ($"'{text}' is no address of a store.",
                $"{Form} A folder that all nodes see needs none: it is where checkpoints are.");
            return false;
        }

        string scheme = text[..mark];
        if (!scheme.Equals(Scheme, StringComparison.OrdinalIgnoreCase))
        {
            problem = ($"'{scheme}{Mark}' is no kind of store that is known here.", Form);
            return false;
        }

        string[] parts = text[(mark + Mark.Length)..].Split('/', 2);
        if (parts[0].Contains('@', StringComparison.Ordinal))
        {
            // It may hold a password, which is repeated nowhere.
            problem = ("There is an '@' in the bucket's name.",
                $"{Form} What opens the store is never written here: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment do.");
            return false;
        }

        string prefix = parts.Length == 1 ? "" : parts[1].Trim('/');
        if (!BucketName().IsMatch(parts[0]) || parts[0].Contains("..", StringComparison.Ordinal))
        {
            problem = ($"'{parts[0]}' is no name of a bucket.",
                "A bucket's name has 3 to 63 of a-z, 0-9, '-' and '.', and begins and ends with a letter or digit.");
            return false;
        }

        if (prefix.Length > PrefixMost || !PrefixName().IsMatch(prefix)
            || prefix.Split('/').Any(part => part is "." or ".." || (part.Length == 0 && prefix.Length > 0)))
        {
            problem = ($"'{prefix}' is no prefix for names of objects.",
                $"Write at most {PrefixMost} of a-z, A-Z, 0-9, '-', '_', '.' and '/', with no empty part and no '..'.");
            return false;
        }

        place = new CheckpointPlace(parts[0], prefix);
        return true;
    }

    /// <exception cref="BadInputException">No store of this kind is known.</exception>
    public static CheckpointPlace Parse(string text) =>
        TryParse(text, out var place, out var problem) ? place : throw new BadInputException(problem.What, problem.Fix);

    [GeneratedRegex(@"\A[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]\z", RegexOptions.CultureInvariant)]
    private static partial Regex BucketName();

    [GeneratedRegex(@"\A[A-Za-z0-9._/-]*\z", RegexOptions.CultureInvariant)]
    private static partial Regex PrefixName();
}
