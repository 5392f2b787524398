using DeepSeekOps.Worker.Model;
using DeepSeekOps.Worker.Sampling;
using DeepSeekOps.Worker.Training.Learning;
using TorchSharp;
using static TorchSharp.torch;

namespace DeepSeekOps.Worker.Training.Stages;

/// <summary>Prompts with their outputs, side by side, padded on the right: what a model gives each said token as log-probability.</summary>
public sealed record RolloutRows(Tensor Inputs, Tensor Targets, Tensor Segments, Tensor Said)
{
    public int Count => (int)Inputs.shape[0];

    /// <summary>All of a step's outputs, on each rank: which rows it computes is said with them.</summary>
    public static RolloutRows Lay(IReadOnlyList<Output> outputs, StageContext context)
    {
        var width = outputs.Max(o => o.Prompt.Length + o.Ids.Length) - 1;
        var cells = outputs.Count * width;
        var (inputs, targets, segments, said) = (new long[cells], new long[cells], new long[cells], new float[cells]);
        Array.Fill(inputs, context.Tokenizer.Special.Pad);
        for (var row = 0; row < outputs.Count; row++)
        {
            int[] ids = [.. outputs[row].Prompt, .. outputs[row].Ids];
            for (var i = 0; i < ids.Length - 1; i++)
            {
                var at = (row * width) + i;
                (inputs[at], targets[at], segments[at]) = (ids[i], ids[i + 1], 1);
                said[at] = i + 1 >= outputs[row].Prompt.Length ? 1 : 0;
            }
        }
        var mask = tensor(said).reshape(outputs.Count, width).to(context.Device);
        return new RolloutRows(context.Tensor(inputs, outputs.Count), context.Tensor(targets, outputs.Count),
            context.Tensor(segments, outputs.Count), mask);
    }

    /// <param name="temperature">Of the sampling: the policy is what was drawn from. 0 counts as 1.</param>
    /// <returns>[count, seq], for the rows from <paramref name="start"/>.</returns>
    public Tensor LogProbabilities(DeepSeekModel model, int start, int count, double temperature)
    {
        var logits = model.Forward(Inputs.narrow(0, start, count), Segments.narrow(0, start, count), training: false).Logits;
        return Losses.LogProbabilities(logits.to(ScalarType.Float32) / (temperature > 0 ? temperature : 1),
            Targets.narrow(0, start, count));
    }
}
