using System.Security.Cryptography;
using System.Text;
using DeepSeekOps.Contracts.Worker.V1;
using DeepSeekOps.Recipes.Pipelining;
using DeepSeekOps.Worker.Data;
using DeepSeekOps.Worker.Libtorch;
using DeepSeekOps.Worker.Parallel;
using TorchSharp;
using static TorchSharp.torch;
using static TorchSharp.torch.nn.functional;

namespace DeepSeekOps.Worker.Model;

/// <summary>What a forward pass gives.</summary>
/// <param name="Logits">[batch, seq, vocab]; place i predicts token i + 1.</param>
/// <param name="MtpLogits">Depth k (from 1): [batch, seq − k, vocab]; place i predicts token i + 1 + k.</param>
/// <param name="ExpertLoads">Tokens per expert, [experts] float32, per MoE layer and then MTP block, in the order of
/// <see cref="DeepSeekModel.CorrectionBiases"/>.</param>
/// <param name="BalanceLoss">Σ f_i P_i over the layers, mean over the sequences, without α; null when not training.</param>
public sealed record ModelOutput(Tensor Logits, IReadOnlyList<Tensor> MtpLogits, IReadOnlyList<Tensor> ExpertLoads, Tensor? BalanceLoss);

/// <summary>What a pass through a piece of the model gives.</summary>
/// <param name="Hidden">[batch, seq, hidden]: after its last layer.</param>
/// <param name="Logits">Null where the model does not end here. The others: as in <see cref="ModelOutput"/>, of the layers here.</param>
public sealed record PartOutput(
    LayerRun Run, Tensor Hidden, Tensor? Logits, IReadOnlyList<Tensor> MtpLogits, IReadOnlyList<Tensor> ExpertLoads, Tensor? BalanceLoss);

/// <summary>
/// DeepSeek-V3 (arXiv 2412.19437), and V2 by its routing. Weights carry the published names; see docs/model.md for which
/// formula stands where.
/// </summary>
public sealed partial class DeepSeekModel : IDisposable
{
    private readonly Weights _weights;
    private readonly Dictionary<int, TransformerBlock> _blocks; // of the main model, then of the MTP modules
    private readonly Device _device;
    private Rope _rope;

    public DeepSeekModel(ModelConfig config, Device device, Precision precision = Precision.Fp32)
        : this(ModelShapes.FromProto(config), device, precision: precision)
    {
    }

    /// <summary>
    /// Allocates all weights, uninitialised: <see cref="Initialise"/> or a checkpoint fills them. In fp8 the projections of attention,
    /// MLPs and experts run as <see cref="Fp8Linear"/>; embedding, head, norms, router and the attention itself stay high.
    /// </summary>
    /// <param name="part">What of it lies here; null: all.</param>
    /// <param name="experts">The ranks that share its routed experts; null: there is no other.</param>
    public DeepSeekModel(
        ModelShape shape, Device device, ScalarType type = ScalarType.Float32, Precision precision = Precision.Fp32, ModelPart? part = null,
        ExpertRanks? experts = null)
    {
        if (shape.Problems() is { Count: > 0 } problems)
        {
            throw new ArgumentException(string.Join("; ", problems), nameof(shape));
        }

        Shape = shape;
        Part = part ?? ModelPart.Whole(shape);
        _device = device;
        _weights = new Weights(shape, Part, device, type, precision);
        var sharing = experts ?? new ExpertRanks(new Alone(new Calls()));
        _blocks = Part.Blocks(shape).ToDictionary(layer => layer, layer => new TransformerBlock(shape, _weights, layer, sharing));
        _rope = new Rope(shape, shape.Yarn, device);
    }

    public ModelShape Shape { get; private set; }

    /// <summary>What of the model lies here.</summary>
    public ModelPart Part { get; }

    /// <inheritdoc cref="ModelPart.HoldsWithMirror"/>
    public bool HoldsWithMirror(string name) => Part.HoldsWithMirror(Shape, name);

    /// <summary>What was left for later in backward passes, where the schedule splits them.</summary>
    public LaterGradients? Later => _weights.Later;

    /// <summary>As <see cref="Weights.BeforeUse"/>.</summary>
    public Action<string?>? BeforeUse
    {
        set => _weights.BeforeUse = value;
    }

