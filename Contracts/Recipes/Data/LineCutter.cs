namespace DeepSeekOps.Recipes.Data;

/// <param name="Offset">From the file's beginning, bytes; a byte order mark is not part of the line that it begins.</param>
/// <param name="Length">With its line end.</param>
/// <param name="Number">From 1.</param>
public readonly record struct DataLine(long Offset, int Length, long Number);

/// <summary>Cuts a file that comes in pieces into lines.</summary>
public sealed class LineCutter(string path)
{
    private const int MarkBytes = 3;

    private readonly byte[] _first = new byte[MarkBytes];
    private long _begin;
    private long _position;
    private long _start;
    private long _number;

    /// <summary>Lines that end in these bytes, which follow those before.</summary>
    public IEnumerable<DataLine> Take(ReadOnlyMemory<byte> piece)
    {
        for (var i = 0; i < piece.Length; i++)
        {
            var one = piece.Span[i];
            var place = _position++ - _begin;
            if (place < MarkBytes)
            {
                _first[place] = one;
                // The mark of UTF-8, which Windows tools put in front of a text: no part of it. Files that were joined have it in front
                // of later lines too.
                _start = place == MarkBytes - 1 && _first.AsSpan().SequenceEqual("\uFEFF"u8) ? _position : _start;
            }

            if (one == (byte)'\n')
            {
                yield return Cut();
            }
            else if (_position - _start > DataFile.LineBytesMax)
            {
                throw new BadInputException($"'{path}', line {_number + 1}, has more than {DataFile.LineBytesMax:N0} bytes.",
                    "Write shorter documents, one a line.");
            }
        }
    }

    /// <summary>What stands after the last line end.</summary>
    public IEnumerable<DataLine> Rest()
    {
        if (_position > _start)
        {
            yield return Cut();
        }
    }

    private DataLine Cut()
    {
        var line = new DataLine(_start, (int)(_position - _start), ++_number);
        _start = _begin = _position;
        return line;
    }
}
