using System.Text.RegularExpressions;
using DeepSeekOps.ControlPlane.Api.Series;
using DeepSeekOps.ControlPlane.Storage.Series;
using DeepSeekOps.Dashboard.Theme;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.FileProviders;
using Microsoft.Extensions.Logging;
using Microsoft.Playwright;
using MudBlazor;
using MudBlazor.Utilities;
using Xunit;

namespace DeepSeekOps.EndToEnd.Tests;

/// <summary>What a person sees of a million steps, by the pixels of a browser.</summary>
public sealed class ChartTests
{
    private static readonly string Assets = Path.GetFullPath(Path.Combine(AppContext.BaseDirectory, "../../../../Dashboard/wwwroot"));

    private const int Points = 1_000_000;
    private const int SpikeAt = 654_321;

    /// <summary>WCAG 1.4.11: what has to be seen of a graphic stands out by 3 to 1.</summary>
    private const double SeenFrom = 3;

    // The brightest contrast to the card, of each row of pixels between the top of the plot and the band, in the three columns about a
    // step.
    private const string Rows = """
        ([name, step]) => {
          const p = document.querySelector('ds-charts').panels.get(name), u = p.plot;
          const back = getComputedStyle(p.figure).backgroundColor.match(/\d+/g).map(Number);
          const linear = v => v / 255 <= .04045 ? v / 255 / 12.92 : ((v / 255 + .055) / 1.055) ** 2.4;
          const light = c => [0.2126, 0.7152, 0.0722].reduce((sum, w, i) => sum + w * linear(c[i]), 0);
          const contrast = d => {
            const [a, b] = [light([0, 1, 2].map(i => d[i] * d[3] / 255 + back[i] * (1 - d[3] / 255))), light(back)];
            return (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
          };
          const x = Math.round(u.valToPos(step, 'x', true)), y = v => Math.round(u.valToPos(v, 'y', true));
          const steady = p.data.max[Math.floor(p.data.x.length * 0.9)], rows = [];
          for (let row = u.bbox.top + 12; row < y(steady) - 2; row++)
            rows.push(Math.max(...[-2, -1, 0, 1, 2].map(dx => contrast(u.ctx.getImageData(x + dx, row, 1, 1).data))));
          return rows;
        }
        """;

    private const string Floor = """
        ([name, step]) => {
          const p = document.querySelector('ds-charts').panels.get(name), u = p.plot;
          const x = Math.round(u.valToPos(step, 'x', true)), y = u.bbox.top + u.bbox.height - 4;
          return [-2, -1, 0, 1, 2].some(dx => {
            // Red, in the light theme and in the dark one.
            const [r, g, b, a] = u.ctx.getImageData(x + dx, y, 1, 1).data;
            return a > 200 && r > 150 && r - g > 90 && r - b > 120;
          });
        }
        """;

    [Theory]
    [InlineData("light", "0"), InlineData("dark", "0.98")]
    public async Task One_step_in_a_million_stands_out_three_to_one_in_every_width_and_theme_and_smoothed(string theme, string smooth)
    {
        Assert.SkipUnless(Browser.IsInstalled, Browser.Missing);
        await using var server =
            await Serve(new() { ["loss"] = Spiked(1.8, 7.5), ["grad_norm"] = Spiked(1, 5000), ["other"] = Spiked(1, 1) });
        await using var browser = await Browser.Open();
        foreach (int width in (int[])[360, 700, 1400])
        {
            // Charts stand in one column, each as wide as asked for.
            await Open(browser, server, "loss,grad_norm,other", $"theme={theme}&smooth={smooth}&width={width}");
            Assert.Equal(width, await browser.Page.EvaluateAsync<int>("() => document.querySelector('ds-charts figure').offsetWidth"));
            foreach (string name in (string[])["loss", "grad_norm"])
            {
                double[] rows = await browser.Page.EvaluateAsync<double[]>(Rows, new object[] { name, SpikeAt });
                Assert.True(rows.Length > 10, $"{name} lies flat against the top: {rows.Length} rows above its band");
                Assert.All(rows, contrast => Assert.True(contrast >= SeenFrom, $"{name} at {width}: {contrast}"));
                double[] beside = await browser.Page.EvaluateAsync<double[]>(Rows, new object[] { name, 2 * Points / 5 });
                Assert.All(beside, contrast => Assert.True(contrast < 1.5));
            }

            // The outlier does not flatten the rest: the band of noise still takes a good part of the height.
            double high = await browser.Page.EvaluateAsync<double>(
                "() => document.querySelector('ds-charts').panels.get('grad_norm').plot.scales.y.max");
            Assert.InRange(high, 1.05, 1.5);
        }
    }

    [Fact]
    public async Task Steps_whose_loss_is_not_a_number_are_gaps_with_a_red_tick_and_the_caption_says_NaN()
    {
        Assert.SkipUnless(Browser.IsInstalled, Browser.Missing);
        double[] loss = [.. Enumerable.Range(1, 30).Select(step => step is 8 or 20 or 23 or 30 ? double.NaN : 24_258.0 / step)];
        await using var server = await Serve(new() { ["loss"] = loss });
        await using var browser = await Browser.Open();
        await Open(browser, server, "loss", "");
        await Assertions.Expect(browser.Page.Locator("figure[data-series=loss] output")).ToHaveTextAsync("NaN");
        await Assertions.Expect(browser.Page.Locator("figure[data-series=loss] .ds-chart-bad")).ToHaveTextAsync("4 not a number");
        foreach (int step in (int[])[8, 20, 23])
        {
            Assert.True(await browser.Page.EvaluateAsync<bool>(Floor, new object[] { "loss", step }));
            Assert.True(await browser.Page.EvaluateAsync<bool>(
                "step => document.querySelector('ds-charts').panels.get('loss').plot.data[3][step - 1] === null",
                step), $"a line is drawn through step {step}");
        }

        Assert.False(await browser.Page.EvaluateAsync<bool>(Floor, new object[] { "loss", 15 }));
        await Open(browser, server, "loss", "log=true&theme=dark");
        Assert.True(await browser.Page.EvaluateAsync<bool>(Floor, new object[] { "loss", 20 }));
        Assert.False(await browser.Page.EvaluateAsync<bool>(Floor, new object[] { "loss", 15 }));
    }

