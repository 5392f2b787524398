using System.Diagnostics;
using DeepSeekOps.EndToEnd.Tests;

namespace DeepSeekOps.Benchmarks;

/// <summary>A thousand clicks on anything while a run trains: no page may lose its server side, and no script may complain.</summary>
internal static class ClickBenchmark
{
    private const int Clicks = 1_000;
    private const int Seed = 1;

    public static async Task Run()
    {
        Table.Title(Table.Say($"clicks: {Clicks} drawn by seed {Seed} over all pages, on a live run"));
        if (!Browser.IsInstalled)
        {
            Table.Line("not measured", Browser.Missing);
            return;
        }

        await using var dsops = await Dsops.Start();
        var (code, _, error) =
            await dsops.Verb("submit", TinyPipeline.File(dsops.DataDirectory, TinyPipeline.Pretraining("live", 1_000_000)));
        if (code != 0)
        {
            throw new InvalidOperationException(error);
        }

        await dsops.UntilStage("live", "pretrain", "trains", TimeSpan.FromMinutes(3), s => (long)s["step"]! > 0);
        await using var browser = await Browser.Open();
        var watch = Stopwatch.StartNew();
        var report = await RandomClicks.Run(browser.Page, dsops.Open("/runs/live"), Clicks, Seed);
        string[] complaints = browser.Complaints;
        Table.Line("clicked", Table.Say($"{report.Clicks} in {watch.Elapsed.TotalSeconds:0} s"),
            Table.Say($"{report.Trail.Select(Page).Distinct().Count()} pages"));
        Table.None("ended circuits", report.EndedCircuits);
        Table.None("errors on the console", complaints.Length);
        foreach (string complaint in complaints.Take(5))
        {
            Table.Line("", complaint);
        }
    }

    /// <summary>/runs/live of "/runs/live?tab=logs: a Logs".</summary>
    private static string Page(string click) => click.Split('?', ':')[0];
}
