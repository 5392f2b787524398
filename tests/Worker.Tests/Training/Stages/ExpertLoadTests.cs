using System.Text.Json.Nodes;
using DeepSeekOps.Contracts.Worker.V1;
using DeepSeekOps.Worker.Checkpoints;
using Xunit;

namespace DeepSeekOps.Worker.Tests.Training.Stages;

[Collection(RandomNumbers.OneStream)]
public sealed class ExpertLoadTests : IDisposable
{
    private readonly MiniPlans _mini = new();

    public void Dispose() => _mini.Dispose();

    [Theory]
    [InlineData("pretrain", "noaux_tc")]
    [InlineData("pretrain", "group_limited_greedy")]
    [InlineData("extend", "noaux_tc")]
    public void A_stage_that_balances_experts_tells_the_load_of_each_with_its_first_each_fifth_and_its_last_step(string stage,
        string routing)
    {
        var plan = _mini.Plan(stage);
        plan.Model.TopkMethod = routing;
        using var link = MiniPlans.Train(_mini.Launch(plan, stage));
        Assert.Equal([1L, 5, 10, 15, 20, 24], link.ExpertLoads.Select(l => l.Step));
        Assert.All(link.ExpertLoads, load =>
        {
            Assert.Equal((1, 1, 4, 8), (load.FirstLayer, load.MtpBlocks, load.Experts, load.Ratios.Count));
            Assert.All(load.Ratios.Chunk(4), layer => Assert.Equal(1, layer.Average(), 1e-5));
            Assert.NotNull(load.At);
        });
    }

    [Fact]
    public void What_is_told_is_what_the_model_did_in_that_step()
    {
        using var link = MiniPlans.Train(_mini.Launch(_mini.Plan("pretrain"), "pretrain"));
        var told = link.ExpertLoads.Single(l => l.Step == 20);
        // The checkpoint of the step counts on another way.
        string file = Path.Combine(_mini.Root, link.Checkpoints.Single(c => c.Step == 20).Path, ExpertLoadsJson.FileName);
        var counted = JsonNode.Parse(File.ReadAllText(file))!["loads"]!.AsArray()
            .Select(layer => layer!.AsArray().Select(n => (float)n!).ToArray());
        Assert.Equal(counted.SelectMany(layer => layer.Select(n => n / layer.Average())), told.Ratios, (a, b) => Math.Abs(a - b) < 1e-5);
        Assert.Equal(link.Samples.Single(s => s.Step == 20).Extra["expert_load_max"], told.Ratios.Max(), 1e-6);
    }

    [Fact]
    public void Stages_that_do_not_balance_experts_tell_no_load()
    {
        using var link = MiniPlans.Train(_mini.Launch(_mini.Plan("sft"), "sft"));
        Assert.Empty(link.ExpertLoads);
    }

    [Fact]
    public void A_resumed_rank_tells_its_first_step_and_then_the_same_as_a_rank_that_was_never_broken_off()
    {
        var plan = _mini.Plan("pretrain");
        using var whole = MiniPlans.Train(_mini.Launch(plan, "pretrain", run: "whole"));
        using var first = MiniPlans.Train(_mini.Launch(plan, "pretrain"), (link, report) =>
        {
            if (report.Sample is { Step: 6 })
            {
                link.OrderStop("a test ends the first attempt", save: true);
            }
        });
        using var second = MiniPlans.Train(_mini.Launch(plan, "pretrain", attempt: 2, from: first.Checkpoints[^1]));
        Assert.Equal([7L, 10, 15, 20, 24], second.ExpertLoads.Select(l => l.Step));
        Assert.Equal(Ratios(whole.ExpertLoads.Skip(2)), Ratios(second.ExpertLoads.Skip(1)));
    }

    private static IEnumerable<string> Ratios(IEnumerable<ExpertLoadReport> loads) =>
        loads.Select(l => $"{l.Step}: {string.Join(' ', l.Ratios)}");
}
