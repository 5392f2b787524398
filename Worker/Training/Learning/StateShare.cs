using DeepSeekOps.Recipes.Pipelining;
using DeepSeekOps.Worker.Checkpoints;
using DeepSeekOps.Worker.Model;
using DeepSeekOps.Worker.Parallel;

namespace DeepSeekOps.Worker.Training.Learning;

/// <summary>
/// Which of a stage's tensors a rank writes into a checkpoint. Each tensor, or each part of one, is written once: those that hold the
/// same take turns, so that all have about as much to write.
/// </summary>
public sealed class StateShare(DeepSeekModel model, Mesh mesh)
{
    private const string Experts = ".mlp.experts.";

    /// <param name="held">What lies here, in the same order on all ranks that hold the same.</param>
    /// <param name="dealt">No two ranks hold the same, but for what the ranks of all experts have alike.</param>
    public IReadOnlyList<Piece> Of(IEnumerable<Piece> held, bool dealt = false)
    {
        // Where each piece of the model lies on two ranks of a pipeline, they take turns too.
        var (copies, copy) = PipelineRoute.IsMirrored(model.Part.Schedule) ? (2, mesh.Mirror!.Own) : (1, 0);
        bool Turn(int turn, IProcessGroup alike) => turn % (alike.Ranks * copies) == (alike.Ranks * copy) + alike.Own;
        var (own, dense, expert) = (new List<Piece>(), 0, 0);
        foreach (var piece in held)
        {
            if (piece.Name.Contains(Experts, StringComparison.Ordinal))
            {
                // A number that the ranks of all experts have alike, as the count of steps, is the first one's to write.
                var alike = piece.Rows is null && piece.Value.dim() == 0;
                if ((!alike || mesh.Experts.Own == 0) && (dealt ? copy == 0 : Turn(expert++, mesh.Replicas)))
                {
                    own.Add(piece);
                }
            }
            else if (!WrittenByTheFirst(piece.Name) && (dealt ? copy == 0 : Turn(dense++, mesh.Data)))
            {
                own.Add(piece);
            }
        }
        return own;
    }

    /// <summary>The embedding, where a pipeline's last rank has it too, and nothing else of what the first one has.</summary>
    private bool WrittenByTheFirst(string name) => mesh.Mirror is { Own: > 0 } && !PipelineRoute.IsMirrored(model.Part.Schedule)
        && name.StartsWith(WeightShapes.Embedding, StringComparison.Ordinal) && model.HoldsWithMirror(WeightShapes.Embedding);
}
