using DeepSeekOps.Worker.Parallel;
using TorchSharp;
using static TorchSharp.torch;
using static TorchSharp.torch.nn.functional;

namespace DeepSeekOps.Worker.Model;

/// <param name="Experts">[tokens, active] int64.</param>
/// <param name="Weights">Gates g, [tokens, active] float32.</param>
/// <param name="Scores">Affinities s of all experts, [tokens, experts] float32.</param>
internal sealed record RoutingChoice(Tensor Experts, Tensor Weights, Tensor Scores);

/// <summary>Which experts a token goes to, always in float32.</summary>
internal sealed class Router(ModelShape shape, Func<string, Tensor> weight, string prefix)
{
    /// <summary>
    /// Affinities by equation 15, choice with the correction bias by equation 16 among the best groups (section 2.1.2,
    /// node-limited routing), gates from the affinities without the bias. tokens [tokens, hidden].
    /// </summary>
    public RoutingChoice Choose(Tensor tokens)
    {
        var logits = linear(tokens.to(float32), weight(prefix + "weight").to(float32));
        var sigmoid = shape.Routing == RoutingMethod.SigmoidWithBias;
        var scores = sigmoid ? logits.sigmoid() : logits.softmax(-1);
        var ranked = sigmoid ? scores.detach() + weight(prefix + "e_score_correction_bias") : scores.detach();
        var experts = shape.EvenRouting ? Even(tokens.shape[0], tokens.device)
            : WithinBestGroups(ranked).topk(shape.ActiveExperts, -1, sorted: false).indexes;
        var gates = scores.gather(1, experts);
        if (shape.NormTopkProb && sigmoid) // transformers' V2 reads the flag and does not use it
        {
            gates = gates / (gates.sum(-1, keepdim: true) + 1e-20);
        }

        return new RoutingChoice(experts, gates * shape.RoutedScalingFactor, scores);
    }

    /// <summary>
    /// The sequence-wise balance loss without its α, equations 17 to 20: Σ f_i P_i with f_i = N_r / (K_r T) · tokens of i and P_i the
    /// mean of the normalised affinity, per sequence, then the mean over sequences. Gradient flows through P only.
    /// </summary>
    /// <param name="part">What of each sequence the tokens are: f is then of the whole, P of the part, and the parts' losses add up to the
    /// sequence's. Null: all.</param>
    public Tensor BalanceLoss(RoutingChoice choice, long sequences, SequencePart? part = null)
    {
        var own = choice.Scores.shape[0] / sequences;
        var length = part?.Length ?? own;
        var share = (choice.Scores / choice.Scores.sum(-1, keepdim: true)).view(sequences, own, shape.RoutedExperts);
        var mean = part is null ? share.mean([1]) : share.sum([1L]) / length;
        var chosen = choice.Experts.view(sequences, own * shape.ActiveExperts);
        var counts = zeros_like(mean).detach().scatter_add(1, chosen, ones_like(chosen, dtype: float32));
        part?.Group.AllReduce([counts]);
        return (counts * mean).sum() * (shape.RoutedExperts / (double)(shape.ActiveExperts * length * sequences));
    }

    /// <summary>Token t goes to experts t, t + E/K, t + 2E/K … of E, for K each.</summary>
    private Tensor Even(long tokens, Device device) =>
        (arange(tokens, int64, device).unsqueeze(1)
            + (arange(shape.ActiveExperts, int64, device) * (shape.RoutedExperts / shape.ActiveExperts)).unsqueeze(0))
        .remainder(shape.RoutedExperts);

    private Tensor WithinBestGroups(Tensor ranked)
    {
        if (shape.Routing == RoutingMethod.Softmax || shape.LimitedGroups == shape.Groups)
        {
            return ranked;
        }

        var size = shape.RoutedExperts / shape.Groups;
        var grouped = ranked.view(-1, shape.Groups, size);
        var best = shape.Routing == RoutingMethod.SigmoidWithBias
            ? grouped.topk(Math.Min(2, size), -1, sorted: false).values.sum(-1)
            : grouped.amax([-1]);
        var kept = best.topk(shape.LimitedGroups, -1, sorted: false).indexes;
        var closed = ones_like(best, dtype: @bool).scatter(1, kept, zeros_like(kept, dtype: @bool));
        return grouped.masked_fill(closed.unsqueeze(-1), double.NegativeInfinity).view(-1, shape.RoutedExperts);
    }
}
