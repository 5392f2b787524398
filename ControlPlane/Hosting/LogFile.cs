using System.Collections.Concurrent;
using System.Globalization;
using System.Threading.Channels;

namespace DeepSeekOps.ControlPlane.Hosting;

/// <summary>
/// The log as a file, so that the terminal is left to the timeline. Bounded: at <see cref="LimitBytes"/> the file becomes
/// control-plane.1.log and a new one begins. Writing never blocks who logs; if the disk cannot follow, lines are dropped and
/// their number is written down.
/// </summary>
public sealed class LogFile : ILoggerProvider, IAsyncDisposable
{
    public const string RelativePath = "logs/control-plane.log";
    private const long LimitBytes = 16 << 20;
    private const int WaitingLines = 4_096;
    private static readonly TimeSpan RetryAfter = TimeSpan.FromSeconds(10);

    private readonly Channel<string> lines;
    private readonly ConcurrentDictionary<string, ILogger> loggers = new();
    private readonly TimeProvider clock;
    private readonly string path;
    private readonly Task writing;
    private long dropped;

    public LogFile(string dataDirectory, TimeProvider clock)
    {
        this.clock = clock;
        path = Path.Combine(dataDirectory, RelativePath);
        Directory.CreateDirectory(Path.GetDirectoryName(path) ?? dataDirectory);
        lines = Channel.CreateBounded<string>(
            new BoundedChannelOptions(WaitingLines) { FullMode = BoundedChannelFullMode.DropWrite, SingleReader = true },
            _ => Interlocked.Increment(ref dropped));
        writing = Task.Run(Write);
    }

    public ILogger CreateLogger(string categoryName) => loggers.GetOrAdd(categoryName, name => new CategoryLogger(this, name));

    public void Dispose()
    {
        lines.Writer.TryComplete();
        writing.Wait(TimeSpan.FromSeconds(2));
    }

    public async ValueTask DisposeAsync()
    {
        lines.Writer.TryComplete();
        await writing;
    }

    private async Task Write()
    {
        StreamWriter? file = null;
        long failedAt = 0;
        while (await lines.Reader.WaitToReadAsync())
        {
            int taken = 0;
            // A full disk must not stop the control plane: lines are counted as dropped until the file can be opened again.
            if (file is null && failedAt != 0 && clock.GetElapsedTime(failedAt) < RetryAfter)
            {
                Drop(0);
                continue;
            }
            try
            {
                file ??= Open();
                while (lines.Reader.TryRead(out string? line))
                {
                    taken++;
                    await file.WriteLineAsync(line);
                }
                if (Interlocked.Exchange(ref dropped, 0) is > 0 and var lost)
                {
                    taken += (int)lost;
                    await file.WriteLineAsync($"({lost} lines were dropped here: the disk was full or too slow)");
                }
                await file.FlushAsync();
                if (file.BaseStream.Length > LimitBytes)
                {
                    await file.DisposeAsync();
                    file = null;
                    File.Move(path, Path.ChangeExtension(path, ".1.log"), overwrite: true);
                }
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                Drop(taken);
                await Close(file);
                (file, failedAt) = (null, clock.GetTimestamp());
            }
        }
        await Close(file);
    }

    private void Drop(int taken)
    {
        while (lines.Reader.TryRead(out _))
        {
            taken++;
        }
        Interlocked.Add(ref dropped, taken);
    }

    /// <summary>What could not be written is written again at the close, and fails again on a full disk.</summary>
    private static async Task Close(StreamWriter? file)
    {
        try
        {
            await (file?.DisposeAsync() ?? ValueTask.CompletedTask);
        }
        catch (IOException)
        {
            // Its lines are counted as dropped.
        }
    }

    private StreamWriter Open() => new(new FileStream(path, FileMode.Append, FileAccess.Write, FileShare.ReadWrite | FileShare.Delete));

    private sealed class CategoryLogger(LogFile file, string category) : ILogger
    {
        private static readonly string[] Levels = ["trce", "dbug", "info", "warn", "fail", "crit"];

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => logLevel != LogLevel.None;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception,
            Func<TState, Exception?, string> formatter)
        {
            if (IsEnabled(logLevel))
            {
                string at = file.clock.GetUtcNow().ToString("yyyy-MM-ddTHH:mm:ss.fffZ", CultureInfo.InvariantCulture);
                string failure = exception is null ? "" : LogText.OfFailure(exception);
                file.lines.Writer.TryWrite($"{at} {Levels[(int)logLevel]} {category}: "
                    + $"{LogText.OfMessage(formatter(state, exception))}{failure}");
            }
        }
    }
}
