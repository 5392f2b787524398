using DeepSeekOps.ControlPlane.Hosting;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace DeepSeekOps.ControlPlane.Tests.Hosting;

public sealed class CalmLoggingTests
{
    private readonly FakeTimeProvider clock = new();
    private readonly List<string> lines = [];

    [Fact]
    public void A_minute_of_the_same_failure_ten_times_a_second_is_one_line_and_the_next_minute_tells_how_often()
    {
        var log = Logger();
        for (int i = 0; i < 601; i++)
        {
            log.LogError(new TimeoutException($"no answer after {i} ms"), "The tick of {Stage} did not end", $"run-{i % 7}/pretrain");
            clock.Advance(TimeSpan.FromMilliseconds(100));
        }

        Assert.Equal(2, lines.Count);
        Assert.Equal("The tick of run-0/pretrain did not end: TimeoutException: no answer after 0 ms", lines[0]);
        Assert.EndsWith("(599 times in the minute before)", lines[1], StringComparison.Ordinal);
    }

    [Fact]
    public void Unlike_failures_are_told_each_and_our_own_mistakes_keep_their_stack()
    {
        var log = Logger();
        log.LogError(new IOException("No space left on device"), "The tick of {Stage} did not end", "a/b");
        log.LogError(Thrown(new InvalidOperationException("phase Waiting")), "The tick of {Stage} did not end", "a/b");
        log.LogWarning("{Samples} samples of {Stage} were not written", 3, "a/b");
        log.LogWarning("{Samples} samples of {Stage} were not written", 4, "a/b");
        Assert.Equal(3, lines.Count);
        Assert.DoesNotContain("   at ", lines[0], StringComparison.Ordinal);
        Assert.Contains("   at ", lines[1], StringComparison.Ordinal);
    }

    [Fact]
    public void A_watchdog_that_counts_from_the_machines_start_is_not_repeated_and_a_hang_of_ours_is()
    {
        var log = Logger();
        const string Said = "Participant check thread has not completed for {Span}, potentially indicating lock contention or deadlock";
        log.LogWarning(Said, new TimeSpan(10, 41, 28));
        log.LogWarning(Said, new TimeSpan(9, 0, 0, 1));
        Assert.Empty(lines);
        clock.Advance(TimeSpan.FromHours(1));
        log.LogWarning(Said, new TimeSpan(0, 0, 40));
        Assert.Single(lines);
    }

    [Fact]
    public void What_is_no_failure_is_told_as_often_as_it_comes()
    {
        var log = Logger();
        log.LogInformation("goes on");
        log.LogInformation("goes on");
        Assert.Equal(2, lines.Count);
    }

    private ILogger Logger()
    {
        var services = new ServiceCollection().AddLogging(logging => logging.AddProvider(new Lines(lines)));
        services.AddSingleton<LoggerFactory>().AddSingleton<TimeProvider>(clock).AddSingleton<RecurringFailures>()
            .AddSingleton<ILoggerFactory, CalmLogging>();
        return services.BuildServiceProvider().GetRequiredService<ILoggerFactory>().CreateLogger("StageGrain");
    }

    private static InvalidOperationException Thrown(InvalidOperationException failure)
    {
        try
        {
            throw failure;
        }
        catch (InvalidOperationException e)
        {
            return e;
        }
    }

    private sealed class Lines(List<string> lines) : ILoggerProvider, ILogger
    {
        public ILogger CreateLogger(string categoryName) => this;

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception,
            Func<TState, Exception?, string> formatter) =>
            lines.Add(formatter(state, exception) + (exception is null ? "" : $"\n{exception}"));

        public void Dispose()
        {
        }
    }
}
