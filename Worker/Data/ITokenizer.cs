namespace DeepSeekOps.Worker.Data;

/// <summary>Text to token ids and back. Two kinds: <see cref="ByteTokenizer"/> and <see cref="HuggingFaceTokenizer"/>.</summary>
public interface ITokenizer
{
    /// <summary>Smallest vocabulary a model needs for every id of this tokenizer.</summary>
    int VocabSize { get; }

    SpecialTokens Special { get; }

    /// <summary>The tokenizer.json as it was read, which is saved beside weights whatever becomes of the file; null: bytes.</summary>
    byte[]? Json { get; }

    /// <summary>SHA-256 of what that file says, however it is formatted; null: bytes.</summary>
    string? ContentSha256 { get; }

    IReadOnlyList<int> Encode(string text);

    /// <summary>Special tokens leave no trace in the text.</summary>
    string Decode(ReadOnlySpan<int> ids);
}

public static class TokenizerFiles
{
    /// <summary>The file that the tokenizer is read from; null for bytes.</summary>
    public static string? FileOf(string name) => name is "" or "byte" ? null : name;

    /// <param name="name">"byte", or the path of a Hugging Face tokenizer.json.</param>
    public static ITokenizer Open(string name)
    {
        if (FileOf(name) is null)
        {
            return new ByteTokenizer();
        }
        if (FileSeen.At(name).Kind is FileKind.Missing or FileKind.Dangling)
        {
            throw new FileNotFoundException(
                $"The tokenizer {name} is not there. Use 'byte', or the path of a Hugging Face tokenizer.json that the worker can read.",
                name);
        }
        return new HuggingFaceTokenizer(name);
    }
}
