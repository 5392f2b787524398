using DeepSeekOps.Recipes.Files;

namespace DeepSeekOps.Recipes.Data;

public enum DataKind
{
    /// <summary>.txt: documents parted by blank lines.</summary>
    Text,

    /// <summary>.jsonl: one JSON object a line.</summary>
    Lines,
}

/// <param name="Whole">All of the file was read.</param>
/// <param name="Documents">Those that say something.</param>
public sealed record DataBeginning(bool Whole, int Documents, int Problems, int Conversations)
{
    internal DataBeginning With(Conversation line) => new(
        Whole, Documents + (line.IsBlank ? 0 : 1), Problems + (line.IsProblem ? 1 : 0),
        Conversations + (line.IsProblem || line.IsAnswered ? 1 : 0));
}

/// <summary>What a data file may be called, and how it begins.</summary>
public static class DataFile
{
    /// <summary>A longer line would not fit a step of training, and a file without line ends is not what it seems.</summary>
    public const int LineBytesMax = 64 << 20;

    private static readonly string[] Packed = [".gz", ".zst", ".bz2", ".xz", ".zip"];

    /// <summary>By its ending, in whatever letter case.</summary>
    /// <exception cref="BadInputException">It is neither.</exception>
    public static DataKind KindOf(string path) => Path.GetExtension(path).ToLowerInvariant() switch
    {
        ".txt" => DataKind.Text,
        ".jsonl" => DataKind.Lines,
        var packed when Packed.Contains(packed) => throw new BadInputException(
            $"'{path}' is packed ({packed}); data must be readable from any position.", "Unpack it, and name the .txt or .jsonl."),
        ".parquet" => throw new BadInputException(
            $"'{path}' is Parquet, which is read by `dsops data prepare` alone.", "Prepare it, and name the folder that was made."),
        _ => throw new BadInputException($"'{path}' is of a kind that is not read.", "Name a file that ends in .txt or .jsonl."),
    };

    /// <summary>Reads the beginning of a file as the rank reads all of it.</summary>
    /// <param name="most">Bytes read; a line that is cut there is left out.</param>
    /// <exception cref="BadInputException">What is wrong with it, by line.</exception>
    /// <exception cref="IOException">It cannot be read here.</exception>
    public static DataBeginning CheckBeginning(string path, int most)
    {
        var kind = KindOf(path);
        using var file = NamedFile.Open(path);
        var bytes = file.ReadBeginning(most, out var whole);
        var lines = new LineCutter(path);
        var seen = new DataBeginning(whole, 0, 0, 0);
        var (end, next) = (0, 1L);
        foreach (var line in lines.Take(bytes).Concat(whole ? lines.Rest() : []))
        {
            var content = bytes.AsMemory((int)line.Offset, line.Length);
            TextBytes.Require(content.Span, path, line.Number);
            seen = kind == DataKind.Text ? seen with { Documents = seen.Documents + (TextBytes.IsBlank(content.Span) ? 0 : 1) }
                : ConversationLine.Read(content, path, line.Number) is { } conversation ? seen.With(conversation) : seen;
            (end, next) = ((int)line.Offset + line.Length, line.Number + 1);
        }

        if (!whole)
        {
            // A line whose end was not read is not counted; that it is no text shows all the same.
            TextBytes.RequireCut(bytes.AsSpan(end), path, next);
        }

        return seen is { Whole: true, Documents: 0 } ? throw Empty(path) : seen;
    }

    public static BadInputException Empty(string path) =>
        new($"'{path}' is empty: there is no document in it.", "Name a file with text in it.");
}
