using DeepSeekOps.Contracts.Worker.V1;
using DeepSeekOps.Worker.Model;
using TorchSharp;
using static TorchSharp.torch;

namespace DeepSeekOps.Worker.Checkpoints;

/// <summary>Fills models from checkpoints.</summary>
public static class ModelWeights
{
    public const string FileName = "model.safetensors";

    /// <summary>Moving average of the weights, a whole model under the same names. Only where pretraining keeps one.</summary>
    public const string AverageFileName = "ema.safetensors";

    /// <summary>The model with the weights of a checkpoint of ours.</summary>
    public static void Load(DeepSeekModel model, string folder, string file = FileName) =>
        LoadInto(model.PublishedTensors().Select(t => (Piece)t), folder, file);

    /// <summary>Whether a checkpoint of ours keeps such tensors.</summary>
    public static bool Has(string folder, string file)
    {
        using var tensors = new CheckpointTensors(folder);
        return tensors.Has(file);
    }

    /// <param name="file">Which of its tensors: "optimizer.safetensors".</param>
    public static void LoadInto(IEnumerable<Piece> targets, string folder, string file)
    {
        using var tensors = new CheckpointTensors(folder);
        tensors.ReadInto(targets, file);
    }

    /// <summary>
    /// The checkpoint that this stage begins from: of an earlier stage, or a published one. It is checked file by file first.
    /// </summary>
    /// <param name="note">Is told what a published one lacks.</param>
    /// <returns>Where the weights come from; null where the stage begins with random weights.</returns>
    public static Lineage? LoadBeginning(DeepSeekModel model, TrainingPlan plan, CheckpointRef? from, Action<string>? note = null)
    {
        if (from is null || from.Published)
        {
            var published = from is null ? null : PublishedWeights.Load(model, from, note);
            return from is null ? null : RequireFinite(model, from.Path, "Copy it again, or name another folder", published);
        }
        var folder = Path.Combine(plan.CheckpointRoot, from.Path);
        try
        {
            var manifest = Manifest.Verify(folder, from.Digest);
            Load(model, folder);
            return RequireFinite(model, folder, $"Retry stage {from.Stage} from an earlier checkpoint",
                new Lineage(manifest.Run, manifest.Stage, manifest.Position.Step, from.Digest));
        }
        catch (RefusedCheckpointException e)
        {
            throw new RefusedCheckpointException(
                $"The checkpoint that this stage begins from cannot be used: {e.Message}. Retry the stage from another checkpoint, or "
                    + $"train stage {from.Stage} again.", e);
        }
    }

    /// <exception cref="InvalidDataException">The weights would be bad input at every launch.</exception>
    private static Lineage? RequireFinite(DeepSeekModel model, string folder, string remedy, Lineage? lineage) =>
        FiniteNumbers.FirstSpoilt(model.PublishedTensors()) is not { } spoilt ? lineage : throw new InvalidDataException(
            $"The stage cannot begin from {folder}: its tensor {spoilt.Name} has "
                + $"{(double.IsNaN(spoilt.Value) ? "NaN" : "an infinity")} in it. {remedy}.");

    public static void Copy(DeepSeekModel source, DeepSeekModel target)
    {
        using var untracked = no_grad();
        using var scope = NewDisposeScope();
        foreach (var (from, to) in source.PublishedTensors().Zip(target.PublishedTensors()))
        {
            to.Value.copy_(from.Value);
        }
    }
}
