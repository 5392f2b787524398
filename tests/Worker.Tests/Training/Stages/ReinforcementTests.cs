using DeepSeekOps.Contracts.Worker.V1;
using DeepSeekOps.Worker.Agent;
using DeepSeekOps.Worker.Data;
using DeepSeekOps.Worker.Model;
using DeepSeekOps.Worker.Sampling;
using DeepSeekOps.Worker.Tests.Agent;
using DeepSeekOps.Worker.Training.Stages;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace DeepSeekOps.Worker.Tests.Training.Stages;

[Collection(RandomNumbers.OneStream)]
public sealed class ReinforcementTests : IDisposable
{
    private readonly MiniPlans _mini = new();

    public void Dispose() => _mini.Dispose();

    [Theory]
    [InlineData(1.0, false)]
    [InlineData(0.7, true)]
    public void The_probability_a_token_was_drawn_with_is_the_one_that_is_trained(double temperature, bool yarn)
    {
        using var scope = NewDisposeScope();
        using var link = new RecordingRankLink();
        var context = MiniPlans.Context(_mini.Plan("rl"), link);
        using var model = new DeepSeekModel(
            ModelShapes.Presets["mini"] with { InitStd = 0.1, Yarn = yarn ? new YarnScaling(4, 128) : null }, CPU);
        model.Initialise(3);
        random.manual_seed(5);
        var prompts = new[] { "1+1=?", "Ada has 3 pens and gets 4. How many now?", "7-2=?" }
            .Select(q => ChatTemplate.Prompt(q, context.Tokenizer)).ToList();
        var outputs = Sampler.Generate(model, prompts, maxNewTokens: 16, temperature, context.Tokenizer.Special, () => { });
        using var untracked = no_grad();
        var trained = RolloutRows.Lay(outputs, context).LogProbabilities(model, 0, outputs.Count, temperature);
        var drawn = Drawn(model, outputs, temperature, context.Tokenizer.Special.Pad);
        for (var row = 0; row < outputs.Count; row++)
        {
            var first = outputs[row].Prompt.Length - 1;
            for (var i = 0; i < outputs[row].Ids.Length; i++)
            {
                Assert.Equal(drawn[row][i], trained[row, first + i].ToDouble(), 2e-5);
            }
        }
    }

    [Fact]
    public void A_policy_that_is_right_half_of_the_time_learns_which_half()
    {
        // Fine-tuning shows each question with two answers, so that the policy knows both; reinforcement is told that one is right.
        var rl = _mini.Plan("rl", every: 1000);
        rl.BeginFrom = _mini.Tuned("a", "b");
        rl.Data = new DataConfig { Source = _mini.Questions("a"), Tokenizer = "byte", Heldout = 0 };
        (rl.Rl.Steps, rl.Rl.Questions, rl.Rl.GroupSize, rl.Rl.MiniBatch, rl.Rl.ReferenceEvery) = (30, 10, 8, 0, 0);
        rl.Rl.LearningRate.Pieces[0].To = 3e-3;
        using var reinforced = MiniPlans.Train(_mini.Launch(rl, "rl"));

        // 80 rollouts a step: 0.5 ± 0.11 at first, and no luck leads from there to 0.9 five times in a row.
        Assert.InRange(reinforced.Samples[0].Extra["reward"], 0.3, 0.7);
        Assert.All(reinforced.Samples.TakeLast(5), s => Assert.InRange(s.Extra["reward"], 0.9, 1));
        Assert.True(reinforced.Samples[^1].Extra["zero_advantage_groups"] > reinforced.Samples[0].Extra["zero_advantage_groups"]);
    }

    // Each said token's log-probability from the cache, as the sampler saw it.
    private static double[][] Drawn(DeepSeekModel model, List<Output> outputs, double temperature, int pad)
    {
        var width = outputs.Max(o => o.Prompt.Length);
        var steps = outputs.Max(o => o.Ids.Length);
        using var cache = model.NewCache(outputs.Count, width + steps);
        var input =
            tensor(outputs.SelectMany(o => Enumerable.Repeat((long)pad, width - o.Prompt.Length).Concat(o.Prompt.Select(t => (long)t)))
                .ToArray())
            .reshape(outputs.Count, width);
        var real = tensor(outputs.SelectMany(o => Enumerable.Range(0, width).Select(i => i >= width - o.Prompt.Length)).ToArray())
            .reshape(outputs.Count, width);
        var drawn = outputs.ConvertAll(_ => new List<double>());
        for (var i = 0; i < steps; i++)
        {
            var logs = (model.Decode(input, cache, real) / temperature).log_softmax(-1);
            var next = outputs.Select(o => (long)(i < o.Ids.Length ? o.Ids[i] : pad)).ToArray();
            for (var row = 0; row < outputs.Count; row++)
            {
                drawn[row].Add(logs[row, next[row]].ToDouble());
            }
            input = tensor(next).reshape(outputs.Count, 1);
            real = cat([real, ones(outputs.Count, 1, ScalarType.Bool)], 1);
        }
        return [.. drawn.Select(d => d.ToArray())];
    }
}
