using DeepSeekOps.Worker.Data;
using DeepSeekOps.Worker.Model;
using DeepSeekOps.Worker.Parallel;
using TorchSharp;
using static TorchSharp.torch;

namespace DeepSeekOps.Worker.Training.Learning;

public static class Losses
{
    /// <summary>
    /// Mean over the places that are learned. Where there is none it is 0 and has no gradient: libtorch's own mean is 0/0 there.
    /// </summary>
    /// <param name="logits">[batch, seq, vocab]</param>
    /// <param name="labels">[batch, seq], <see cref="ChatTemplate.Ignored"/> where nothing is learned.</param>
    /// <param name="part">What of each sequence the logits are of; labels are of all of it, and so is the number of places that is divided
    /// by: the parts' losses add up to the mean. Null: all.</param>
    public static Tensor CrossEntropy(Tensor logits, Tensor labels, SequencePart? part = null)
    {
        var flat = (part is null ? labels : part.Cut(labels)).reshape(-1);
        var sum = nn.functional.cross_entropy(
            logits.reshape(-1, logits.shape[^1]).to(ScalarType.Float32), flat, ignore_index: ChatTemplate.Ignored,
            reduction: nn.Reduction.Sum);
        return sum / (labels != ChatTemplate.Ignored).sum().clamp(min: 1);
    }

    /// <summary>L_MTP = 1/D · Σ_k CE_k (report eq. 24-25, before lambda): depth k at place i says token i + 1 + k.</summary>
    /// <param name="labels">[batch, seq]: the token after each place.</param>
    /// <param name="segments">[batch, seq]: nothing is predicted from one segment into the next; null: there is but one.</param>
    public static Tensor? MultiToken(ModelOutput output, Tensor labels, Tensor? segments = null) =>
        MultiToken(output.MtpLogits, labels, segments);

    /// <inheritdoc cref="MultiToken(ModelOutput, Tensor, Tensor?)"/>
    /// <param name="part">As of <see cref="CrossEntropy"/>.</param>
    public static Tensor? MultiToken(
        IReadOnlyList<Tensor> mtpLogits, Tensor labels, Tensor? segments = null, SequencePart? part = null)
    {
        Tensor? sum = null;
        for (var k = 1; k <= mtpLogits.Count; k++)
        {
            var logits = mtpLogits[k - 1];
            var within = part?.Shortened(k);
            var length = within?.Length ?? logits.shape[1];
            var further = labels.narrow(1, k, length);
            if (segments is not null)
            {
                further = further.masked_fill(segments.narrow(1, 0, length) != segments.narrow(1, k, length), ChatTemplate.Ignored);
            }
            var term = CrossEntropy(logits, further, within) / mtpLogits.Count;
            sum = sum is null ? term : sum + term;
        }
        return sum;
    }

    /// <summary>log π(token) at each place. logits [batch, seq, vocab], tokens [batch, seq]: [batch, seq].</summary>
    public static Tensor LogProbabilities(Tensor logits, Tensor tokens)
    {
        var wide = logits.to(ScalarType.Float32);
        return wide.gather(-1, tokens.unsqueeze(-1)).squeeze(-1) - wide.logsumexp(-1);
    }

    /// <summary>
    /// GRPO (report eq. 26-28): per token min(r·A, clip(r, 1±ε)·A) − β·(π_ref/π − log(π_ref/π) − 1), averaged within each
    /// output and then over outputs; negated to be minimised.
    /// </summary>
    /// <param name="policy">Log-probabilities now, with gradient [outputs, seq]; <paramref name="old"/> at the rollout.</param>
    /// <param name="advantage">[outputs]</param>
    /// <param name="mask">[outputs, seq], 1 at the output's own tokens.</param>
    public static (Tensor Loss, Tensor Kl) Grpo(
        Tensor policy, Tensor old, Tensor reference, Tensor advantage, Tensor mask, double clip, double beta)
    {
        // What is not said is taken out before the exponentials: an overflow there, times 0, would be NaN.
        var unsaid = mask == 0;
        var ratio = (policy - old).masked_fill(unsaid, 0).exp();
        var a = advantage.unsqueeze(1);
        var gain = minimum(ratio * a, ratio.clamp(1 - clip, 1 + clip) * a);
        var distance = (reference - policy).masked_fill(unsaid, 0);
        var kl = distance.exp() - distance - 1;
        var length = mask.sum(1).clamp(min: 1);
        Tensor PerOutput(Tensor perToken) => ((perToken * mask).sum(1) / length).mean();
        return (-PerOutput(gain - (beta * kl)), PerOutput(kl).detach());
    }

    /// <summary>A = (r − mean) / std within each group; 0 where all outputs of a group are equally good.</summary>
    public static double[] GroupAdvantage(IReadOnlyList<double> rewards, int groupSize)
    {
        var advantage = new double[rewards.Count];
        for (var start = 0; start < rewards.Count; start += groupSize)
        {
            var group = rewards.Skip(start).Take(groupSize).ToList();
            var mean = group.Average();
            var deviation = Math.Sqrt(group.Average(r => (r - mean) * (r - mean)));
            for (var i = 0; i < group.Count && deviation > 0; i++)
            {
                advantage[start + i] = (group[i] - mean) / deviation;
            }
        }
        return advantage;
    }
}
