using DeepSeekOps.Contracts.Worker.V1;
using DeepSeekOps.Recipes.Pipelining;
using DeepSeekOps.Worker.Libtorch;
using DeepSeekOps.Worker.Model;
using DeepSeekOps.Worker.Parallel;
using TorchSharp;
using static TorchSharp.torch;

namespace DeepSeekOps.Worker.Training.Learning;

/// <summary>
/// Whole training steps (forward, loss, backward, clipping, AdamW, balance) of a model on random tokens that repeat, by this rank of its
/// gang.
/// </summary>
public sealed class StepBenchmark(ModelShape shape, RankContext rank, Mesh mesh, TimeProvider clock)
{
    public const string OneGpuName = "one-gpu";

    private const int WarmUpSteps = 3;

    /// <summary>V3 in 2.6 billion parameters, which train on one GPU of 80 GB.</summary>
    public static ModelShape OneGpu { get; } = ModelShapes.Presets["v3"] with
    {
        VocabSize = 32768,
        HiddenSize = 2048,
        Layers = 12,
        DenseLayers = 1,
        IntermediateSize = 5632,
        MoeIntermediateSize = 1024,
        Heads = 16,
        QLoraRank = 768,
        RoutedExperts = 32,
        ActiveExperts = 4,
        Groups = 4,
        LimitedGroups = 2,
        MtpDepth = 0,
    };

    /// <exception cref="CheckpointFormatException">There is no such preset or file.</exception>
    public static ModelShape ShapeOf(BenchWork work)
    {
        var shape = work.Model == OneGpuName ? OneGpu : ModelFolder.ShapeOf(work.Model);
        return shape with { MaxPositionEmbeddings = work.SequenceLength, EvenRouting = work.EvenRouting };
    }

    /// <exception cref="InvalidDataException">The batch cannot be dealt to the gang's ranks.</exception>
    public BenchFigures Measure(BenchWork work)
    {
        var trace = new StepTrace(rank.Device.type == DeviceType.CUDA ? () => cuda.synchronize() : () => { });
        var figures = new StepBenchmark(shape, rank, mesh.Traced(trace), clock).MeasureTraced(work);
        figures.Spans.AddRange(trace.Spans.Select(
            s => new TraceSpan { Kind = s.Kind, Name = s.Name, BeganNanoseconds = s.Began, EndedNanoseconds = s.Ended }));
        return figures;
    }

    private BenchFigures MeasureTraced(BenchWork work)
    {
        var optimizer = new Optimizer
        {
            Beta1 = 0.9,
            Beta2 = 0.95,
            Epsilon = 1e-8,
            WeightDecay = 0.1,
            GradClip = 1,
            Bf16Moments = work.Bf16Moments,
        };
        using var outer = NewDisposeScope();
        using var learner = new Learner(shape, optimizer, seed: 1, emaDecay: 0, rank.Device, work.Precision, mesh,
            whole => ModelPart.At(whole, rank.Layout, rank.Place), rank.Layout.DealsMoments, FirstWeights.DrawnInPlace);
        RandomStreams.Begin(1);
        var ids = randint(0, shape.VocabSize, [work.Batch, work.SequenceLength + 1], int64);
        var (first, own) = RequireEven(work);
        var micro = PipelineSchedules.RowsAtOnce(
            rank.Layout.Schedule, rank.Layout.Pipeline, own, work.MicroBatch > 0 ? work.MicroBatch : own);
        Tensor[] rows = [.. Enumerable.Range(0, own / micro).Select(i => ids.narrow(0, first + (i * micro), micro).to(rank.Device))];
        var figures = new BenchFigures();
        // What is traced is no step that is timed.
        for (var step = -WarmUpSteps; step < work.Steps + work.TraceSteps; step++)
        {
            if (step is 0 || step == work.Steps)
            {
                // Between the others nobody waits but for the loss: what goes on under the next step is to.
                mesh.World.Barrier();
            }
            if (step == work.Steps)
            {
                mesh.Trace.Begin();
            }
            var began = clock.GetTimestamp();
            var loss = mesh.Trace.Of("step", $"step {step + 1}", () => Step(learner, rows, work.Batch, figures));
            if (step >= 0 && step < work.Steps)
            {
                figures.StepSeconds.Add(clock.GetElapsedTime(began).TotalSeconds);
            }
            figures.Losses.Add(loss);
        }
        return figures;
    }

