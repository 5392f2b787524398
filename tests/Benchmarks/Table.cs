using System.Diagnostics;
using System.Globalization;

namespace DeepSeekOps.Benchmarks;

/// <summary>
/// Lines of what was measured, each with what it is held against; a line that misses its limit makes the program end with 1.
/// </summary>
internal static class Table
{
    public static bool Missed { get; private set; }

    public static void Title(string text) => Console.WriteLine($"\n{text}");

    public static void Line(string what, string measured, string against = "") =>
        Console.WriteLine($"  {what,-52} {measured,-34} {against}");

    /// <param name="limit">The most that is allowed.</param>
    public static void AtMost(string what, double milliseconds, double limit) =>
        Judge(what, Say($"{milliseconds:0.###} ms"), milliseconds <= limit,
            Say($"{milliseconds / limit:0.000} of the limit of {limit:0.#} ms"));

    /// <param name="least">The least that is wanted.</param>
    public static void AtLeast(string what, double perSecond, string unit, double least, string peer) =>
        Judge(what, Say($"{perSecond:#,0} {unit}/s"), perSecond >= least, Say($"{perSecond / least:0.0} x {peer}"));

    /// <summary>Of what may not happen at all.</summary>
    public static void None(string what, int count) => Judge(what, Say($"{count}"), count == 0, "none");

    /// <summary>Something that has to hold.</summary>
    public static void Hold(string what, string measured, bool holds, string against) => Judge(what, measured, holds, against);

    /// <summary>Times of single calls, sorted, in milliseconds.</summary>
    public static double[] Times(int warmUp, int calls, Action call)
    {
        for (int i = 0; i < warmUp; i++)
        {
            call();
        }

        double[] times = new double[calls];
        for (int i = 0; i < calls; i++)
        {
            long begun = Stopwatch.GetTimestamp();
            call();
            times[i] = Stopwatch.GetElapsedTime(begun).TotalMilliseconds;
        }

        Array.Sort(times);
        return times;
    }

    public static double Percentile(this double[] sorted, double share) => sorted[(int)Math.Ceiling(share * sorted.Length) - 1];

    public static string Say(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);

    private static void Judge(string what, string measured, bool holds, string ratio)
    {
        Line(what, measured, holds ? ratio : $"MISSED: {ratio}");
        Missed |= !holds;
    }
}
