namespace DeepSeekOps.Worker.Data;

/// <summary>Text to token ids and back. Two kinds: <see cref="ByteTokenizer"/> and <see cref="HuggingFaceTokenizer"/>.</summary>
public interface ITokenizer
{
    /// <summary>Smallest vocabulary a model needs for every id of this tokenizer.</summary>
    int VocabSize { get; }

    SpecialTokens Special { get; }

    IReadOnlyList<int> Encode(string text);

    /// <summary>Special tokens leave no trace in the text.</summary>
    string Decode(ReadOnlySpan<int> ids);
}

/// <summary>Ids that stand for structure, not text. The FIM three are the report's prefix-suffix-middle marks (section 4.1).</summary>
public sealed record SpecialTokens(int Bos, int Eos, int Pad, int User, int Assistant, int FimBegin, int FimHole, int FimEnd);

public static class Tokenizers
{
    /// <summary>The name that a tokenizer's file has beside weights.</summary>
    public const string FileName = "tokenizer.json";

    /// <summary>The file that the tokenizer is read from; null for bytes.</summary>
    public static string? FileOf(string name) => name is "" or "byte" ? null : name;

    /// <param name="name">"byte", or the path of a Hugging Face tokenizer.json.</param>
    public static ITokenizer Open(string name)
    {
        if (FileOf(name) is null)
        {
            return new ByteTokenizer();
        }
        if (!File.Exists(name))
        {
            throw new FileNotFoundException(
                $"The tokenizer {name} is not there. Use 'byte', or the path of a Hugging Face tokenizer.json that the worker can read.", name);
        }
        try
        {
            return new HuggingFaceTokenizer(name);
        }
        catch (Exception e) when (e is KeyNotFoundException or InvalidOperationException or ArgumentException or FormatException)
        {
            throw new InvalidDataException(
                $"The tokenizer {name} is not a byte-level BPE tokenizer.json ({e.Message}). It needs \"model\" with \"vocab\" and \"merges\", "
                + "as Hugging Face's tokenizers write it; or use 'byte'.", e);
        }
    }
}
