using System.Globalization;
using System.Net;
using System.Text;
using DeepSeekOps.Decisions.Goodput;
using DeepSeekOps.Decisions.Simulation;

namespace DeepSeekOps.ControlPlane.Cli.Verbs;

/// <summary>
/// A simulation as one HTML page without scripts, fonts or pictures from elsewhere: it opens from a disk and a mail alike.
/// </summary>
internal static class SimulationPage
{
    private const int TimelineMax = 400;

    public static string Of(SimulationReport report, string faultSource, PolicyComparison? comparison)
    {
        var page = new StringBuilder();
        page.Append(In($$"""
            <!doctype html>
            <html lang="en">
            <head>
            <meta charset="utf-8">
            <meta name="viewport" content="width=device-width, initial-scale=1">
            <meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
            <meta name="color-scheme" content="light dark">
            <title>{{Text(report.Name)}} (simulated)</title>
            <style>{{SimulationPageStyle.Css}}</style>
            </head>
            <body>
            <main>
            <header><h1>{{Text(report.Name)}} <span class="badge">simulated</span></h1>
            <p>{{report.Nodes:#,0}} nodes ({{report.Spares}} spare), {{report.Gpus:#,0}} GPUs
            · faults {{Text(report.Faults)}} · seed {{report.Seed}} · {{Text(report.State)}}</p></header>

            """));
        Tiles(page, report);
        Ledger(page, report);
        Stages(page, report);
        Causes(page, report);
        if (comparison is not null)
        {
            Comparison(page, comparison);
        }

        Timeline(page, report);
        page.Append(In($"""
            <footer><p>Simulated, not measured. Step times: dsops plan. Faults: {Text(faultSource)}. Pod start, load and repair times are assumed;
            approvals at gates are given at once. The ledger adds up to GPUs × wall clock exactly.</p></footer>
            </main></body></html>

            """));
        return page.ToString();
    }

    private static void Tiles(StringBuilder page, SimulationReport report)
    {
        double lost = report.Causes.Sum(c => c.LostGpuHours);
        (string Name, string Value)[] tiles =
        [
            ("ETTR", In($"{report.Ettr:0.00 %}")), ("wall clock", In($"{report.WallClockSeconds / 86_400:0.0} days")),
            ("GPU-hours", In($"{report.GpuHours / 1000:#,0.0}K")), ("price", In($"${report.Dollars / 1e6:0.000}M")),
            ("restarts", In($"{report.RestartsByCause.Values.Sum():#,0}")), ("lost to faults", In($"{lost:#,0} GPU-h")),
            ("fault to next step", report.MeanRecoverySeconds is { } s ? In($"{s / 60:0.0} min") : "-"),
        ];
        page.Append("<section class=\"tiles\">");
        foreach (var (name, value) in tiles)
        {
            page.Append(In($"<div><b>{Text(value)}</b><span>{name}</span></div>"));
        }

        page.Append("</section>\n");
    }

    private static void Ledger(StringBuilder page, SimulationReport report)
    {
        double total = report.GpuSeconds.Values.Sum();
        var buckets = Enum.GetValues<GoodputBucket>().Select(b => (Bucket: b, Seconds: report.GpuSeconds[GoodputBuckets.NameOf(b)]))
            .Where(b => b.Seconds > 0).ToArray();
        // Where nearly all is productive, the rest is what a reader came for: it has a bar of its own.
        double rest = buckets.Where(b => b.Bucket != GoodputBucket.Productive).Sum(b => b.Seconds);
        page.Append("<section><h2>Goodput ledger</h2>");
        Bar(page, "All GPU time", buckets, total);
        Bar(page, "What is not productive, enlarged", buckets.Where(b => b.Bucket != GoodputBucket.Productive), rest);
        page.Append(
            "<div class=\"scroll\"><table><tr><th>GPU time</th><th class=\"n\">hours</th><th "
                + "class=\"n\">share</th><th>what it was</th></tr>");
        foreach (var (bucket, seconds) in buckets)
        {
            var (name, what) = GoodputBuckets.InWords(bucket);
            page.Append(In($"<tr><td><i class=\"b{(int)bucket}\"></i>{name}</td><td class=\"n\">{seconds / 3600:#,0}</td>"));
            page.Append(In($"<td class=\"n\">{seconds / total:0.000 %}</td><td class=\"what\">{what}</td></tr>"));
        }

        page.Append(In($"<tr class=\"sum\"><td>all</td><td class=\"n\">{total / 3600:#,0}</td><td class=\"n\">{1:0.000 %}</td>"));
        page.Append(In($"<td>GPUs × wall clock</td></tr></table></div></section>\n"));
    }

