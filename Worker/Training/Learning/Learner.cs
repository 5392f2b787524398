using DeepSeekOps.Contracts.Worker.V1;
using DeepSeekOps.Recipes.Pipelining;
using DeepSeekOps.Worker.Checkpoints;
using DeepSeekOps.Worker.Libtorch;
using DeepSeekOps.Worker.Model;
using DeepSeekOps.Worker.Parallel;
using TorchSharp;
using static TorchSharp.torch;

namespace DeepSeekOps.Worker.Training.Learning;

/// <summary>A model with what it needs to learn: moments, an average of its weights in CPU memory, the experts' balance.</summary>
public sealed class Learner : IDisposable
{
    private readonly IReadOnlyList<(string Name, Tensor Weight)> _held;
    private readonly Dictionary<string, Tensor> _average = [];
    private readonly double _emaDecay;
    private readonly long _seed;
    private readonly List<Tensor> _loads = [];
    private int _micro;
    private LayerRun? _completing;

    /// <summary>
    /// A stage's: its weights are not drawn yet (<see cref="Draw"/>), since most launches read a saved state over them, and drawing takes
    /// longer than reading.
    /// </summary>
    /// <param name="rank">Which part of the model it learns: by the place in its gang's layout.</param>
    public Learner(ModelConfig config, Optimizer options, long seed, double emaDecay, RankContext rank, Precision precision, Mesh mesh)
        : this(ModelShapes.FromProto(config), options, seed, emaDecay, rank.Device, precision, mesh,
            shape => ModelPart.At(shape, rank.Layout, rank.Place), rank.Layout.DealsMoments, FirstWeights.Later)
    {
    }

    /// <param name="part">Null: the whole model.</param>
    public Learner(
        ModelShape shape, Optimizer options, long seed, double emaDecay, Device device, Precision precision = Precision.Fp32,
        Mesh? mesh = null,
        Func<ModelShape, ModelPart>? part = null, bool dealsMoments = false, FirstWeights weights = FirstWeights.Drawn)
    {
        Mesh = mesh ?? Mesh.Alone();
        Model = new DeepSeekModel(shape, device, precision: precision, part: part?.Invoke(shape), experts: Mesh.ExpertRanks);
        if (weights == FirstWeights.DrawnInPlace)
        {
            Model.InitialiseInPlace();
        }
        else if (weights == FirstWeights.Drawn)
        {
            Model.Initialise(seed);
        }
        _held = [.. Model.Parameters];
        Optimizer = new AdamW([.. Model.Trained], options, Model.HoldsWithMirror, dealsMoments ? Mesh : null);
        Model.BeforeUse = Mesh.Beside is null ? null : Optimizer.Settle;
        Model.LayerPassed = Mesh.Beside is null ? null : LayerPassed;
        (_emaDecay, _seed) = (emaDecay, seed);
        HoldAverage(w => weights == FirstWeights.Later ? empty(w.shape, w.dtype, CPU) : w.detach().cpu().clone());
    }

    public DeepSeekModel Model { get; }

    /// <summary>Whom it learns with.</summary>
    public Mesh Mesh { get; }

    public AdamW Optimizer { get; }

    public Device Device => _held[0].Weight.device;

    /// <summary>Moments and counts of steps as a checkpoint has them: those of stacked experts as what of all experts lies here.</summary>
    public IEnumerable<Piece> OptimizerState => Optimizer.State.Select(t => new Piece(t.Name, t.Value)
    {
        Rows = t.Value.dim() > 0 && WeightShapes.IsExperts(t.Name[..t.Name.LastIndexOf('.')])
            ? (Model.Part.FirstExpert, Model.Shape.RoutedExperts) : null,
    });

    /// <summary>
    /// Moving average of the weights (report section 3.2.3): a model can be judged by it before its learning rate has decayed.
    /// </summary>
    public bool HasAverage => _average.Count > 0;