    /// <summary>
    /// 6 per active weight of a product, and causal attention at half its square; recomputation and MTP count as nothing.
    /// </summary>
    public static double FlopsPerToken(ModelShape shape, int sequenceLength)
    {
        double hidden = shape.HiddenSize, heads = shape.Heads;
        var queries = shape.QLoraRank == 0
            ? hidden * heads * shape.QkHeadDim
            : (hidden * shape.QLoraRank) + (shape.QLoraRank * heads * shape.QkHeadDim);
        var attention = queries + (hidden * (shape.KvLoraRank + shape.QkRopeHeadDim))
            + (shape.KvLoraRank * heads * (shape.QkNopeHeadDim + shape.VHeadDim)) + (heads * shape.VHeadDim * hidden)
            + (heads * (shape.QkHeadDim + shape.VHeadDim) * sequenceLength / 2);
        var moe = (3 * hidden * shape.MoeIntermediateSize * (shape.ActiveExperts + shape.SharedExperts)) + (hidden * shape.RoutedExperts);
        return 6 * ((shape.Layers * attention) + (shape.DenseLayers * 3 * hidden * shape.IntermediateSize)
            + ((shape.Layers - shape.DenseLayers) * moe) + (hidden * shape.VocabSize));
    }

    private (int First, int Own) RequireEven(BenchWork work)
    {
        var (first, own) = rank.ShareOf(work.Batch, rank.Layout.Context);
        var (micro, sharing) = (Math.Max(1, work.MicroBatch), rank.Layout.Data / rank.Layout.Context);
        return work.Batch % sharing == 0 && own % micro == 0 ? (first, own)
            : throw new InvalidDataException(
                $"A batch of {work.Batch} sequences cannot be dealt evenly to {sharing} ranks that take {micro} at once: use a "
                + $"multiple of {sharing * micro}.");
    }

    private double Step(Learner learner, Tensor[] rows, int batch, BenchFigures figures)
    {
        using var scope = NewDisposeScope();
        var length = rows[0].shape[1] - 1;
        var sum = zeros([], device: rank.Device);
        var loads = new Dictionary<(int Piece, int Layer), Tensor>();
        var part = SequencePart.Of(mesh, rank.Layout.Context, length, shape.MtpDepth);
        MicroBatch[] batches = [.. rows.Select(r => new MicroBatch(r.narrow(1, 0, length), Part: part))];
        var pass = new PipelinePass(learner.Model, mesh.Pipeline, learner.Backward, learner.Backward, mesh.Trace, learner.Completing);
        pass.Run(batches, training: true, (number, output) =>
        {
            for (var layer = 0; layer < output.ExpertLoads.Count; layer++)
            {
                var load = output.ExpertLoads[layer].detach();
                var place = (output.Run.Piece, layer);
                loads[place] = loads.TryGetValue(place, out var before) ? before.add_(load) : load.clone().MoveToOuterDisposeScope();
            }
            var share = (double)rows[number].shape[0] / batch;
            var total = output.BalanceLoss is { } balance ? 1e-4 * balance : null;
            if (output.Logits is { } logits)
            {
                var labels = rows[number].narrow(1, 1, length);
                var loss = Losses.CrossEntropy(logits, labels, part);
                sum.add_(loss.detach(), alpha: share);
                total = total is null ? loss : total + loss;
                if (Losses.MultiToken(output.MtpLogits, labels, part: part) is { } multiToken)
                {
                    total = total + (0.3 * multiToken);
                }
            }
            return total is null ? null : total * share;
        });
        Tensor[] ordered = [.. loads.OrderBy(l => l.Key).Select(l => l.Value)];
        mesh.Data.AllReduce([sum, .. ordered]);
        mesh.Pipeline.AllReduce([sum]);
        if (PipelineRoute.IsMirrored(rank.Layout.Schedule))
        {
            mesh.Mirror!.AllReduce(ordered);
        }
        learner.Update(1e-4);
        learner.Balance(ordered, 0.001);
        figures.ExpertLoadMax = ordered.Length == 0 ? 1 : ordered.Max(l => (l.max() / l.mean()).ToDouble());
        return sum.ToDouble(); // waits for the device
    }
}
