using System.Collections.Concurrent;
using System.Diagnostics;
using Grpc.Core;

namespace DeepSeekOps.Benchmarks;

/// <summary>How long calls took, by what they were, and which failed and why.</summary>
internal sealed class Calls
{
    private readonly ConcurrentDictionary<string, ConcurrentQueue<double>> took = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<string, ConcurrentDictionary<string, int>> failed = new(StringComparer.Ordinal);
    private volatile bool counts;

    public int Failures => failed.Values.Sum(f => f.Values.Sum());

    /// <summary>From now on: until then what is measured is a start.</summary>
    public void Begin() => counts = true;

    public void Pause() => counts = false;

    public async Task<T> Time<T>(string name, Func<Task<T>> call)
    {
        long began = Stopwatch.GetTimestamp();
        bool counted = counts;
        try
        {
            var answer = await call();
            Took(name, Stopwatch.GetElapsedTime(began), counted);
            return answer;
        }
        catch (Exception e) when (e is RpcException or HttpRequestException or OperationCanceledException or IOException)
        {
            if (counted && counts)
            {
                Fail(name, e is RpcException rpc ? $"{rpc.StatusCode}: {rpc.Status.Detail}" : e.Message);
            }

            throw;
        }
    }

    public void Took(string name, TimeSpan time) => Took(name, time, counts);

    public void Fail(string name, string why)
    {
        if (counts)
        {
            failed.GetOrAdd(name, _ => new()).AddOrUpdate(why.Length > 160 ? why[..160] : why, 1, (_, n) => n + 1);
        }
    }

    public void Print()
    {
        foreach (string name in took.Keys.Union(failed.Keys).Order(StringComparer.Ordinal))
        {
            double[] times = [.. took.GetValueOrDefault(name)?.Order() ?? Enumerable.Empty<double>()];
            int bad = failed.GetValueOrDefault(name)?.Values.Sum() ?? 0;
            Table.Line(name, times.Length == 0 ? "none answered" : Table.Say(
                $"{times.Percentile(0.5):0.0} / {times.Percentile(0.99):0.0} / {times[^1]:0} ms"),
                Table.Say($"{times.Length:#,0} calls, {bad} failed"));
            foreach (var (why, count) in failed.GetValueOrDefault(name)?.OrderByDescending(w => w.Value).Take(3) ?? [])
            {
                Table.Line("", Table.Say($"{count} x {why}"));
            }
        }
    }

    private void Took(string name, TimeSpan time, bool counted)
    {
        if (counted)
        {
            took.GetOrAdd(name, _ => new()).Enqueue(time.TotalMilliseconds);
        }
    }
}