    /// <summary>
    /// Called in a backward pass when the gradients of a layer's weights are made, with the layer's number, on autograd's thread. Null:
    /// passes begun from then on tell nobody. Of modules that predict further it is not told.
    /// </summary>
    public Action<int>? LayerPassed { get; set; }

    /// <summary>Of what goes from layer to layer.</summary>
    public ScalarType ActivationType => _weights.Mixed ? ScalarType.BFloat16 : ScalarType.Float32;

    public Device Device => _device;

    /// <summary>Trained tensors as they lie in memory, in a fixed order: the experts of a layer are one.</summary>
    public IEnumerable<TrainedWeight> Trained => _weights.Trained;

    /// <summary>Masters of the trained tensors, to read.</summary>
    public IEnumerable<(string Name, Tensor Value)> Parameters => _weights.Trained.Select(w => (w.Name, w.Master));

    /// <summary>Call it after writing to masters.</summary>
    public void MastersChanged() => _weights.MastersMayChange();

    /// <summary>b of equation 16, [experts] per MoE layer, outside of the gradient: add ±γ by load after a step.</summary>
    public IReadOnlyList<Tensor> CorrectionBiases =>
        [.. _weights.CorrectionBiases];

    /// <summary>What is known of the routed layers that lie here, with what the other ranks of the pipeline know of theirs.</summary>
    /// <param name="own">[experts] each, of <see cref="CorrectionBiases"/>' layers.</param>
    /// <returns>[layers, experts]</returns>
    public Tensor OfAllLayers(IReadOnlyList<Tensor> own, IProcessGroup pipeline)
    {
        if (pipeline.Ranks == 1)
        {
            return stack(own);
        }
        var all = zeros(Shape.RoutedLayers, Shape.RoutedExperts, device: _device);
        int[] routed = [.. Enumerable.Range(0, Shape.Layers + Shape.MtpDepth).Where(Shape.IsMoe)];
        foreach (var (one, layer) in own.Zip(Part.Blocks(Shape).Where(Shape.IsMoe)))
        {
            all[Array.IndexOf(routed, layer)].copy_(one);
        }
        if (PipelineRoute.IsMirrored(Part.Schedule) && pipeline.Own >= pipeline.Ranks / 2)
        {
            all.zero_(); // the mirrored rank knows the same
        }
        pipeline.AllReduce([all]);
        return all;
    }

    /// <summary>Every tensor under its published name, without gradient: views, so copying into one fills the model.</summary>
    public IEnumerable<(string Name, Tensor Value)> PublishedTensors()
    {
        MastersChanged(); // or will be, through these views
        return _weights.Masters.SelectMany(w => PublishedViews.Of(w.Key, w.Value.detach(), Part.FirstExpert));
    }

    /// <summary>
    /// Normal(0, init_std), norms 1, biases 0. Each tensor's numbers come from the seed and its published name, drawn on the CPU: whoever
    /// holds a part of the model, on whatever device, begins with the same numbers in it (docs/decisions/0015-initial-weights-by-name.md).
    /// </summary>
    public void Initialise(long seed) =>
        Initialise((name, weight) => InitialWeights.Fill(weight, new NormalNumbers(seed, name), Shape.InitStd));

    /// <summary>
    /// The same for measuring speeds: drawn where the weights lie, which is faster and gives other numbers on each kind of device. Parts
    /// of the model still begin with the same ones. Begins libtorch's random numbers anew.
    /// </summary>
    public void InitialiseInPlace() => Initialise((name, weight) =>
    {
        RandomStreams.Begin(BitConverter.ToUInt32(SHA256.HashData(Encoding.UTF8.GetBytes(name))));
        weight.normal_(0, Shape.InitStd);
    });

