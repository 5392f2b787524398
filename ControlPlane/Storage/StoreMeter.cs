using System.Diagnostics.Metrics;

namespace DeepSeekOps.ControlPlane.Storage;

/// <summary>What the database is asked to keep, and what came of it. Of this process, since it began.</summary>
internal static class StoreMeter
{
    public const string Name = "DeepSeekOps.Storage";

    public const string Durable = "durable";

    /// <summary>By the database's fault.</summary>
    public const string Failed = "failed";

    /// <summary>By the statement's own.</summary>
    public const string Refused = "refused";

    /// <summary>A commit takes milliseconds on a disk of its own; at 2.5 s the database is said to be away.</summary>
    private static readonly InstrumentAdvice<double> Commit = new()
    {
        HistogramBucketBoundaries = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5],
    };

    private static readonly Meter Meter = new(Name);

    private static readonly Counter<long> Commits = Meter.CreateCounter<long>(
        "dsops.database.commits", null,
        "Transactions by outcome: durable, failed (the database's fault), refused (the statement's). One is the work of many callers.");

    private static readonly Histogram<double> CommitTime = Meter.CreateHistogram(
        "dsops.database.commit.duration", "s", "From a transaction's begin until it was durable.", advice: Commit);

    /// <summary>With nothing in them yet, so that the first failure is seen as a rise.</summary>
    public static void Begin() => Array.ForEach([Durable, Failed, Refused], outcome => Add(0, outcome));

    public static void Wrote(TimeSpan took)
    {
        Add(1, Durable);
        CommitTime.Record(took.TotalSeconds);
    }

    public static void NotWritten(string outcome) => Add(1, outcome);

    private static void Add(long count, string outcome) => Commits.Add(count, new KeyValuePair<string, object?>("outcome", outcome));
}
