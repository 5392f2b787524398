using System.Buffers;
using System.IO.Pipelines;
using System.Text.Json;

namespace DeepSeekOps.ControlPlane.Cli.Mcp;

/// <summary>
/// Between standard input and output and the server, which drops what it works on as soon as its input ends. Whoever pipes requests in
/// (`printf … | dsops mcp`) closes it right behind them, and wants the replies: the end is passed on when each request has one. What the
/// server would stumble over is answered here (<see cref="McpLine"/>).
/// </summary>
[System.Diagnostics.CodeAnalysis.SuppressMessage("Design", "CA1001",
    Justification = "Semaphores that are asked for no wait handle hold nothing to dispose of.")]
internal sealed class McpPipes(Stream input, Stream output)
{
    /// <summary>Ours: a call of the control plane that gets no answer is given up sooner.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(1);

    private readonly Pipe requests = new();
    /// <summary>A reply is passed on as a whole, however long it is.</summary>
    private readonly Pipe replies = new(new PipeOptions(pauseWriterThreshold: 0));

    private readonly SemaphoreSlim told = new(0);
    private readonly SemaphoreSlim writing = new(1, 1);
    private readonly Lock changing = new();
    private readonly HashSet<string> unanswered = new(StringComparer.Ordinal);

    public Stream Requests => requests.Reader.AsStream();

    public Stream Replies => replies.Writer.AsStream();

    /// <summary>Passes requests on until the input ends and each has a reply.</summary>
    public async Task Take(CancellationToken cancellation)
    {
        var lines = new Lines(McpLine.BytesMost);
        byte[] read = new byte[16 * 1024];
        try
        {
            int length;
            while ((length = await input.ReadAsync(read, cancellation)) > 0)
            {
                await Pass(lines.Take(read.AsSpan(0, length)), cancellation);
            }

            // The last one may have no end.
            await Pass(lines.Take("\n"u8), cancellation);

            using var patience = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
            patience.CancelAfter(Patience);
            while (Waits())
            {
                await told.WaitAsync(patience.Token);
            }
        }
        catch (Exception e) when (e is IOException or OperationCanceledException)
        {
            // The assistant has gone, or a request gets no reply: neither keeps the program.
        }
        finally
        {
            // Nothing else ends the server.
            await requests.Writer.CompleteAsync();
        }
    }

    /// <summary>Writes replies until the server has none left, or nobody reads them any more.</summary>
    public async Task Tell()
    {
        // A reply may hold a run's whole pipeline and more.
        var lines = new Lines(McpResources.BytesMost * 4);
        try
        {
            ReadResult read;
            do
            {
                read = await replies.Reader.ReadAsync();
                var end = EndOfLines(read.Buffer);
                byte[] whole = read.Buffer.Slice(0, end).ToArray();
                await Write(whole);
                lines.Take(whole).ForEach(line => Note(line, asked: false));
                replies.Reader.AdvanceTo(end, read.Buffer.End);
                told.Release();
            }
            while (!read.IsCompleted);
        }
        catch (IOException)
        {
            // The assistant has gone.
        }

        await replies.Reader.CompleteAsync();
    }

    private async Task Pass(List<byte[]?> lines, CancellationToken cancellation)
    {
        foreach (byte[]? line in lines)
        {
            if (line is not null && line.AsSpan().IndexOfAnyExcept(" \t\r"u8) < 0)
            {
                continue;
            }

            if ((line is null ? McpLine.TooLong : McpLine.Refusal(line)) is { } refusal)
            {
                await Write(refusal);
                continue;
            }

            Note(line, asked: true);
            await requests.Writer.WriteAsync((byte[])[.. line!, (byte)'\n'], cancellation);
        }
    }

    /// <summary>One line at a time: the server's replies and those from here have one way out.</summary>
    private async Task Write(byte[] lines)
    {
        await writing.WaitAsync();
        try
        {
            await output.WriteAsync(lines);
            await output.FlushAsync();
        }
        finally
        {
            writing.Release();
        }
    }

    private static SequencePosition EndOfLines(ReadOnlySequence<byte> read)
    {
        var end = read.Start;
        while (read.Slice(end).PositionOf((byte)'\n') is { } newline)
        {
            end = read.GetPosition(1, newline);
        }

        return end;
    }

    /// <summary>The server has ended: nothing more is to be told.</summary>
    public ValueTask End() => replies.Writer.CompleteAsync();

    private bool Waits()
    {
        lock (changing)
        {
            return unanswered.Count > 0;
        }
    }

    /// <summary>A request has a number and a method; a reply has the number alone. A notification has none and gets none.</summary>
    private void Note(byte[]? line, bool asked)
    {
        try
        {
            using var json = JsonDocument.Parse(line ?? "null"u8.ToArray());
            if (json.RootElement.ValueKind != JsonValueKind.Object || !json.RootElement.TryGetProperty("id", out var id)
                || json.RootElement.TryGetProperty("method", out _) != asked)
            {
                return;
            }

            lock (changing)
            {
                _ = !asked ? unanswered.Remove(id.GetRawText())
                    : id.ValueKind is JsonValueKind.Number or JsonValueKind.String && unanswered.Add(id.GetRawText());
            }
        }
        catch (JsonException)
        {
            // Garbage is the server's to refuse.
        }
    }

    /// <summary>Cuts what comes in pieces into lines.</summary>
    private sealed class Lines(int most)
    {
        private readonly List<byte> line = [];

        /// <summary>Those that end in the piece; null for one that is longer than the most.</summary>
        public List<byte[]?> Take(ReadOnlySpan<byte> piece)
        {
            var whole = new List<byte[]?>();
            while (piece.IndexOf((byte)'\n') is var end and >= 0)
            {
                Add(piece[..end]);
                whole.Add(line.Count <= most ? [.. line] : null);
                line.Clear();
                piece = piece[(end + 1)..];
            }

            Add(piece);
            return whole;
        }

        /// <summary>One byte more than the most tells that it is too long.</summary>
        private void Add(ReadOnlySpan<byte> piece) => line.AddRange(piece[..Math.Min(piece.Length, most + 1 - line.Count)]);
    }
}
