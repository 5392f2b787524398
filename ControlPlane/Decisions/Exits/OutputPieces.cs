using System.Text;

namespace DeepSeekOps.Decisions.Exits;

/// <summary>
/// Cuts output into lines: at line feeds, and at the carriage returns of progress bars. A line without an end comes in pieces that overlap,
/// so that a phrase at a cut is whole in one of them.
/// </summary>
public sealed class OutputPieces(Action<long, string> told)
{
    public const int PieceMax = 8 * 1024;

    /// <summary>Longer than any phrase.</summary>
    private const int Overlap = 512;

    private readonly StringBuilder _line = new();
    private long _number = 1;
    private bool _told;

    public void Feed(ReadOnlySpan<char> text)
    {
        while (!text.IsEmpty)
        {
            int end = text.IndexOfAny('\n', '\r');
            int take = Math.Min(end < 0 ? text.Length : end, PieceMax - _line.Length);
            _line.Append(text[..take]);
            if (take == end)
            {
                Tell();
                _line.Clear();
                _told = false;
                _number += text[end] == '\n' ? 1 : 0;
                take++;
            }
            else if (_line.Length == PieceMax)
            {
                Tell();
                _line.Remove(0, PieceMax - Overlap);
                _told = true;
            }

            text = text[take..];
        }
    }

    public void End()
    {
        if (_line.Length > (_told ? Overlap : 0))
        {
            Tell();
        }
    }

    private void Tell()
    {
        if (_line.Length > 0)
        {
            told(_number, _line.ToString());
        }
    }
}
