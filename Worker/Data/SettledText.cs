using System.Runtime.InteropServices;

namespace DeepSeekOps.Worker.Data;

/// <summary>The text of tokens as they come. A character whose bytes are not all there yet waits for them.</summary>
public sealed class SettledText(ITokenizer tokenizer)
{
    /// <summary>What stands for bytes that are no character: at the end of a text they may still become one.</summary>
    private const char NotYet = '\uFFFD';

    /// <summary>Tokens since the last moment when all bytes made characters.</summary>
    private readonly List<int> _open = [];
    private int _given;

    /// <summary>The text that these tokens settle.</summary>
    public string Add(IEnumerable<int> tokens)
    {
        _open.AddRange(tokens);
        var text = tokenizer.Decode(CollectionsMarshal.AsSpan(_open));
        var settled = text.EndsWith(NotYet) ? text.Length - 1 : text.Length;
        var fresh = text[_given..settled];
        _given = settled;
        if (settled == text.Length)
        {
            _open.Clear();
            _given = 0;
        }

        return fresh;
    }

    /// <summary>What no further token completes.</summary>
    public string Rest()
    {
        var rest = tokenizer.Decode(CollectionsMarshal.AsSpan(_open))[_given..];
        _open.Clear();
        _given = 0;
        return rest;
    }
}