    /// <summary>
    /// The average as a whole model, under the published names: views, as <see cref="DeepSeekModel.PublishedTensors"/>. Biases are those of
    /// now.
    /// </summary>
    public IEnumerable<(string Name, Tensor Value)> Average => Model.PublishedTensors()
        .Where(t => !_average.ContainsKey(t.Name) && t.Name.EndsWith("e_score_correction_bias", StringComparison.Ordinal))
        .Concat(_average.SelectMany(a => PublishedViews.Of(a.Key, a.Value, Model.Part.FirstExpert)));

    /// <summary>Tokens per expert of the newest step, layer by layer: kept in memory, so that the next checkpoint can tell them.</summary>
    public IEnumerable<Piece> Loads => _loads.Select((load, layer) => new Piece($"{layer}", load));

    /// <summary>As <see cref="Loads"/> had them.</summary>
    public void TakeLoads(ISavedState state, string file)
    {
        ForgetLoads();
        _loads.AddRange(Model.CorrectionBiases.Select(b => zeros_like(b, dtype: ScalarType.Float32).DetachFromDisposeScope()));
        state.ReadInto(Loads, file);
    }

    /// <summary>Lets the model have the average as its weights for as long as <paramref name="work"/> lasts.</summary>
    public T WithAverage<T>(Func<T> work)
    {
        using var untracked = no_grad();
        using var scope = NewDisposeScope();
        var own = Parameters.Select(p => p.Weight.detach().cpu().clone()).ToList();
        try
        {
            Exchange(i => _average[Parameters[i].Name]);
            return work();
        }
        finally
        {
            Exchange(i => own[i]);
        }
    }

    /// <summary>The average begins at the weights as they are.</summary>
    public void ResetAverage() => HoldAverage(weight => weight.detach().cpu().clone());

    /// <summary>The weights that a stage has which begins from nothing, and the average with them.</summary>
    public void Draw()
    {
        Model.Initialise(_seed);
        ResetAverage();
    }

    private void HoldAverage(Func<Tensor, Tensor> first)
    {
        using var untracked = no_grad();
        foreach (var (name, weight) in Parameters.Where(_ => _emaDecay > 0))
        {
            if (_average.Remove(name, out var old))
            {
                old.Dispose();
            }
            _average[name] = first(weight).DetachFromDisposeScope();
        }
    }

    /// <summary>The backward pass of one micro-batch, of whoever runs no pipeline.</summary>
    public void Backward(Tensor loss) => Mesh.Trace.Of(SpanKinds.Backward, "rows of this rank", () => Pass(loss));

    private void Pass(Tensor loss)
    {
        if (_micro++ > 0)
        {
            Optimizer.Gather();
        }
        loss.backward();
    }

    /// <summary>The backward pass of one micro-batch through the layers that lie here.</summary>
    /// <param name="gradients">Of the roots; null: 1.</param>
    public void Backward(IReadOnlyList<Tensor> roots, IReadOnlyList<Tensor?> gradients)
    {
        if (roots is [var loss] && gradients is [null])
        {
            Pass(loss);
            return;
        }
        if (_micro++ > 0)
        {
            Optimizer.Gather();
        }
        autograd.backward([.. roots], [.. gradients.Select((g, i) => g ?? ones_like(roots[i]))]);
    }

    /// <summary>Gradients of weights that a backward pass left for later.</summary>
    public void Backward(LeftGradients left)
    {
        if (_micro++ > 0)
        {
            Optimizer.Gather();
        }
        left.Make();
    }

    /// <summary>
    /// Runs what makes the last gradients of these layers in a step. Where calls can run beside a backward pass, each layer's gradients are
    /// summed up as soon as they are made.
    /// </summary>
    public void Completing(LayerRun run, Action work)
    {
        _completing = run;
        try
        {
            work();
        }
        finally
        {
            _completing = null;
        }
        for (var layer = run.First + run.Layers - 1; layer >= run.First && Mesh.Beside is not null; layer--)
        {
            Optimizer.SumEarly(layer, Mesh);
        }
    }

