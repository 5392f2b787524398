using System.Buffers.Binary;
using Bunit;
using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.Dashboard.Pages.RunDetail;
using Grpc.Core;

namespace DeepSeekOps.Dashboard.Tests;

public sealed class ExpertLoadPanelTests : PageTest
{
    public ExpertLoadPanelTests() => Ops.Answer<ListSeriesRequest, ListSeriesReply>("ListSeries", _ => new ListSeriesReply());

    [Fact]
    public void A_stage_that_told_nothing_of_its_experts_has_no_panel()
    {
        var page = Show();
        Ops.Send("WatchExpertLoad", new ExpertLoad());
        Until(() => Ops.Open.GetValueOrDefault("WatchExpertLoad") == 1);
        Assert.Empty(page.FindAll("ds-experts"));
    }

    [Fact]
    public void What_is_told_is_drawn_as_one_element_and_follows_the_stream()
    {
        var page = Show();
        Ops.Send("WatchExpertLoad", Load(1, [0.5f, 1.5f], [0, 2]));
        page.WaitForAssertion(() => Assert.Equal([0.5, 1.5, 0, 2], Decoded(page.Find("ds-experts").GetAttribute("cells"))));
        Assert.Equal("[\"3\",\"mtp 1\"]", page.Find("ds-experts").GetAttribute("names"));
        Assert.Contains("expert 1 of", page.Find(".says").TextContent, StringComparison.Ordinal);
        Ops.Send("WatchExpertLoad", Load(2, [1, 1], [0.75f, 1.25f]));
        page.WaitForAssertion(() => Assert.Equal("2", page.Find("[data-figure=expert-load-step]").TextContent));
        Assert.Equal("[1,2]", page.Find("ds-experts").GetAttribute("steps"));
        Assert.Equal([1.5, 2, 1, 1.25], Decoded(page.Find("ds-experts").GetAttribute("busiest")));
        Assert.Equal(["3", "mtp 1"], page.FindAll("tbody tr td:first-child").Select(cell => cell.TextContent));
    }

    [Fact]
    public void A_load_of_a_model_like_V3_adds_no_component_for_each_cell()
    {
        var page = Show();
        float[][] layers = [.. Enumerable.Range(0, 59).Select(_ => Enumerable.Repeat(1f, 256).ToArray())];
        Ops.Send("WatchExpertLoad", Load(1, layers));
        page.WaitForAssertion(() => Assert.Equal(59 * 256, Decoded(page.Find("ds-experts").GetAttribute("cells")).Length));
        Assert.InRange(page.FindAll("*").Count, 1, 59 * 6 + 50);
    }

    [Fact]
    public void A_stream_that_breaks_leaves_the_picture_as_it_was()
    {
        var page = Show();
        Ops.Send("WatchExpertLoad", Load(1, [0.5f, 1.5f]));
        page.WaitForElement("ds-experts");
        Ops.Break("WatchExpertLoad", StatusCode.Unavailable, "the control plane is gone");
        Ops.Send("WatchExpertLoad", Load(2, [1, 1]));
        page.WaitForAssertion(() => Assert.Equal("2", page.Find("[data-figure=expert-load-step]").TextContent));
    }

    [Fact]
    public void The_run_page_asks_for_stages_that_balance_experts_only()
    {
        var page = Render<RunPage>(p => p.Add(r => r.Name, "mini"));
        var run = MiniRun();
        run.Stages.Add(new Stage { Name = "sft", Kind = "sft", State = "waiting" });
        Ops.Send("WatchRun", run);
        Ops.Send("WatchExpertLoad", Load(1, [0.5f, 1.5f]));
        page.WaitForElement("ds-experts");
        Navigation.NavigateTo("/runs/mini?stage=extend");
        // Only when the other has ended is it the new stage's watch that hears it.
        Until(() => AskedFor().Count() == 2 && Ops.Open["WatchExpertLoad"] == 1);
        Ops.Send("WatchExpertLoad", Load(7, [1, 1]));
        page.WaitForAssertion(() => Assert.Equal("7", page.Find("[data-figure=expert-load-step]").TextContent));
        Navigation.NavigateTo("/runs/mini?stage=sft");
        page.WaitForAssertion(() => Assert.Empty(page.FindAll("ds-experts")));
        Assert.Equal(["pretrain", "extend"], AskedFor());
    }

    private IEnumerable<string> AskedFor() => Ops.Calls.Select(c => c.Request).OfType<GetExpertLoadRequest>().Select(r => r.Stage);

    private IRenderedComponent<ExpertLoadPanel> Show() =>
        Render<ExpertLoadPanel>(p => p.Add(r => r.Run, "mini").Add(r => r.Stage, "pretrain"));

    /// <summary>
    /// Told at each step up to this one; the first step's busiest are those of
    /// <see cref="What_is_told_is_drawn_as_one_element_and_follows_the_stream"/>.
    /// </summary>
    private static ExpertLoad Load(long step, params float[][] layers)
    {
        var report = new ExpertLoadReport { Step = step, Attempt = 1, At = Noon };
        report.Layers.AddRange(layers.Select((ratios, row) => new LayerLoad
        {
            Name = row == layers.Length - 1 ? "mtp 1" : $"{row + 3}", Busiest = ratios.Max(),
            BusiestExpert = Array.IndexOf(ratios, ratios.Max()),
            Idlest = ratios.Min(), Ratios = { ratios },
        }));
        var load = new ExpertLoad { Stage = "pretrain", Experts = layers[0].Length, First = report, Newest = report };
        if (step > 1)
        {
            load.Points.Add(new ExpertLoadPoint { Step = 1, Attempt = 1, Busiest = { 1.5f, 2 } });
        }
        load.Points.Add(new ExpertLoadPoint { Step = step, Attempt = 1, Busiest = { layers.Select(ratios => ratios.Max()) } });
        return load;
    }

    private static double[] Decoded(string? text)
    {
        byte[] bytes = Convert.FromBase64String(text ?? "");
        return [.. Enumerable.Range(0, bytes.Length / 2).Select(i => BinaryPrimitives.ReadUInt16LittleEndian(bytes.AsSpan(2 * i)) / 256.0)];
    }
}
