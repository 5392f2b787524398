using DeepSeekOps.Contracts.Worker.V1;
using DeepSeekOps.Recipes.Pipelining;
using DeepSeekOps.Worker.Data;
using DeepSeekOps.Worker.Libtorch;
using DeepSeekOps.Worker.Model;
using DeepSeekOps.Worker.Parallel;
using TorchSharp;
using static TorchSharp.torch;

namespace DeepSeekOps.Worker.Training.Learning;

/// <summary>
/// <see cref="ReferenceCheck"/> by a gang: each rank has its part of the model and its rows, and what they compute together by the very
/// code that trains is held against the same numbers.
/// </summary>
public sealed class GangCheck : IDisposable
{
    private readonly RankContext _rank;
    private readonly Mesh _mesh;
    private readonly ReferenceNumbers _reference;
    private readonly DeepSeekModel _model;
    private readonly AdamW _optimizer;

    /// <exception cref="InvalidDataException">The model or the rows cannot be shared by the gang.</exception>
    public GangCheck(string folder, RankContext rank, Mesh mesh)
    {
        (_rank, _mesh) = (rank, mesh);
        _reference = ReferenceNumbers.Open(folder);
        _model = ModelFolder.Load(
            folder, rank.Device, _reference.Positions, _reference.WithMtp, part: shape => ModelPart.At(shape, rank.Layout, rank.Place),
            experts: mesh.ExpertRanks);
        _reference.Check(_model.Shape);
        var adamw = _reference.Expected.Adamw;
        _optimizer = new AdamW(
            [.. _model.Trained],
            new Optimizer
            {
                Beta1 = adamw.Betas[0],
                Beta2 = adamw.Betas[1],
                Epsilon = adamw.Eps,
                WeightDecay = adamw.WeightDecay,
                GradClip = adamw.Clip,
            },
            _model.HoldsWithMirror);
    }

    /// <summary>Said before any rank is started.</summary>
    /// <exception cref="InvalidDataException">The model or the rows cannot be shared so.</exception>
    public static void Require(string folder, GangLayout layout)
    {
        LibtorchLoading.Require();
        using var scope = NewDisposeScope();
        using var reference = ReferenceNumbers.Open(folder);
        _ = ModelPart.At(ConfigJson.Read(Path.Combine(folder, ConfigJson.FileName)), layout, layout.Of(0));
        SequencePart.Require(layout.Context, reference.Tokens.shape[1], mtpDepth: 0);
        SequencePart.Require(layout.Context, reference.Batches.shape[2], mtpDepth: 0);
        RequireRows(reference.Tokens, layout);
        RequireRows(reference.Batches[0], layout);
    }

    public ReferencePart Run()
    {
        using var scope = NewDisposeScope();
        var part = new ReferencePart();
        var logits = _reference.Logits();
        var loss = Learn(_reference.Tokens,
            (first, own, cut) => part.Logits = Math.Max(
                part.Logits, (own.cpu() - cut(logits.narrow(0, first, own.shape[0]))).abs().max().item<float>()));
        part.Loss = Deviation(loss, _reference.Expected.Loss);
        foreach (var (name, squared) in _optimizer.TakeSquaredNorms(_mesh))
        {
            part.SquaredGradients.Add(name, squared);
        }
        for (var step = 0; step < _reference.Expected.Adamw.Losses.Length; step++)
        {
            using var steps = NewDisposeScope();
            loss = Learn(_reference.Batches[step], null);
            part.AdamwLosses = Math.Max(part.AdamwLosses, Deviation(loss, _reference.Expected.Adamw.Losses[step]));
            _optimizer.Update(_reference.Expected.Adamw.Lr, _mesh);
        }
        return part;
    }

    public void Dispose()
    {
        _optimizer.Dispose();
        _model.Dispose();
        _reference.Dispose();
    }

    /// <summary>Forwards and backwards over this rank's rows; the whole batch's loss, the same on every rank.</summary>
    /// <param name="seen">The first row of a micro-batch, its logits, and what cuts this rank's part out of whole sequences.</param>
    private double Learn(Tensor batch, Action<long, Tensor, Func<Tensor, Tensor>>? seen)
    {
        var rows = (int)batch.shape[0];
        var (first, own) = _rank.ShareOf(rows, _rank.Layout.Context);
        var part = SequencePart.Of(_mesh, _rank.Layout.Context, batch.shape[1], mtpDepth: 0);
        var micro = RowsAtOnce(own, _rank.Layout);
        var sum = zeros([], float64);
        MicroBatch[] batches =
            [
                .. Enumerable.Range(0, own / micro).Select(
                    i => new MicroBatch(batch.narrow(0, first + (i * micro), micro).to(_rank.Device), Part: part)),
            ];
        new PipelinePass(_model, _mesh.Pipeline, Backward, left => left.Make()).Run(batches, training: false, (number, output) =>
        {
            if (output.Logits is not { } logits)
            {
                return null;
            }
            seen?.Invoke(first + (number * micro), logits.detach(), whole => part is null ? whole : part.Cut(whole));
            var tokens = batches[number].Tokens;
            var loss = part is null ? ReferenceCheck.NextTokenLoss(logits, tokens) : Losses.CrossEntropy(logits, Labels(tokens), part);
            loss = loss * ((double)micro / rows);
            sum.add_(loss.detach().cpu());
            return loss;
        });
        // Only those with the head have a loss; it is told to the others.
        _mesh.World.AllReduce([sum]);
        return sum.item<double>();
    }

    /// <summary>The token after each place; nothing is known after the last.</summary>
    private static Tensor Labels(Tensor tokens) => cat(
        [tokens.narrow(1, 1, tokens.shape[1] - 1), full_like(tokens.narrow(1, 0, 1), ChatTemplate.Ignored)], 1);

    /// <summary>One sequence a micro-batch where there is a pipeline to fill; else all at once.</summary>
    private static int RowsAtOnce(int own, GangLayout layout) =>
        layout.Pipeline > 1 || layout.Schedule != PipelineSchedule.OneForwardOneBackward ? 1 : own;

    private static void RequireRows(Tensor batch, GangLayout layout)
    {
        var rows = (int)batch.shape[0];
        var sharing = layout.Data / layout.Context;
        if (rows % sharing != 0)
        {
            throw new InvalidDataException(
                $"{rows} sequences cannot be dealt evenly to the {sharing} ranks (dp × ep) that take different ones: use a "
                    + $"divisor of {rows}.");
        }
        var own = rows / sharing;
        if (PipelineSchedules.CountProblem(layout.Schedule, layout.Pipeline, own / RowsAtOnce(own, layout)) is { } problem)
        {
            throw new InvalidDataException(
                $"{problem.Message} They are the {rows} sequences of the folder over {sharing} ranks (dp × ep). {problem.Fix}");
        }
    }

    private static void Backward(IReadOnlyList<Tensor> roots, IReadOnlyList<Tensor?> gradients)
    {
        autograd.backward([.. roots], [.. gradients.Select((g, i) => g ?? ones_like(roots[i]))]);
        CustomBackward.ThrowIfFailed();
    }

    private static double Deviation(double actual, double expected) => ReferenceCheck.NotNan(Math.Abs(actual - expected));
}