    private static void Bar(StringBuilder page, string title, IEnumerable<(GoodputBucket Bucket, double Seconds)> parts, double total)
    {
        page.Append(In($"<p class=\"caption\">{title}</p><div class=\"bar\" role=\"img\" aria-label=\"{title}\">"));
        foreach (var (bucket, seconds) in parts)
        {
            string words = In($"{GoodputBuckets.InWords(bucket).Name} {seconds / total:0.00 %}");
            page.Append(In($"<span class=\"b{(int)bucket}\" style=\"width:{seconds / total * 100:0.###}%\" title=\"{words}\"></span>"));
        }

        page.Append("</div>");
    }

    private static void Stages(StringBuilder page, SimulationReport report)
    {
        page.Append(
            "<section><h2>Stages</h2><div class=\"scroll\"><table><tr><th>stage</th><th>state</th><th class=\"n\">GPUs</th><th "
                + "class=\"n\">launches</th>"
            + "<th class=\"n\">days</th><th class=\"n\">ETTR</th><th class=\"n\">closed form</th><th class=\"n\">GPU-hours</th><th "
            + "class=\"n\">price</th></tr>");
        foreach (var s in report.Stages)
        {
            page.Append(In($"<tr><td>{Text(s.Name)}</td><td>{Text(s.State)}</td>"));
            page.Append(In($"<td class=\"n\">{s.Gpus:#,0}</td><td class=\"n\">{s.Attempts}</td>"));
            page.Append(In($"<td class=\"n\">{s.Days:0.0}</td><td class=\"n\">{(s.Ettr is { } e ? In($"{e:0.00 %}") : "-")}</td>"));
            page.Append(In($"<td class=\"n\">{(s.ClosedForm is { } c ? In($"{c:0.00 %}") : "-")}</td>"));
            page.Append(In($"<td class=\"n\">{s.GpuHours / 1000:#,0.0}K</td><td class=\"n\">${s.Dollars / 1e6:0.000}M</td></tr>"));
        }

        page.Append("</table></div></section>\n");
    }

    private static void Causes(StringBuilder page, SimulationReport report)
    {
        if (report.Causes.IsEmpty)
        {
            return;
        }

        double most = Math.Max(1e-9, report.Causes.Max(c => c.LostGpuHours));
        page.Append(
            "<section><h2>Restarts by cause</h2><div class=\"scroll\"><table><tr><th>cause</th><th class=\"n\">faults</th><th "
                + "class=\"n\">restarts</th>"
            + "<th class=\"n\">lost GPU-hours</th><th class=\"wide\"></th></tr>");
        foreach (var c in report.Causes)
        {
            page.Append(
                In($"<tr><td>{Text(c.Cause)}</td><td class=\"n\">{c.Faults}</td><td class=\"n\">{c.Restarts}</td>"));
            page.Append(In($"<td class=\"n\">{c.LostGpuHours:#,0}</td>"));
            page.Append(In($"<td><div class=\"meter\"><span style=\"width:{c.LostGpuHours / most * 100:0.#}%\"></span></div></td></tr>"));
        }

        page.Append("</table></div></section>\n");
    }

