using System.Text;

namespace DeepSeekOps.Worker.Data.Preparing;

internal enum PartKind
{
    Text,
    Lines,
    Parquet,
}

/// <summary>A document's text, and the bytes that it takes in its file.</summary>
internal readonly record struct PartText(string Text, int Bytes, bool Says);

/// <summary>
/// The documents of one part of a file, as <see cref="FileData"/> cuts it: a line of .jsonl, a piece of .txt that ends at a blank line, a
/// row of Parquet. A .txt is cut at the first blank line of each part too.
/// </summary>
internal static class PartTexts
{
    public static bool IsRead(string path) => Path.GetExtension(path).ToLowerInvariant() is ".txt" or ".jsonl" or ".parquet";

    /// <exception cref="BadInputException">It is of another kind.</exception>
    public static PartKind KindOf(string path) => Path.GetExtension(path).Equals(".parquet", StringComparison.OrdinalIgnoreCase)
        ? PartKind.Parquet : DataFile.KindOf(path) == DataKind.Text ? PartKind.Text : PartKind.Lines;

    public static IEnumerable<PartText> Read(PlannedFile file, int part, long partBytes)
    {
        var (begin, end) = (part * partBytes, Math.Min(file.Bytes, (part + 1) * partBytes));
        return KindOf(file.Path) switch
        {
            PartKind.Parquet => ParquetTexts.Read(file.Path, part),
            PartKind.Lines => Lines(file.Path, begin, end),
            _ => Pieces(file.Path, begin, end),
        };
    }

    private static IEnumerable<PartText> Lines(string path, long begin, long end)
    {
        using var lines = new LineRange(path);
        foreach (var line in lines.From(begin))
        {
            // The first line of a file is the first part's, also where the mark in front of it is longer than that part.
            if (line.Offset >= end && (begin > 0 || line.Index > 0))
            {
                yield break;
            }
            Conversation? read = null;
            lines.Look(line, number =>
            {
                TextBytes.Require(line.Bytes.Span, path, number);
                read = ConversationLine.Read(line.Bytes, path, number);
            });
            if (read is { } conversation)
            {
                yield return new PartText(conversation.AsDocument(), line.Bytes.Length, !conversation.IsBlank);
            }
        }
    }

    private static IEnumerable<PartText> Pieces(string path, long begin, long end)
    {
        using var lines = new LineRange(path);
        var piece = new MemoryStream();
        var (says, begun, ending, opened) = (false, begin == 0, false, 0L);
        foreach (var line in lines.From(begin))
        {
            if (ending)
            {
                break;
            }
            lines.Look(line, number => TextBytes.Require(line.Bytes.Span, path, number));
            var blank = TextBytes.IsBlank(line.Bytes.Span);
            if (begun)
            {
                says |= !blank;
                opened = piece.Length == 0 ? line.Offset : opened;
                // As FileData has it: the mark in front of a later line is within the piece, and is taken out of its text.
                piece.Write(line.Bytes.Span);
                if (line.Offset + line.Bytes.Length - opened is var length and >= FileData.TextPieceBytes
                    && (length >= DataFile.LineBytesMax || string.IsNullOrWhiteSpace(Encoding.UTF8.GetString(line.Bytes.Span))))
                {
                    yield return Cut(piece, says);
                    (piece, says) = (new MemoryStream(), false);
                }
            }
            // The part before reads on to the first blank line of this one, and this one to that of the next.
            begun |= blank;
            ending = blank && line.Offset >= end;
        }
        if (piece.Length > 0)
        {
            yield return Cut(piece, says);
        }
    }

    private static PartText Cut(MemoryStream piece, bool says) => new(
        Encoding.UTF8.GetString(piece.GetBuffer(), 0, (int)piece.Length).TrimEnd('\r', '\n'), (int)piece.Length, says);
}
