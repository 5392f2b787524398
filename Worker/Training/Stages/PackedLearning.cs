using DeepSeekOps.Contracts.Worker.V1;
using DeepSeekOps.Worker.Data;
using DeepSeekOps.Worker.Model;
using DeepSeekOps.Worker.Parallel;
using DeepSeekOps.Worker.Training.Learning;
using TorchSharp;
using static TorchSharp.torch;

namespace DeepSeekOps.Worker.Training.Stages;

/// <summary>The values of one pretraining step (report section 4.2).</summary>
public sealed record Recipe(double LearningRate, double Gamma, double Alpha, double Lambda);

/// <summary>One step over packed documents: next-token loss, lambda × multi-token loss, alpha × sequence-wise balance, then the experts' bias.</summary>
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
    public StepResult Step(long step, bool last, string phase, int batch, int micro, int sequenceLength, Recipe recipe)
    {
        var first = Documents.Cursor.Document;
        var own = context.Rank.ShareOf(batch).Count;
        var rows = Documents.Next(batch, sequenceLength, context.Rank.ShareOf(batch));
        _read = (first, Documents.Cursor.Document);
        var width = sequenceLength + 1;
        micro = micro <= 0 ? own : Math.Min(micro, own);
        var totals = new List<Tensor>();
        var sums = new Sums(learner.Model.Shape.RoutedLayers, context.Device);
        for (var start = 0; start < own; start += micro)
        {
            using var scope = NewDisposeScope();
            var count = Math.Min(micro, own - start);
            var ids = context.Tensor(rows[(start * width)..((start + count) * width)], count);
            var labels = ids.narrow(1, 1, sequenceLength);
            var output = learner.Model.Forward(ids.narrow(1, 0, sequenceLength));
            var share = (double)count / batch;
            var loss = Losses.CrossEntropy(output.Logits, labels);
            var total = loss;
            var multiToken = Losses.MultiToken(output, labels);
            if (multiToken is not null)
            {
                total = total + (recipe.Lambda * multiToken);
            }
            if (output.BalanceLoss is { } balance)
            {
                total = total + (recipe.Alpha * balance);
            }
            learner.Backward(total * share);
            sums.Add(share, loss, multiToken, output.BalanceLoss, output.ExpertLoads);
            if (micro < own)
            {
                totals.Add(total.detach().MoveToOuterDisposeScope());
            }
        }
        var norm = learner.Update(recipe.LearningRate);
        sums.Reduce(context.Mesh.Data);
        learner.Balance(sums.Loads, recipe.Gamma);
        var tells = !_loadTold || last || step % LoadEvery == 0;
        _loadTold = true;
        var (extra, load) = sums.ToHost(learner.Model.Shape, tells);
        return new StepResult(phase, sums.Loss, norm, recipe.LearningRate, (long)batch * sequenceLength, extra) { ExpertLoad = load, MicroBatches = totals };
    }

    /// <summary>What micro-batches add up to, in tensors of the step's scope.</summary>
    private sealed class Sums(int layers, Device device)
    {
        private readonly Tensor _multiToken = zeros([], device: device);
        private readonly Tensor _balance = zeros([], device: device);

        public Tensor Loss { get; } = zeros([], device: device);

        public Tensor[] Loads { get; } = new Tensor[layers];

        public void Add(double share, Tensor loss, Tensor? multiToken, Tensor? balance, IReadOnlyList<Tensor> loads)
        {
            using var untracked = no_grad();
            Loss.add_(loss.detach(), alpha: share);
            _multiToken.add_((multiToken ?? _multiToken).detach(), alpha: multiToken is null ? 0 : share);
            _balance.add_((balance ?? _balance).detach(), alpha: balance is null ? 0 : share);
            for (var layer = 0; layer < layers; layer++)
            {
                Loads[layer] = (Loads[layer] is { } before ? before + loads[layer] : loads[layer].clone()).MoveToOuterDisposeScope();
            }
        }

        /// <summary>What the ranks of all rows add up to: each has weighed its own by its share of the batch.</summary>
        public void Reduce(IProcessGroup data)
        {
            using var untracked = no_grad();
            data.AllReduce([Loss, _multiToken, _balance, .. Loads]);
        }

        public (Dictionary<string, double> Extra, ExpertLoadReport? Load) ToHost(ModelShape shape, bool tells)
        {
            var extra = new Dictionary<string, double>
            {
                ["mtp_loss"] = _multiToken.ToDouble(), ["balance_loss"] = _balance.ToDouble(),
            };
            if (Loads.Length == 0)
            {
                return (extra, null);
            }
            // Tokens of each expert over the layer's mean: 1 is perfect balance. [layers, experts], of which most steps take the busiest only.
            var ratios = stack(Loads);
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
