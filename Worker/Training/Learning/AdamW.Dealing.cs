using DeepSeekOps.Worker.Model;
using DeepSeekOps.Worker.Parallel;
using static TorchSharp.torch;

namespace DeepSeekOps.Worker.Training.Learning;

/// <summary>Whose moments are whose, and what comes of it.</summary>
public sealed partial class AdamW
{
    /// <summary>
    /// Numbers that are updated before they begin to go to the other ranks: 64 Mi of float32 are under way for about a millisecond,
    /// far longer than a call takes to begin (4 H200).
    /// </summary>
    private const long NumbersAtOnce = 64 << 20;

    private readonly HashSet<string> _coming = [];
    private readonly Queue<(int[] Weights, Action Wait)> _giving = new();

    private bool IsOwn(int i, Mesh? deal) => !DealsMoments || _owners[i] == HoldersOf(i, deal!).Own;

    private IProcessGroup HoldersOf(int i, Mesh mesh) => WeightShapes.IsExperts(_names[i]) ? mesh.Replicas : mesh.Data;

    /// <summary>By their places in the group that holds the weight: each next weight goes to whoever has the least to update.</summary>
    private static int[] Owners(string[] names, Tensor[] weights, Mesh mesh)
    {
        var (dense, experts) = (new long[mesh.Data.Ranks], new long[mesh.Replicas.Ranks]);
        return [.. names.Zip(weights, (name, weight) =>
        {
            var dealt = WeightShapes.IsExperts(name) ? experts : dense;
            var owner = Array.IndexOf(dealt, dealt.Min());
            dealt[owner] += weight.numel();
            return owner;
        })];
    }

    /// <summary>In their order, the same on all ranks that hold them.</summary>
    private IEnumerable<int[]> Portions(int[] learning)
    {
        var (portion, numbers) = (new List<int>(), 0L);
        foreach (var i in learning)
        {
            portion.Add(i);
            numbers += _weights[i].numel();
            if (numbers >= NumbersAtOnce)
            {
                yield return [.. portion];
                portion.Clear();
                numbers = 0;
            }
        }
        yield return [.. portion];
    }

    /// <summary>
    /// Weights become their owners' on all ranks that hold them: beside what comes next, where calls have a queue of their own. Whoever
    /// then reads one of them asks <see cref="Settle"/> first.
    /// </summary>
    private void Give(int[] weights, Mesh mesh)
    {
        if (!DealsMoments || weights.Length == 0)
        {
            return;
        }
        void Given(IProcessGroup data, IProcessGroup replicas)
        {
            foreach (var (holders, experts) in new[] { (data, false), (replicas, true) })
            {
                int[] held = [.. weights.Where(i => WeightShapes.IsExperts(_names[i]) == experts)];
                if (held.Length > 0)
                {
                    holders.Give([.. held.Select(i => _weights[i])], [.. held.Select(i => _owners[i])]);
                }
            }
        }
        int[] others = [.. weights.Where(i => !IsOwn(i, mesh))];
        if (mesh.Beside is { } beside)
        {
            var wait = beside.Run(() => Given(beside.Data, beside.Replicas));
            Array.ForEach(others, i => _coming.Add(_names[i]));
            _giving.Enqueue((others, wait));
        }
        else
        {
            Given(mesh.Data, mesh.Replicas);
            Array.ForEach(others, Round);
        }
    }

    /// <summary>
    /// Before a weight is used: what its owner gave is here, and products use it. On the operators' queue; the host waits for nothing.
    /// </summary>
    /// <param name="name">Null: all weights are to be used, or changed: what this rank gives has gone, too.</param>
    public void Settle(string? name = null)
    {
        while (_giving.Count > 0 && (name is null || _coming.Contains(name)))
        {
            using var untracked = no_grad();
            var (weights, wait) = _giving.Dequeue();
            wait();
            Array.ForEach(weights, Round);
            Array.ForEach(weights, i => _coming.Remove(_names[i]));
        }
    }
}
