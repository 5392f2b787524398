using DeepSeekOps.Recipes.Pipelining;
using DeepSeekOps.Worker.Data;
using DeepSeekOps.Worker.Model;
using DeepSeekOps.Worker.Training.Learning;
using TorchSharp;
using static TorchSharp.torch;

namespace DeepSeekOps.Worker.Training.Stages;

/// <summary>
/// What a model gives to a batch of questions and answers. The MTP modules learn on, at lambda: the model moves away from under modules
/// that do not, and their guesses in sampling are then no longer kept.
/// </summary>
/// <param name="Tokens">[rows, length] int64, as <paramref name="Labels"/> and <paramref name="Segments"/>.</param>
/// <param name="Logits">[rows, length, vocab]</param>
/// <param name="Loss">Of the next token, over the learned places.</param>
/// <param name="MultiToken">L_MTP over the same places; null where the model has no module or lambda is 0.</param>
/// <param name="Total">Loss + lambda × MultiToken.</param>
internal sealed record Answers(Tensor Tokens, Tensor Labels, Tensor Segments, Tensor Logits, Tensor Loss, Tensor? MultiToken, Tensor Total)
{
    public static Answers Read(DeepSeekModel model, InstanceBatch batch, double lambda, StageContext context) =>
        context.Mesh.Trace.Of(SpanKinds.Forward, "rows of this rank", () => Pass(model, batch, lambda, context));

    private static Answers Pass(DeepSeekModel model, InstanceBatch batch, double lambda, StageContext context)
    {
        var (tokens, labels) = (context.Tensor(batch.Tokens, batch.Rows), context.Tensor(batch.Labels, batch.Rows));
        var segments = context.Tensor(batch.Segments, batch.Rows);
        var output = model.Forward(tokens, segments, training: false, mtp: lambda > 0);
        var loss = Losses.CrossEntropy(output.Logits, labels);
        var multiToken = Losses.MultiToken(output, labels, segments);
        var total = multiToken is null ? loss : loss + (lambda * multiToken);
        return new Answers(tokens, labels, segments, output.Logits, loss, multiToken, total);
    }

    /// <summary>
    /// What a step tells of them: the loss of the whole batch, and beside <paramref name="extra"/> what the MTP modules lost.
    /// </summary>
    public StepResult ToResult(AnswerBatch batch, string phase, Tensor norm, double rate, Dictionary<string, double> extra)
    {
        var means = MultiToken is null ? batch.Means(Loss) : batch.Means(Loss, MultiToken);
        if (MultiToken is not null)
        {
            extra["mtp_loss"] = means[1].ToDouble();
        }
        return new StepResult(phase, means[0], norm, rate, batch.Tokens, extra);
    }
}
