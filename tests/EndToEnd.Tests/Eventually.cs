using System.Diagnostics;

namespace DeepSeekOps.EndToEnd.Tests;

/// <summary>Waiting for another process: asks again until the answer is there, and says what it last saw when it is not.</summary>
internal static class Eventually
{
    public const float PatientMilliseconds = 300_000;

    /// <summary>
    /// For what takes a second or two where nothing else runs: only a program that hangs reaches it, however busy the machine is.
    /// </summary>
    public static readonly TimeSpan Patience = TimeSpan.FromMilliseconds(PatientMilliseconds);

    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(100);

    public static async Task<T> Get<T>(string what, TimeSpan within, Func<Task<T?>> ask, Func<string>? evidence = null)
        where T : class
    {
        var watch = Stopwatch.StartNew();
        while (watch.Elapsed < within)
        {
            if (await ask() is { } answer)
            {
                return answer;
            }

            await Task.Delay(Pause);
        }

        throw new TimeoutException($"Not within {within.TotalSeconds:0} s: {what}.{Environment.NewLine}{evidence?.Invoke()}");
    }

    public static Task Is(string what, TimeSpan within, Func<Task<bool>> ask, Func<string>? evidence = null) =>
        Get(what, within, async () => await ask() ? "" : null, evidence);
}
