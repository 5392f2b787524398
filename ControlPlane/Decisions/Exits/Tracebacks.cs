namespace DeepSeekOps.Decisions.Exits;

/// <summary>
/// Follows tracebacks of Python, of each rank its own: frames are code and no evidence, the line after them is what was raised, and of an
/// exception that "was ignored" the program did not end.
/// </summary>
internal sealed class Tracebacks
{
    /// <summary>Ranks that are followed at once; more are read line by line.</summary>
    private const int RanksMax = 4096;

    private readonly Dictionary<string, State> _of = new(StringComparer.Ordinal);

    public enum Part
    {
        None = 0,
        Frame = 1,
        Exception = 2,
        /// <summary>An exception in a finalizer or the like, which Python prints and forgets.</summary>
        Ignored = 3,
    }

    private enum State
    {
        InTraceback = 1,
        Ignored = 2,
        InIgnored = 3,
        Message = 4,
    }

    /// <summary>Some traceback has not told its exception yet.</summary>
    public bool Open => _of.Count > 0;

    public Part Read(OutputLine line)
    {
        string body = line.Body;
        var state = _of.GetValueOrDefault(line.Source);
        // Drawn tracebacks have a frame around them, and the exception below it.
        if (body.StartsWith('│') || IsFrame(line))
        {
            return Part.Frame;
        }

        if (body.StartsWith("Exception ignored in", StringComparison.Ordinal))
        {
            Set(line.Source, State.Ignored);
            return Part.Frame;
        }

        if (body.Contains("Traceback (most recent call last)", StringComparison.Ordinal))
        {
            Set(line.Source, state is State.Ignored ? State.InIgnored : State.InTraceback);
            return Part.Frame;
        }

        // The header may have been cut off.
        if (body.StartsWith("File \"", StringComparison.Ordinal) && body.Contains(", line ", StringComparison.Ordinal))
        {
            Set(line.Source, state == 0 ? State.InTraceback : state);
            return Part.Frame;
        }

        if (state == 0)
        {
            // A type alone, without a header above it: its words are in the line below.
            if (body.TrimEnd().EndsWith(':') && !body.Contains(' ', StringComparison.Ordinal) && ExceptionType.Begins(body))
            {
                Set(line.Source, State.Message);
                return Part.Exception;
            }

            return Part.None;
        }

        if ((line.Indent >= 2 && state != State.Message) || body.StartsWith("^^", StringComparison.Ordinal)
            || body.StartsWith("raise ", StringComparison.Ordinal))
        {
            return Part.Frame;
        }

        // Another's warning between the lines is no exception.
        if (line.Level() is Loudness.Mild or Loudness.Passed && !ExceptionType.Begins(body))
        {
            return Part.None;
        }

        var told = state is State.Ignored or State.InIgnored ? Part.Ignored : Part.Exception;
        if (state != State.Message && ExceptionType.Of(body, named: true) is null)
        {
            return Part.None;
        }

        _of.Remove(line.Source);
        // "RuntimeError:" and its words in the line below.
        if (state == State.InTraceback && body.TrimEnd().EndsWith(':'))
        {
            Set(line.Source, State.Message);
        }

        return told;
    }

    /// <summary>Of .NET and Java, of c10 and of a debugger.</summary>
    private static bool IsFrame(OutputLine line) => (line.Indent >= 1 && line.Body.StartsWith("at ", StringComparison.Ordinal))
        || line.Body.StartsWith("frame #", StringComparison.Ordinal) || line.Body.StartsWith("#0 0x", StringComparison.Ordinal);

    private void Set(string source, State state)
    {
        if (_of.Count < RanksMax || _of.ContainsKey(source))
        {
            _of[source] = state;
        }
    }
}
