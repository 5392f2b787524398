using System.Buffers;
using System.Text;
using System.Text.Unicode;
using DeepSeekOps.Recipes.Files;

namespace DeepSeekOps.Recipes.Data;

/// <summary>Bytes that are to be text.</summary>
public static class TextBytes
{
    private const int RuneBytesMax = 4;

    /// <summary>There is nothing to learn in them: white space of any alphabet.</summary>
    public static bool IsBlank(ReadOnlySpan<byte> line)
    {
        line = line.Trim(" \t\r\n"u8);
        return line.IsEmpty || (line[0] >= 0x80 && string.IsNullOrWhiteSpace(Encoding.UTF8.GetString(line)));
    }

    /// <summary>As <see cref="Require"/>, of a line whose end was not read: a character may be cut.</summary>
    public static void RequireCut(ReadOnlySpan<byte> bytes, string file, long line)
    {
        int whole = bytes.Length;
        while (whole > 0 && bytes.Length - whole < RuneBytesMax && (bytes[whole - 1] & 0xC0) == 0x80)
        {
            whole--;
        }

        Require(bytes[..(whole > 0 && bytes[whole - 1] >= 0xC0 ? whole - 1 : bytes.Length)], file, line);
    }

    /// <exception cref="BadInputException">They are no UTF-8, or hold what no text holds: the model would learn something else than was
    /// written.</exception>
    public static void Require(ReadOnlySpan<byte> bytes, string file, long firstLine)
    {
        if (firstLine == 1 && PackedBy(bytes) is { } packer)
        {
            throw new BadInputException(
                $"'{file}' is packed by {packer}, whatever its name says; data must be readable from any position.", "Unpack it.");
        }

        if (firstLine == 1)
        {
            LargeFilePointer.Refuse(bytes, file);
        }

        if (!Utf8.IsValid(bytes))
        {
            var good = 0;
            while (Rune.DecodeFromUtf8(bytes[good..], out _, out var length) == OperationStatus.Done)
            {
                good += length;
            }

            throw WideBy(bytes) is { } wide
                ? new BadInputException($"'{file}', line {firstLine}, is {wide}.",
                    $"Convert the file, for example with `iconv -f {wide} -t UTF-8`.")
                : new BadInputException($"'{file}', line {LineAt(bytes, good, firstLine)}, is not UTF-8.",
                    "Convert the file, for example with `iconv -f ISO-8859-1 -t UTF-8`.");
        }

        if (bytes.IndexOf((byte)0) is >= 0 and var nul)
        {
            throw new BadInputException($"'{file}', line {LineAt(bytes, nul, firstLine)}, has a NUL byte: it is UTF-16, or no text.",
                "Convert the file, for example with `iconv -f UTF-16LE -t UTF-8`.");
        }
    }

    /// <summary>By the mark in front. That of UTF-32 begins like that of UTF-16.</summary>
    private static string? WideBy(ReadOnlySpan<byte> bytes) => bytes switch
    {
        [0xFF, 0xFE, 0, 0, ..] or [0, 0, 0xFE, 0xFF, ..] => "UTF-32",
        [0xFF, 0xFE, ..] or [0xFE, 0xFF, ..] => "UTF-16",
        _ => null,
    };

    /// <summary>Exports are packed under the name of what is in them. What is packed is told by how it begins.</summary>
    private static string? PackedBy(ReadOnlySpan<byte> bytes) => bytes switch
    {
        [0x1F, 0x8B, ..] => "gzip",
        [0x28, 0xB5, 0x2F, 0xFD, ..] => "zstd",
        [0xFD, (byte)'7', (byte)'z', (byte)'X', (byte)'Z', ..] => "xz",
        [(byte)'B', (byte)'Z', (byte)'h', _, (byte)'1', (byte)'A', (byte)'Y', (byte)'&', ..] => "bzip2",
        [(byte)'P', (byte)'K', 3, 4, ..] => "zip",
        _ => null,
    };

    private static long LineAt(ReadOnlySpan<byte> bytes, int place, long firstLine) => firstLine + bytes[..place].Count((byte)'\n');
}