    [Fact]
    public async Task Values_and_the_words_of_a_mark_are_told_at_the_pointer()
    {
        Assert.SkipUnless(Browser.IsInstalled, Browser.Missing);
        await using var server =
            await Serve(new() { ["loss"] = [.. Enumerable.Range(1, 400).Select(step => 1.0 + (1.0 / step))], ["other"] = new double[400] });
        await using var browser = await Browser.Open();
        const string Mark = """[{"kind":"restart","x":200,"text":"rank 3 was killed; goes on from step 190"}]""";
        await Open(browser, server, "loss,other", "marks=" + Uri.EscapeDataString(Mark));
        var over = browser.Page.Locator("figure[data-series=loss] .u-over");
        var box = await over.BoundingBoxAsync() ?? throw new InvalidOperationException("the plot is not on the page");
        double at =
            await browser.Page.EvaluateAsync<double>(
                "() => document.querySelector('ds-charts').panels.get('loss').plot.valToPos(200, 'x')");
        await browser.Page.Mouse.MoveAsync(box.X + (float)at, box.Y + 60);
        var tip = browser.Page.Locator("figure[data-series=loss] .ds-chart-tip");
        // A pixel is a little less than a step here: the pointer may stand on the step beside it.
        await Assertions.Expect(tip).ToContainTextAsync(new Regex("step (199|200|201)1\\.00[45]"));
        await Assertions.Expect(tip).ToContainTextAsync("rank 3 was killed");
        var words = await tip.BoundingBoxAsync() ?? throw new InvalidOperationException("the words are not on the page");
        Assert.InRange(words.Y, box.Y - 20, box.Y + box.Height);
        await Assertions.Expect(browser.Page.Locator("figure[data-series=other] .ds-chart-tip")).ToBeHiddenAsync();
    }

    private static async Task Open(Browser browser, WebApplication server, string series, string query)
    {
        await browser.Page.GotoAsync($"{server.Urls.First()}/page?series={series}&{query}");
        await browser.Page.WaitForFunctionAsync("""
            () => {
              const panels = [...document.querySelector('ds-charts').panels?.values() ?? []];
              return panels.length > 0 && panels.every(p => p.plot && p.plot.scales.y.max != null);
            }
            """);
        // The picture is painted in the frame after the data came.
        await browser.Page.EvaluateAsync("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))");
    }

    private static double[] Spiked(double steady, double spike)
    {
        var random = new Random(4);
        return [.. Enumerable.Range(1, Points).Select(step => step == SpikeAt ? spike : steady + (0.1 * (random.NextDouble() - 0.5)))];
    }

    /// <summary>The charts' own files and the server's own buckets, on points from memory.</summary>
    private static async Task<WebApplication> Serve(Dictionary<string, double[]> series)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        var server = builder.Build();
        server.UseStaticFiles(new StaticFileOptions { FileProvider = new PhysicalFileProvider(Assets) });
        server.MapGet("/page", (HttpContext http) => Results.Content(Page(http.Request.Query), "text/html"));
        server.MapGet("/series/buckets", (HttpContext http) =>
        {
            var query = SeriesParameters.Buckets(http.Request.Query).Query!;
            var lines = query.Names.Select((name, n) =>
                new SeriesLine(n, 0, [new SeriesPiece.Part(Chunk(series[name]), 0, series[name].Length)])).ToList();
            var edges = new BucketEdges(query.From ?? 1, query.To ?? series[query.Names[0]].Length, query.Px, query.LogX);
            return Results.Bytes(PictureBytes.Write(SeriesBuckets.Draw(lines, edges, query.Axis, query.Smooth)));
        });
        await server.StartAsync(TestContext.Current.CancellationToken);
        return server;
    }

    /// <summary>What charts lie on, "#151a23".</summary>
    private static string Surface(bool dark) =>
        (dark ? (Palette)DashboardTheme.Value.PaletteDark : DashboardTheme.Value.PaletteLight).Surface.ToString(MudColorOutputFormats.Hex);

    private static SeriesChunk Chunk(double[] values)
    {
        double[] steps = [.. Enumerable.Range(1, values.Length).Select(step => (double)step)];
        return new SeriesChunk(new ChunkPlaces(steps, steps, steps), values);
    }

    private static string Page(IQueryCollection query) => $$"""
        <!doctype html><html data-theme="{{(query["theme"] == "dark" ? "dark" : "light")}}"><head>
        <link rel="stylesheet" href="/tokens.css"><link rel="stylesheet" href="/dashboard.css">
        <link rel="stylesheet" href="/lib/uplot/uPlot.min.css">
        <style>
        .ds-chart { background: {{Surface(query["theme"] == "dark")}}; }
        ds-charts figure { box-sizing: border-box; width: {{query["width"]}}px; }
        </style>
        </head><body>
        <ds-charts run="r" stage="s" series="{{query["series"]}}" x="step"
          smooth="{{query["smooth"]}}" log="{{query["log"]}}" marks='{{query["marks"]}}'></ds-charts>
        <script type="module" src="/js/charts/board.js"></script></body></html>
        """;
}
