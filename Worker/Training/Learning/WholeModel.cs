using DeepSeekOps.Contracts.Worker.V1;
using DeepSeekOps.Recipes.Pipelining;
using DeepSeekOps.Worker.Model;
using DeepSeekOps.Worker.Parallel;
using TorchSharp;
using static TorchSharp.torch;

namespace DeepSeekOps.Worker.Training.Learning;

/// <summary>
/// A model in one piece, to speak and to be measured with: its parts are gathered from the ranks that hold one model between them. Each
/// rank then has all of it, and does its share of the answers alone. For models that fit into one rank's memory beside what it trains.
/// </summary>
public sealed class WholeModel : IDisposable
{
    private readonly bool _gathered;

    private WholeModel(DeepSeekModel model, bool gathered) => (Model, _gathered) = (model, gathered);

    public DeepSeekModel Model { get; }

    /// <summary>The weights of now. A call of all ranks of the gang; alone it is the model itself.</summary>
    public static WholeModel Gather(DeepSeekModel part, Precision precision, RankContext rank, IProcessGroup model)
    {
        if (model.Ranks == 1)
        {
            return new WholeModel(part, gathered: false);
        }
        using var untracked = no_grad();
        using var scope = NewDisposeScope();
        var whole = new DeepSeekModel(part.Shape, part.Device, precision: precision);
        var into = whole.PublishedTensors().ToDictionary(t => t.Name, t => t.Value);
        var own = part.PublishedTensors().ToDictionary(t => t.Name, t => t.Value);
        var members = rank.Layout.NeighboursOf(rank.Rank).Model;
        for (var member = 0; member < members.Length; member++)
        {
            var gives = GivenBy(rank.Layout.Of(members[member]), rank.Layout, part.Shape, into.Keys);
            if (gives.Count > 0)
            {
                Give(gives, member, own, into, model);
            }
        }
        return new WholeModel(whole, gathered: true);
    }

    public void Dispose()
    {
        if (_gathered)
        {
            Model.Dispose();
        }
    }

    private static void Give(
        List<string> names, int member, Dictionary<string, Tensor> own, Dictionary<string, Tensor> into, IProcessGroup model)
    {
        using var flat = member == model.Own ? cat([.. names.Select(name => own[name].reshape(-1))])
            : empty(names.Sum(name => into[name].numel()), dtype: into[names[0]].dtype, device: into[names[0]].device);
        model.Broadcast(flat, member);
        var from = 0L;
        foreach (var target in names.Select(name => into[name]))
        {
            target.copy_(flat.narrow(0, from, target.numel()).reshape(target.shape));
            from += target.numel();
        }
    }

    /// <summary>What the rank at a place is the first to hold, in one order on all ranks.</summary>
    private static List<string> GivenBy(Coordinates place, GangLayout layout, ModelShape shape, IEnumerable<string> names)
    {
        if (PipelineRoute.IsMirrored(layout.Schedule) && place.Pipeline >= layout.Pipeline / 2)
        {
            return []; // the mirrored rank gives the same
        }
        var held = ModelPart.At(shape, layout, place);
        return [.. names.Where(name => held.Holds(shape, name)
            && (WeightShapes.ExpertOf(name) is { } expert ? expert >= held.FirstExpert && expert < held.FirstExpert + held.Experts
                : place.Expert == 0 && (name != WeightShapes.Embedding || held.Begins)))];
    }
}
