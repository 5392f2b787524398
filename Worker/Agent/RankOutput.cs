using System.Collections.Immutable;
using System.Globalization;
using DeepSeekOps.Contracts.Worker.V1;

namespace DeepSeekOps.Worker.Agent;

/// <summary>
/// What the ranks of this node print: numbered for each attempt and rank, into rank-N.log, and on to the control plane in batches.
/// The file has the newest 64 to 128 MB; what waits for the control plane is bounded, and a gap in the numbers shows what was left out.
/// </summary>
internal sealed class RankOutput(string podDirectory, AttemptRef stage, string node, long fileLimit = CappedLog.Limit) : IDisposable
{
    private const int LinesPerBatch = 500;

    /// <summary>Of 3 bytes each at most, so that a batch is far below the 16 MB of a message; one line has 16 K at most.</summary>
    private const int CharsPerBatch = 512 << 10;

    /// <summary>Per rank and attempt.</summary>
    private const int WaitingLines = 10_000;

    /// <summary>As many lines of some 200 characters; a rank that prints tensors must not fill the node's memory by them.</summary>
    private const int WaitingChars = 2 << 20;

    /// <summary>A stack trace is some 40 lines, and what failed stands above it.</summary>
    private const int LastWordLines = 64;

    private const int LastLineChars = 300;

    private readonly Dictionary<(int Attempt, int Rank), Waiting> _waiting = [];
    private readonly Dictionary<int, List<LogLine>> _beforeLaunch = [];
    private readonly Dictionary<int, Queue<LogLine>> _newest = [];
    private readonly Dictionary<int, StreamWriter> _files = [];

    public bool Empty => _waiting.Values.All(w => w.Lines.Count == 0);

    /// <param name="rank">Null: the process is forgotten already, and this is a late word of it.</param>
    public void Print(RankSeen? rank, LogLine line)
    {
        if (rank is null)
        {
            return;
        }

        var newest = _newest.TryGetValue(rank.Slot, out var q) ? q : _newest[rank.Slot] = new Queue<LogLine>();
        newest.Enqueue(line);
        if (newest.Count > LastWordLines)
        {
            newest.Dequeue();
        }

        if (rank.Rank is null)
        {
            // A standby belongs to no attempt yet; what it prints while loading becomes the first lines of the one it is launched for.
            var early = _beforeLaunch.TryGetValue(rank.Slot, out var lines) ? lines : _beforeLaunch[rank.Slot] = [];
            if (early.Count < LinesPerBatch)
            {
                early.Add(line);
            }

            return;
        }

        Add(rank, line);
    }

    public void Launched(RankSeen rank)
    {
        if (_beforeLaunch.Remove(rank.Slot, out var lines))
        {
            lines.ForEach(line => Add(rank, line));
        }
    }

    /// <summary>
    /// The last line of a process that tells something (of standard error where it wrote any, the exception's where there is one), and
    /// its newest lines of any kind, oldest first. What is kept of the process is forgotten.
    /// </summary>
    public (string Line, ImmutableArray<string> Lines) LastWords(int slot)
    {
        _beforeLaunch.Remove(slot);
        if (!_newest.Remove(slot, out var lines))
        {
            return ("", []);
        }

        var told = lines.Where(l => l.Text.Trim().Length > 0).ToList();
        var errors = told.Where(l => l.Error).ToList();
        string line = (errors.FirstOrDefault(l => l.Text.Contains("exception", StringComparison.OrdinalIgnoreCase)
            || l.Text.StartsWith("Process terminated", StringComparison.Ordinal)) ?? errors.LastOrDefault()
            ?? told.LastOrDefault())?.Text.Trim() ?? "";
        return (Cut(line), [.. told.Select(l => Cut(l.Text.Trim()))]);

        static string Cut(string text) => text.Length <= LastLineChars ? text : text[..LastLineChars] + "…";
    }

    public LogBatch? NextBatch()
    {
        foreach (var ((attempt, rank), waiting) in _waiting.OrderBy(w => w.Key))
        {
            if (waiting.Lines.Count > 0)
            {
                var about = stage.Clone();
                about.Attempt = attempt;
                return new LogBatch { Node = node, Attempt = about, Rank = rank, FirstLine = waiting.First, Lines = { waiting.Begin() } };
            }
        }

        return null;
    }

    /// <summary>They need not be sent again: they are stored, or were refused for good.</summary>
    public void Done(LogBatch batch)
    {
        if (_waiting.TryGetValue((batch.Attempt.Attempt, batch.Rank), out var waiting))
        {
            long end = batch.FirstLine + batch.Lines.Count;
            while (waiting.Lines.Count > 0 && waiting.First < end)
            {
                waiting.LeaveOut();
            }
        }
    }

    public void Dispose()
    {
        foreach (var file in _files.Values)
        {
            file.Dispose();
        }
    }

    private void Add(RankSeen rank, LogLine line)
    {
        int number = rank.Rank ?? throw new ArgumentException("a standby has no rank", nameof(rank));
        var key = (rank.Attempt, number);
        var waiting = _waiting.TryGetValue(key, out var w) ? w : _waiting[key] = new Waiting();
        waiting.Add(line);
        WriteToFile(number, rank.Attempt, line);
    }

    private void WriteToFile(int rank, int attempt, LogLine line)
    {
        try
        {
            var file = _files.TryGetValue(rank, out var open)
                ? open
                : _files[rank] = new StreamWriter(Path.Combine(podDirectory, $"rank-{rank}.log"), append: true) { AutoFlush = true };
            string at = line.At.ToDateTimeOffset().ToString("yyyy-MM-ddTHH:mm:ss.fffZ", CultureInfo.InvariantCulture);
            file.WriteLine($"{at} attempt {attempt} {(line.Error ? "err" : "out")} {LogText.Escaped(line.Text)}");
            if (file.BaseStream.Length > fileLimit)
            {
                _files.Remove(rank);
                file.Dispose();
                CappedLog.Rotate(Path.Combine(podDirectory, $"rank-{rank}.log"));
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or NotSupportedException)
        {
            // A full disk, a folder that may not be written, a device in the file's place: training goes on, and the lines still go to
            // the control plane. The next line tries again.
            _files.Remove(rank);
        }
    }

    /// <summary>Lines of a rank that the control plane has not stored.</summary>
    private sealed class Waiting
    {
        private long _chars;

        public Queue<LogLine> Lines { get; } = new();

        /// <summary>The number of the first of them.</summary>
        public long First { get; private set; }

        public void Add(LogLine line)
        {
            Lines.Enqueue(line);
            _chars += line.Text.Length;
            while (Lines.Count > WaitingLines || (_chars > WaitingChars && Lines.Count > 1))
            {
                LeaveOut();
            }
        }

        public void LeaveOut()
        {
            _chars -= Lines.Dequeue().Text.Length;
            First++;
        }

        /// <summary>As many as go into one message.</summary>
        public IEnumerable<LogLine> Begin()
        {
            long chars = 0;
            return Lines.Take(LinesPerBatch).TakeWhile((line, i) => (chars += line.Text.Length) <= CharsPerBatch || i == 0);
        }
    }
}
