using System.Text;
using Tokenizers.DotNet;
using Library = Tokenizers.DotNet.Tokenizer;

namespace DeepSeekOps.Worker.Data;

/// <summary>
/// A Hugging Face tokenizer.json through Hugging Face's own library, so that its ids are theirs for any text (docs/decisions).
/// Marks that are found in a text are their ids, as there. Calls from several threads may be made at once.
/// </summary>
public sealed class HuggingFaceTokenizer : ITokenizer
{
    private readonly Library _library;
    private readonly HashSet<int> _silent;

    /// <exception cref="BadInputException">The file is no byte-level BPE; the message says why.</exception>
    public HuggingFaceTokenizer(string path)
    {
        var bytes = NamedFile.ReadAll(path, TokenizerJson.BytesMax);
        var file = TokenizerJson.Read(bytes, path);
        (VocabSize, Special, Json, ContentSha256) = (file.VocabSize, file.Special, bytes, file.ContentSha256);
        _library = Opened(bytes, path);
        _silent =
        [
            .. file.Added.Where(t => t.Special).Select(t => t.Id), Special.Bos, Special.Eos, Special.Pad, Special.User, Special.Assistant,
            Special.FimBegin, Special.FimHole, Special.FimEnd,
        ];
        foreach (var mark in file.Added.Where(mark => Encode(mark.Content) is not [var id] || id != mark.Id))
        {
            throw new BadInputException(
                $"'{path}': the added token '{mark.Content}' should be {mark.Id}, and Hugging Face's library makes it "
                    + $"{string.Join(", ", Encode(mark.Content))}.",
                "Use the file as it was published.");
        }
    }

    public int VocabSize { get; }

    public SpecialTokens Special { get; }

    public byte[]? Json { get; }

    public string? ContentSha256 { get; }

    public IReadOnlyList<int> Encode(string text) => Array.ConvertAll(_library.Encode(WholePairs(text)), id => (int)id);

    public string Decode(ReadOnlySpan<int> ids)
    {
        var said = new List<uint>(ids.Length);
        foreach (var id in ids)
        {
            if (id >= 0 && !_silent.Contains(id))
            {
                said.Add((uint)id);
            }
        }

        return said.Count == 0 ? "" : _library.Decode([.. said]);
    }

    /// <summary>Half of a surrogate pair is no character; the library refuses it, and UTF-8 has U+FFFD in its place.</summary>
    private static string WholePairs(string text) => text.AsSpan().IndexOfAnyInRange('\ud800', '\udfff') < 0
        ? text : Encoding.UTF8.GetString(Encoding.UTF8.GetBytes(text));

    private static Library Opened(byte[] bytes, string path)
    {
        if (!OperatingSystem.IsLinux())
        {
            throw new PlatformNotSupportedException(
                "tokenizer.json is read by a library that this worker has for Linux on x64 (glibc 2.34 or newer) only. Use 'byte'.");
        }

        using var memory = new MemoryFile(TokenizerText.ForLibrary(bytes));
        try
        {
            return new Library(memory.Path);
        }
        catch (TokenizerException e)
        {
            throw new BadInputException(
                $"Hugging Face's library does not read '{path}': {e.Message}.", "Use the file as it was published, or write 'byte'.", e);
        }
    }
}
