using DeepSeekOps.Contracts.Worker.V1;
using DeepSeekOps.Recipes.Pipelining;
using DeepSeekOps.Worker.Data;
using DeepSeekOps.Worker.Model;
using DeepSeekOps.Worker.Parallel;
using DeepSeekOps.Worker.Training.Learning;
using TorchSharp;
using static TorchSharp.torch;

namespace DeepSeekOps.Worker.Training.Stages;

/// <summary>The values of one pretraining step (report section 4.2).</summary>
public sealed record Recipe(double LearningRate, double Gamma, double Alpha, double Lambda);

/// <summary>
/// One step over packed documents: next-token loss, lambda × multi-token loss, alpha × sequence-wise balance, then the experts' bias.
/// </summary>
public sealed class PackedLearning(StageContext context, Learner learner)
{
    public PackedDocuments Documents { get; } = new(context.Data, context.Tokenizer, context.Plan.Seed, context.Plan.Data.FimRate);

    /// <summary>
    /// A step in five tells the load of every expert: V3's 59 rows of 256 are 60 kB, each 100 s or so; of the miniature's 600 steps 120 do.
    /// </summary>
    private const int LoadEvery = 5;

    private bool _loadTold;
    private (long First, long Last) _read = (0, -1);

    public IEnumerable<string> LastBatch
    {
        get
        {
            for (var document = _read.First; document <= _read.Last; document++)
            {
                yield return context.Data.DocumentPlace(document);
            }
        }
    }

    /// <param name="step">Counts from 1 over the stage.</param>
    /// <param name="last">Of the stage.</param>
    /// <param name="micro">Sequences of a forward pass, where the layout says nothing of them; 0: nothing was said.</param>
    /// <param name="sharing">Ranks that share one sequence.</param>
    public StepResult Step(
        long step, bool last, string phase, int batch, int micro, int sequenceLength, Recipe recipe, int sharing = 1)
    {
        RequireEvenRows(batch, sharing);
        var part = SequencePart.Of(context.Mesh, sharing, sequenceLength, learner.Model.Shape.MtpDepth);
        var first = Documents.Cursor.Document;
        var share = context.Rank.ShareOf(batch, sharing);
        var own = share.Count;
        var rows = Documents.Next(batch, sequenceLength, share);
        _read = (first, Documents.Cursor.Document);
        var width = sequenceLength + 1;
        micro = PipelineSchedules.RowsAtOnce(learner.Model.Part.Schedule, context.Mesh.Pipeline.Ranks, own,
            context.Plan.Layout?.MicroBatch is > 0 and var said ? said : micro);
        List<Tensor> labels = [];
        List<MicroBatch> batches = [];
        for (var start = 0; start < own; start += micro)
        {
            var count = Math.Min(micro, own - start);
            var ids = context.Documents(rows[(start * width)..((start + count) * width)], count);
            batches.Add(new MicroBatch(ids.narrow(1, 0, sequenceLength), Part: part));
            labels.Add(ids.narrow(1, 1, sequenceLength));
        }
        var sums = new Sums(learner.Model, context.Device);
        var totals = new Tensor?[batches.Count];
        var pass = new PipelinePass(
            learner.Model, context.Mesh.Pipeline, learner.Backward, learner.Backward, context.Mesh.Trace, learner.Completing);
        pass.Run(batches, training: true, (number, output) =>
        {
            var weight = (double)labels[number].shape[0] / batch;
            var (loss, multiToken) = output.Logits is null ? (null, null)
                : (Losses.CrossEntropy(output.Logits, labels[number], part),
                    Losses.MultiToken(output.MtpLogits, labels[number], part: part));
            sums.Add(weight, loss, multiToken, output);
            var total = Sum(Sum(loss, multiToken, recipe.Lambda), output.BalanceLoss, recipe.Alpha);
            if (micro < own && total is not null)
            {
                var sum = total.detach();
                totals[number] = (totals[number] is { } before ? before + sum : sum).MoveToOuterDisposeScope();
            }
            return total is null ? null : total * weight;
        });
        // Before the update: what that gives to others goes by the same connections, and whoever waits for the loss would wait for it too.
        sums.Reduce(context.Mesh);
        var norm = learner.Update(recipe.LearningRate);
        learner.Balance(sums.Loads, recipe.Gamma);
        var tells = !_loadTold || last || step % LoadEvery == 0;
        _loadTold = true;
        var (extra, load) = sums.ToHost(context.Mesh.Pipeline, tells);
        return new StepResult(phase, sums.Loss, norm, recipe.LearningRate, (long)batch * sequenceLength, extra)
        {
            ExpertLoad = load,
            MicroBatches = [.. totals.OfType<Tensor>()],
        };
    }