    /// <summary>What the rate of the step under way is multiplied by: 1, but where a rate is lowered after a loss that rose.</summary>
    public double RateFactor { get; set; } = 1;

    /// <summary>Called before weights, moments or the average change: somebody may still be copying them.</summary>
    public Action? BeforeChange { get; set; }

    /// <summary>A drill has the next update meet a gradient that is NaN here.</summary>
    public bool SpoilsGradient
    {
        set => Optimizer.SpoilsGradient = value;
    }

    /// <summary>
    /// Updates by the gradients that the ranks of all rows sum up to: each weighs its own by its share of the whole batch.
    /// </summary>
    /// <returns>The gradients' norm, still on the device.</returns>
    public Tensor Update(double learningRate)
    {
        CustomBackward.ThrowIfFailed();
        BeforeChange?.Invoke();
        _micro = 0;
        var norm = Mesh.Trace.Of(
            SpanKinds.Update, "reduce gradients, clip, AdamW", () => Optimizer.Update(learningRate * RateFactor, Mesh));
        if (_emaDecay > 0)
        {
            using var untracked = no_grad();
            foreach (var (name, weight) in Parameters)
            {
                _average[name].lerp_(weight.detach().cpu(), 1 - _emaDecay);
            }
        }
        return norm;
    }

    /// <summary>
    /// Auxiliary-loss-free balancing (report section 2.1.2): the bias of an expert with more than its share of the whole batch goes
    /// down by gamma, that of one with less goes up.
    /// </summary>
    public void Balance(IReadOnlyList<Tensor> loads, double gamma)
    {
        using var untracked = no_grad();
        BeforeChange?.Invoke();
        ForgetLoads();
        _loads.AddRange(loads.Select(l => l.detach().clone().DetachFromDisposeScope()));
        for (var layer = 0; layer < Model.CorrectionBiases.Count && gamma > 0; layer++)
        {
            Model.CorrectionBiases[layer].add_((loads[layer].mean() - loads[layer]).sign(), alpha: gamma);
        }
    }

    /// <summary>
    /// Tokens per routed expert in the newest step that was balanced, [layers][experts]; what a serving plan is made from. Empty: none was.
    /// A call of all ranks of a pipeline.
    /// </summary>
    public IReadOnlyList<float[]> ExpertLoads()
    {
        using var scope = NewDisposeScope();
        var told = Mesh.Pipeline.AllGather(tensor(_loads.Count, ScalarType.Int64, device: Device).reshape(1)).sum().item<long>() > 0;
        return !told ? [] : [.. Model.OfAllLayers(_loads, Mesh.Pipeline).to(ScalarType.Float32).cpu().data<float>().ToArray()
            .Chunk(Model.Shape.RoutedExperts)];
    }

    public void Dispose()
    {
        ForgetLoads();
        Optimizer.Dispose();
        Model.Dispose();
        foreach (var average in _average.Values)
        {
            average.Dispose();
        }
    }

    /// <summary>Whole: what other ranks have updated is here.</summary>
    private IReadOnlyList<(string Name, Tensor Weight)> Parameters
    {
        get
        {
            Optimizer.Settle();
            return _held;
        }
    }

    private void LayerPassed(int layer)
    {
        if (_completing is { } run && layer >= run.First && layer < run.First + run.Layers)
        {
            Optimizer.SumEarly(layer, Mesh);
        }
    }

    private void Exchange(Func<int, Tensor> weightOf)
    {
        BeforeChange?.Invoke();
        for (var i = 0; i < Parameters.Count; i++)
        {
            Parameters[i].Weight.detach().copy_(weightOf(i));
        }
        Model.MastersChanged();
    }

    private void ForgetLoads()
    {
        _loads.ForEach(l => l.Dispose());
        _loads.Clear();
    }
}
