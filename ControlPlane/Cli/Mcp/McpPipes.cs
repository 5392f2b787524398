using System.Buffers;
using System.IO.Pipelines;
using System.Text.Json;

namespace DeepSeekOps.ControlPlane.Cli.Mcp;

/// <summary>
/// Between standard input and output and the server, which drops what it works on as soon as its input ends. Whoever pipes requests in
/// (`printf … | dsops mcp`) closes it right behind them, and wants the replies: the end is passed on when each request has one.
/// </summary>
[System.Diagnostics.CodeAnalysis.SuppressMessage("Design", "CA1001",
    Justification = "A semaphore that is asked for no wait handle holds nothing to dispose of.")]
internal sealed class McpPipes(Stream input, Stream output)
{
    /// <summary>Ours: a request is a line of some hundred bytes. A longer one is passed on, and not waited for.</summary>
    private const int LineMost = 64 * 1024;

    /// <summary>Ours: a call of the control plane that gets no answer is given up sooner.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(1);

    private readonly Pipe requests = new();
    private readonly Pipe replies = new();
    private readonly SemaphoreSlim told = new(0);
    private readonly Lock changing = new();
    private readonly HashSet<string> unanswered = new(StringComparer.Ordinal);

    public Stream Requests => requests.Reader.AsStream();

    public Stream Replies => replies.Writer.AsStream();

    /// <summary>Passes requests on until the input ends and each has a reply.</summary>
    public async Task Take(CancellationToken cancellation)
    {
        var lines = new Lines(LineMost, line => Note(line, asked: true));
        byte[] read = new byte[16 * 1024];
        try
        {
            int length;
            while ((length = await input.ReadAsync(read, cancellation)) > 0)
            {
                lines.Take(read.AsSpan(0, length));
                await requests.Writer.WriteAsync(read.AsMemory(0, length), cancellation);
            }

            if (lines.Open)
            {
                // The server reads whole lines, and the last one may have no end.
                lines.Take("\n"u8);
                await requests.Writer.WriteAsync("\n"u8.ToArray(), cancellation);
            }

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

        await requests.Writer.CompleteAsync();
    }

    /// <summary>Writes replies until the server has none left, or nobody reads them any more.</summary>
    public async Task Tell()
    {
        // A reply may hold a run's whole pipeline and more.
        var lines = new Lines(McpResources.BytesMost * 4, line => Note(line, asked: false));
        try
        {
            ReadResult read;
            do
            {
                read = await replies.Reader.ReadAsync();
                foreach (var part in read.Buffer)
                {
                    await output.WriteAsync(part);
                }

                await output.FlushAsync();
                lines.Take(read.Buffer.ToArray());
                replies.Reader.AdvanceTo(read.Buffer.End);
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
    private void Note(byte[] line, bool asked)
    {
        try
        {
            using var json = JsonDocument.Parse(line);
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

    /// <summary>Cuts what comes in pieces into lines; one that is longer than that is left out.</summary>
    private sealed class Lines(int most, Action<byte[]> whole)
    {
        private readonly List<byte> line = [];

        /// <summary>What came last has no end.</summary>
        public bool Open => line.Count > 0;

        public void Take(ReadOnlySpan<byte> piece)
        {
            while (piece.IndexOf((byte)'\n') is var end and >= 0)
            {
                Add(piece[..end]);
                if (line.Count <= most)
                {
                    whole([.. line]);
                }

                line.Clear();
                piece = piece[(end + 1)..];
            }

            Add(piece);
        }

        /// <summary>One byte more than the most tells that it is too long.</summary>
        private void Add(ReadOnlySpan<byte> piece) => line.AddRange(piece[..Math.Min(piece.Length, most + 1 - line.Count)]);
    }
}
