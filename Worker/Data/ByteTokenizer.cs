using System.Text;

namespace DeepSeekOps.Worker.Data;

/// <summary>One token per UTF-8 byte, and eight special tokens after them: 264 ids, nothing to download.</summary>
public sealed class ByteTokenizer : ITokenizer
{
    private const int Bytes = 256;

    public int VocabSize => Bytes + 8;

    public byte[]? Json => null;

    public string? ContentSha256 => null;

    public SpecialTokens Special { get; } = new(
        Bos: Bytes, Eos: Bytes + 1, Pad: Bytes + 2, User: Bytes + 3, Assistant: Bytes + 4,
        FimBegin: Bytes + 5, FimHole: Bytes + 6, FimEnd: Bytes + 7);

    public IReadOnlyList<int> Encode(string text) => Array.ConvertAll(Encoding.UTF8.GetBytes(text), b => (int)b);

    public string Decode(ReadOnlySpan<int> ids)
    {
        var bytes = new byte[ids.Length];
        var length = 0;
        foreach (var id in ids)
        {
            if (id is >= 0 and < Bytes)
            {
                bytes[length++] = (byte)id;
            }
        }
        return Encoding.UTF8.GetString(bytes, 0, length);
    }
}