    private static void Comparison(StringBuilder page, PolicyComparison comparison)
    {
        double most = Math.Max(1e-9, comparison.Policies.Max(p => p.LostGpuHours?.Mean ?? 0));
        page.Append(In($"<section><h2>Policies</h2><p>Simulated; seeds {comparison.Seeds[0]} to {comparison.Seeds[^1]}"));
        page.Append(", mean ± 95 % confidence interval. Launchers are timing models.</p>");
        page.Append(
            "<div class=\"scroll\"><table><tr><th>policy</th><th class=\"n\">ETTR</th><th class=\"n\">lost "
                + "GPU-hours</th><th class=\"wide\"></th>"
            + "<th class=\"n\">beyond as planned</th><th class=\"n\">recovery</th><th class=\"n\">days</th></tr>");
        foreach (var p in comparison.Policies)
        {
            page.Append(In($"<tr><td>{Text(p.Name)}{Small(p.Source)}</td><td class=\"n\">{ComparisonWords.Share(p.Ettr)}</td>"));
            page.Append(In($"<td class=\"n\">{ComparisonWords.Amount(p.LostGpuHours, "#,0", "")}</td>"));
            page.Append(
                In($"<td><div class=\"meter\"><span style=\"width:{(p.LostGpuHours?.Mean ?? 0) / most * 100:0.#}%\"></span></div></td>"));
            page.Append(In($"<td class=\"n\">{ComparisonWords.Difference(p.LostGpuHoursBeyond)}</td>"));
            page.Append(In($"<td class=\"n\">{ComparisonWords.Amount(p.RecoverySeconds, "0", " s")}</td>"));
            page.Append(In($"<td class=\"n\">{ComparisonWords.Amount(p.Days, "0.0", "")}</td></tr>"));
        }

        page.Append("</table></div>");
        foreach (string line in ComparisonWords.GaveUp(comparison))
        {
            page.Append(In($"<p>{Text(line)}</p>"));
        }

        page.Append("</section>\n");
    }

    private static void Timeline(StringBuilder page, SimulationReport report)
    {
        if (report.Timeline.IsEmpty)
        {
            return;
        }

        var start = report.Timeline[0].At;
        double days = Math.Max(1e-9, report.WallClockSeconds / 86_400);
        page.Append(
            "<section><h2>Timeline</h2><svg viewBox=\"0 0 1000 60\" role=\"img\" aria-label=\"events over the days\" "
                + "preserveAspectRatio=\"none\">"
            + "<line class=\"axis\" x1=\"0\" y1=\"50\" x2=\"1000\" y2=\"50\"/>");
        foreach (var e in report.Timeline)
        {
            double x = Math.Min(1, (e.At - start).TotalDays / days) * 1000;
            int top = e.Level == Decisions.EventLevel.Info ? 34 : 8;
            string kind = e.Level == Decisions.EventLevel.Info ? "info" : "bad";
            page.Append(In($"<line class=\"{kind}\" x1=\"{x:0.#}\" y1=\"{top}\" x2=\"{x:0.#}\" y2=\"50\"/>"));
        }

        page.Append(In($"</svg><p class=\"axis\"><span>day 0</span><span>{days / 2:0.#}</span><span>day {days:0.#}</span></p>"));
        var told = report.Timeline.Where(e => e.Kind != "recovered").Take(TimelineMax).ToArray();
        page.Append(In($"<details><summary>{told.Length} events</summary><div class=\"scroll\"><table>"));
        foreach (var e in told)
        {
            page.Append(
                In($"<tr><td class=\"n\">day {(e.At - start).TotalDays:0.00}</td><td>{Text(e.Stage)}</td><td>{Text(e.Text)}</td></tr>"));
        }

        page.Append("</table></div></details></section>\n");
    }

    private static string Small(string source) => $"<small>{Text(source)}</small>";

    private static string Text(string text) => WebUtility.HtmlEncode(text);

    private static string In(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
