using System.Buffers;
using System.Text;
using System.Text.Unicode;

namespace DeepSeekOps.Recipes.Data;

/// <summary>Bytes that are to be text.</summary>
public static class TextBytes
{
    /// <exception cref="BadInputException">They are no UTF-8, or hold what no text holds: the model would learn something else than was written.</exception>
    public static void Require(ReadOnlySpan<byte> bytes, string file, long firstLine)
    {
        if (!Utf8.IsValid(bytes))
        {
            var good = 0;
            while (Rune.DecodeFromUtf8(bytes[good..], out _, out var length) == OperationStatus.Done)
            {
                good += length;
            }

            throw bytes[..Math.Min(2, bytes.Length)] is [0xFF, 0xFE] or [0xFE, 0xFF]
                ? new BadInputException($"'{file}', line {firstLine}, is UTF-16.", "Convert the file, for example with `iconv -f UTF-16 -t UTF-8`.")
                : new BadInputException($"'{file}', line {LineAt(bytes, good, firstLine)}, is not UTF-8.", "Convert the file, for example with `iconv -f ISO-8859-1 -t UTF-8`.");
        }

        if (bytes.IndexOf((byte)0) is >= 0 and var nul)
        {
            throw new BadInputException($"'{file}', line {LineAt(bytes, nul, firstLine)}, has a NUL byte: it is UTF-16, or no text.",
                "Convert the file, for example with `iconv -f UTF-16LE -t UTF-8`.");
        }
    }

    private static long LineAt(ReadOnlySpan<byte> bytes, int place, long firstLine) => firstLine + bytes[..place].Count((byte)'\n');
}
