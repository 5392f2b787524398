namespace DeepSeekOps.Worker.Data.Preparing;

/// <param name="Offset">From the file's beginning; a byte order mark in front is no part of the line.</param>
/// <param name="Bytes">With the line end, until the next line is asked for.</param>
/// <param name="Index">From 0, counted from where the reading began.</param>
internal readonly record struct RangeLine(long Offset, ReadOnlyMemory<byte> Bytes, long Index);

/// <summary>
/// Lines of a file from any place on, without what lies before it. Which number a line has is found out for a message only.
/// </summary>
internal sealed class LineRange(string path) : IDisposable
{
    private const int PieceBytes = 1 << 20;

    private readonly NamedFile _file = NamedFile.Open(path);
    private long _first;

    public void Dispose() => _file.Dispose();

    /// <summary>Lines that begin at <paramref name="place"/> or later.</summary>
    public IEnumerable<RangeLine> From(long place)
    {
        // One byte before: where that is a line end, a line begins here.
        var (begin, used, index, skips) = (Math.Max(0, place - 1), 0, 0L, place > 0);
        _first = place;
        var buffer = new byte[PieceBytes];
        while (true)
        {
            if (used == buffer.Length)
            {
                Array.Resize(ref buffer, buffer.Length * 2);
            }
            var read = _file.Read(buffer.AsSpan(used), begin + used);
            // Only what is new can hold the end of the line that is open.
            var (from, searched) = (0, used);
            used += read;
            while (from < used)
            {
                var end = buffer.AsSpan(searched, used - searched).IndexOf((byte)'\n');
                if (end < 0 && read > 0)
                {
                    break;
                }
                var next = end < 0 ? used : searched + end + 1;
                if (skips)
                {
                    (skips, _first) = (false, begin + next);
                }
                else
                {
                    var marked = buffer.AsSpan(from, next - from).StartsWith("\uFEFF"u8) ? 3 : 0;
                    yield return new RangeLine(begin + from + marked, buffer.AsMemory(from + marked, next - from - marked), index++);
                }
                (from, searched) = (next, next);
            }
            if (read == 0)
            {
                yield break;
            }
            if (used - from > DataFile.LineBytesMax)
            {
                throw new BadInputException($"'{path}', line {NumberAt(begin + from)}, has more than {DataFile.LineBytesMax:N0} bytes.",
                    "Write shorter documents, one a line.");
            }
            buffer.AsSpan(from, used - from).CopyTo(buffer);
            (begin, used) = (begin + from, used - from);
        }
    }

    /// <summary>Reads a line; where that refuses it, once more with the number that the line has in its file.</summary>
    public void Look(RangeLine line, Action<long> read)
    {
        try
        {
            // What is said of the first line of a file is said of no other one.
            read(_first == 0 ? line.Index + 1 : line.Index + 2);
        }
        catch (BadInputException) when (_first > 0)
        {
            read(NumberAt(line.Offset));
            throw;
        }
    }

    private long NumberAt(long offset)
    {
        var buffer = new byte[PieceBytes];
        var number = 1L;
        for (long at = 0; at < offset;)
        {
            var read = _file.Read(buffer.AsSpan(0, (int)Math.Min(buffer.Length, offset - at)), at);
            if (read == 0)
            {
                break;
            }
            number += buffer.AsSpan(0, read).Count((byte)'\n');
            at += read;
        }
        return number;
    }
}
