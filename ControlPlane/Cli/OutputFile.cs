using System.Text;
using DeepSeekOps.Decisions.Exits;
using DeepSeekOps.Recipes.Files;

namespace DeepSeekOps.ControlPlane.Cli;

/// <summary>
/// Reads what a program printed, whatever its size: of a file the beginning and the end, since a cause stands near one of them. Bytes that
/// are no UTF-8 become marks, and end nothing.
/// </summary>
internal static class OutputFile
{
    /// <summary>Ours: a minute of reading at most, on a machine that does other things too.</summary>
    public const long BeginningMax = 64L << 20;

    public const long EndMax = 192L << 20;

    private const int Buffer = 64 * 1024;

    /// <returns>Bytes that were left out.</returns>
    public static long Read(NamedFile file, ExitScan scan, CancellationToken cancellation)
    {
        var text = new Text(scan);
        var buffer = new byte[Buffer];
        long left = Math.Max(0, file.Length - BeginningMax - EndMax), at = 0;
        for (int got; (got = file.Read(buffer, at)) > 0 && at < BeginningMax + left + EndMax;)
        {
            cancellation.ThrowIfCancellationRequested();
            text.Add(buffer.AsSpan(0, got));
            // The gap is passed over once, as soon as the beginning has been read.
            at += got + (left > 0 && at < BeginningMax && at + got >= BeginningMax ? left : 0);
        }

        text.End();
        return left;
    }

    /// <summary>A stream has no end to begin from: it is read until it ends, in memory that does not grow.</summary>
    public static async Task<long> Read(
        Func<Memory<byte>, CancellationToken, ValueTask<int>> read, ExitScan scan, CancellationToken cancellation)
    {
        var text = new Text(scan);
        var buffer = new byte[Buffer];
        while (await read(buffer, cancellation) is var got and > 0)
        {
            text.Add(buffer.AsSpan(0, got));
        }

        text.End();
        return 0;
    }

    private sealed class Text(ExitScan scan)
    {
        private readonly Decoder _decoder = Encoding.UTF8.GetDecoder();
        private readonly char[] _chars = new char[Encoding.UTF8.GetMaxCharCount(Buffer)];
        private readonly OutputPieces _pieces = new(scan.Add);

        public void Add(ReadOnlySpan<byte> bytes) => _pieces.Feed(_chars.AsSpan(0, _decoder.GetChars(bytes, _chars, flush: false)));

        public void End()
        {
            _pieces.Feed(_chars.AsSpan(0, _decoder.GetChars([], _chars, flush: true)));
            _pieces.End();
        }
    }
}
