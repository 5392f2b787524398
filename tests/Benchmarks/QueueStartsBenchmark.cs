using System.Globalization;
using DeepSeekOps.Decisions.Tests.Placement;

namespace DeepSeekOps.Benchmarks;

/// <summary>
/// Start estimates, held against the starts that came: `--seeds N` (1) streams of `--jobs N` (10,000) gangs through the queue of 256 nodes.
/// What each gang that waits was told first is what counts, those told before anything was learnt among them.
/// </summary>
internal static class QueueStartsBenchmark
{
    public static void Run(string[] args)
    {
        int jobs = Option(args, "--jobs", 10_000), seeds = Option(args, "--seeds", 1);
        for (int seed = 1; seed <= seeds; seed++)
        {
            Table.Title(Table.Say($"queue-starts: {jobs:#,0} gangs of 1 to 256 nodes through the queue of 256, seed {seed}"));
            var waited = new QueueReplay(seed, 256, jobs).Run();
            double within = waited.Average(w => w.Within ? 1.0 : 0);
            Table.Line("gangs that waited and were told a start", Table.Say($"{waited.Count:#,0}"));
            Table.Hold("started within the band that they were told first", Table.Say($"{within:0.0 %}"), within is >= 0.88 and <= 0.95,
                "88 to 95 %");
            double width = Median(waited.Select(w => w.Width)), wait = Median(waited.Select(w => w.Wait));
            Table.Hold("width of the band, median", Table.Say($"{width / 60:0} min"), width <= wait,
                Table.Say($"the wait, {wait / 60:0} min"));
            var whole = waited.Where(w => w.Nodes >= 128).ToList();
            Table.Line("of 128 nodes and more: within, or earlier",
                Table.Say($"{whole.Count(w => w.Started <= w.Told.Latest)} of {whole.Count}"));
        }
    }

    private static double Median(IEnumerable<double> values) => values.Order().ToArray().Percentile(0.5);

    private static int Option(string[] args, string name, int otherwise) =>
        Array.IndexOf(args, name) is var at and >= 0 && at + 1 < args.Length
            ? int.Parse(args[at + 1], NumberStyles.None, CultureInfo.InvariantCulture) : otherwise;
}
