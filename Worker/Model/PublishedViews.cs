using TorchSharp;
using static TorchSharp.torch;

namespace DeepSeekOps.Worker.Model;

/// <summary>Tensors under their published names; those of experts are views into the stacked ones.</summary>
public static class PublishedViews
{
    public static IEnumerable<(string Name, Tensor Value)> Of(string name, Tensor value, int firstExpert = 0)
    {
        if (!WeightShapes.IsExperts(name))
        {
            yield return (name, value);
            yield break;
        }

        foreach (var (part, expert, from, rows) in WeightShapes.Parts(name, value.shape, firstExpert))
        {
            var own = value[expert];
            yield return (part, rows == own.shape[0] ? own : own.narrow(0, from, rows));
        }
    }
}