    /// <summary>Ranks that share experts meet in each layer of each micro-batch: all must have as many.</summary>
    /// <exception cref="InvalidDataException">They would not.</exception>
    private void RequireEvenRows(int batch, int sharing)
    {
        var layout = context.Rank.Layout;
        var dealt = layout.Data / sharing;
        if (batch % dealt != 0 && layout.Expert > 1)
        {
            throw new InvalidDataException(
                $"A batch of {batch} sequences cannot be dealt evenly to {dealt} ranks of which {layout.Expert} share experts: "
                + $"set batchSize to a multiple of {dealt}.");
        }
    }

    private static Tensor? Sum(Tensor? sum, Tensor? more, double weight) =>
        more is null ? sum : sum is null ? weight * more : sum + (weight * more);

    /// <summary>What micro-batches add up to, in tensors of the step's scope.</summary>
    private sealed class Sums(DeepSeekModel model, Device device)
    {
        private readonly Tensor _multiToken = zeros([], device: device);
        private readonly Tensor _balance = zeros([], device: device);

        public Tensor Loss { get; } = zeros([], device: device);

        /// <summary>Of the layers that lie here.</summary>
        public Tensor[] Loads { get; } = new Tensor[model.Part.Blocks(model.Shape).Count(model.Shape.IsMoe)];

        public void Add(double share, Tensor? loss, Tensor? multiToken, PartOutput output)
        {
            using var untracked = no_grad();
            foreach (var (sum, term) in new[] { (Loss, loss), (_multiToken, multiToken), (_balance, output.BalanceLoss) })
            {
                if (term is not null)
                {
                    sum.add_(term.detach(), alpha: share);
                }
            }
            int[] here = [.. model.Part.Blocks(model.Shape).Where(model.Shape.IsMoe)];
            foreach (var (block, load) in output.Run.Blocks(model.Shape).Where(model.Shape.IsMoe).Zip(output.ExpertLoads))
            {
                var layer = Array.IndexOf(here, block);
                Loads[layer] = Loads[layer] is { } before ? before.add_(load) : load.clone().MoveToOuterDisposeScope();
            }
        }

        /// <summary>
        /// What the ranks of all rows add up to: each has weighed its own by its share of the batch. Only those with the head know the
        /// losses, and each the balance of its own layers: a pipeline tells its ranks.
        /// </summary>
        public void Reduce(Mesh mesh)
        {
            using var untracked = no_grad();
            mesh.Data.AllReduce([Loss, _multiToken, _balance, .. Loads]);
            mesh.Pipeline.AllReduce([Loss, _multiToken, _balance]);
            if (PipelineRoute.IsMirrored(model.Part.Schedule))
            {
                // Each of the two took half of the rows through these layers.
                mesh.Mirror!.AllReduce(Loads);
            }
        }

        public (Dictionary<string, double> Extra, ExpertLoadReport? Load) ToHost(IProcessGroup pipeline, bool tells)
        {
            var extra = new Dictionary<string, double>
            {
                ["mtp_loss"] = _multiToken.ToDouble(), ["balance_loss"] = _balance.ToDouble(),
            };
            var shape = model.Shape;
            if (shape.RoutedLayers == 0)
            {
                return (extra, null);
            }
            // Tokens of each expert over the layer's mean: 1 is perfect balance. [layers, experts], of which most steps take the busiest
            // only.
            var ratios = model.OfAllLayers(Loads, pipeline);
            ratios = ratios / ratios.mean([1], keepdim: true).clamp(min: 1e-9);
            var told = (tells ? ratios : ratios.amax([1])).cpu().data<float>().ToArray();
            var busiest = tells ? told.Chunk(shape.RoutedExperts).Select(layer => layer.Max()).ToArray() : told;
            // Of the worst layer, and on average over layers.
            (extra["expert_load_max"], extra["expert_load_mean"]) = (busiest.Max(), busiest.Average(r => (double)r));
            return (extra, tells ? new ExpertLoadReport
            {
                FirstLayer = shape.DenseLayers, MtpBlocks = shape.MtpDepth, Experts = shape.RoutedExperts, Ratios = { told },
            } : null);
        }
    }
}