    private void Initialise(Action<string, Tensor> draw)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        foreach (var (name, weight) in PublishedTensors())
        {
            if (weight.dim() > 1)
            {
                draw(name, weight);
            }
            else
            {
                weight.fill_(name.EndsWith("bias", StringComparison.Ordinal) ? 0 : 1);
            }
        }
    }

    /// <summary>Sets or ends YaRN on a live model: context extension changes no weight.</summary>
    public void SetYarn(Yarn? yarn)
    {
        Shape = Shape with { Yarn = ModelShapes.FromProto(yarn) };
        _rope.Dispose();
        _rope = new Rope(Shape, Shape.Yarn, _device);
    }

    /// <summary>
    /// tokens [batch, seq] int64. With segments [batch, seq] int64 a place attends only within its own segment. Training adds the MTP
    /// modules and the balance term; <paramref name="mtp"/> the modules alone, where no balance is sought.
    /// </summary>
    public ModelOutput Forward(Tensor tokens, Tensor? segments = null, bool training = true, bool mtp = false)
    {
        var passed = Pass(Part.Pieces[0], null, tokens, segments, training, mtp);
        var logits = passed.Logits ?? throw new InvalidOperationException("This part of the model has no head.");
        return new ModelOutput(logits, passed.MtpLogits, passed.ExpertLoads, passed.BalanceLoss);
    }

    /// <summary>Through a piece that lies here.</summary>
    /// <param name="before">[batch, seq, hidden]: what the layers before give; null where the model begins here.</param>
    /// <param name="part">What of each sequence this rank takes, null: all. Tokens and segments are of whole sequences, all else of the
    /// part.</param>
    public PartOutput Pass(
        LayerRun run, Tensor? before, Tensor tokens, Tensor? segments = null, bool training = true, bool mtp = false,
        SequencePart? part = null)
    {
        _weights.Round();
        var reach = Reach.Of(tokens, segments, part);
        var uses = new List<ExpertUse>();
        var predicts = run.Ends && (training || mtp) && Shape.MtpDepth > 0;
        var embedded = run.Begins || (predicts && part is null)
            ? Operators.Embedding(_weights[WeightShapes.Embedding], part is null ? tokens : part.Cut(tokens)) : null;
        var hidden = (run.Begins ? embedded : before) ?? throw new ArgumentNullException(nameof(before));
        for (var layer = run.First; layer < run.First + run.Layers; layer++)
        {
            var (number, told) = (layer, training ? LayerPassed : null);
            hidden = _blocks[layer].Forward(
                told is null ? hidden : LayerEdge.Of(hidden, () => told(number)), _rope, reach, training, uses);
        }

        var through = hidden;
        hidden = run.Ends ? Norm(hidden, WeightShapes.FinalNorm) : hidden;
        var further = predicts ? PredictFurther(hidden, embedded, tokens, reach, training, uses) : [];
        var balance = training ? uses.Select(u => u.Balance!).Aggregate((Tensor?)null, (sum, b) => sum is null ? b : sum + b) : null;
        return new PartOutput(run, through, run.Ends ? Head(hidden) : null, further, [.. uses.Select(u => u.Load)], balance);
    }

    public void Dispose()
    {
        _rope.Dispose();
        _weights.Dispose();
    }

    /// <summary>
    /// Multi-token prediction, section 2.2: h'_i = M[RMSNorm(Emb(t_{i+k})); RMSNorm(h_i)] (equation 21, halves in the order of the
    /// published weights), a block, and the shared head (equations 22 and 23).
    /// </summary>
    private Tensor[] PredictFurther(
        Tensor hidden, Tensor? embedded, Tensor tokens, Reach reach, bool balance, List<ExpertUse> uses)
    {
        var logits = new List<Tensor>();
        for (var depth = 1; depth <= Shape.MtpDepth && depth < tokens.shape[1]; depth++)
        {
            var prefix = WeightShapes.Layer(Shape.Layers + depth - 1);
            var within = reach.Shortened(depth);
            var ahead = Norm(
                within.Part is { } part ? Operators.Embedding(_weights[WeightShapes.Embedding], part.Cut(tokens, depth))
                    : embedded!.narrow(1, depth, within.Places), prefix + "enorm.weight");
            // The place that is left out is the last of whoever has the sequence's end.
            var before = Norm(hidden.narrow(1, 0, within.Places), prefix + "hnorm.weight");
            var joined = _weights.Linear(cat([ahead, before], -1), prefix + "eh_proj.weight");
            hidden = _blocks[Shape.Layers + depth - 1].Forward(joined, _rope, within, balance, uses);
            logits.Add(Head(Norm(hidden, prefix + "shared_head.norm.weight")));
        }

        return [.. logits];
    }

    private Tensor Norm(Tensor x, string name) => Operators.RmsNorm(x, _weights[name], Shape.RmsNormEps);

    private Tensor Head(Tensor hidden) =>
        _weights.Linear(hidden, Shape.TiedEmbeddings ? WeightShapes.Embedding : WeightShapes.Head);
}
