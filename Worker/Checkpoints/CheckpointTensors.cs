using DeepSeekOps.Worker.Safetensors;
using TorchSharp;
using static TorchSharp.torch;

namespace DeepSeekOps.Worker.Checkpoints;

/// <summary>
/// The tensors of a checkpoint, by the file that they would stand in if one rank had written it. Which part holds which piece is looked up;
/// a checkpoint from before there were parts has each of its files whole.
/// </summary>
internal sealed class CheckpointTensors : IDisposable
{
    private readonly string _folder;
    private readonly ILookup<(string Of, string Name), PartTensor>? _pieces;
    private readonly Dictionary<string, SafetensorsFile> _files = [];

    /// <exception cref="RefusedCheckpointException">Its manifest, or the list of a part, cannot be read.</exception>
    public CheckpointTensors(string folder)
    {
        _folder = folder;
        var manifest = Manifest.Read(folder).Manifest;
        // Only what the manifest vouches for is read.
        string Listed(string file) => manifest.Files.Any(f => f.Name == file) ? Path.Combine(folder, file)
            : throw new RefusedCheckpointException($"{Path.Combine(folder, Manifest.FileName)} does not list {file}");
        var lists = manifest.Parts.Select(p => PartList.Read(Listed(p))).ToList();
        foreach (var file in lists.SelectMany(l => l.Tensors.Select(t => t.File)).Distinct())
        {
            _ = Listed(file);
        }
        _pieces = lists.Count == 0 ? null : lists.SelectMany(l => l.Tensors).ToLookup(t => (t.Of, t.Name));
    }

    public bool Has(string file) => _pieces is null ? File.Exists(Path.Combine(_folder, file)) : _pieces.Any(p => p.Key.Of == file);

    public void ReadInto(IEnumerable<Piece> targets, string file)
    {
        using var untracked = no_grad();
        using var scope = NewDisposeScope();
        foreach (var target in targets)
        {
            if (_pieces is null)
            {
                Copy(new PartTensor(file, target.Name, target.WholeShape, file), target);
            }
            else
            {
                Assemble(file, target);
            }
        }
    }

    public void Dispose()
    {
        foreach (var file in _files.Values)
        {
            file.Dispose();
        }
    }

    private void Assemble(string file, Piece target)
    {
        var covered = 0L;
        foreach (var piece in _pieces![(file, target.Name)])
        {
            if (!piece.Shape.SequenceEqual(target.WholeShape) || !piece.Within)
            {
                throw new RefusedCheckpointException($"{piece.File} in {_folder} holds {target.Name} of another shape than this model's "
                    + $"[{string.Join(", ", target.WholeShape)}]");
            }
            covered += Copy(piece, target);
        }
        if (covered != target.Value.numel())
        {
            throw new RefusedCheckpointException($"the parts of {_folder} hold {covered} of the {target.Value.numel()} "
                + $"numbers of {target.Name} in {file}");
        }
    }

    /// <summary>Takes over what the piece and the target have in common.</summary>
    /// <returns>So many numbers.</returns>
    private long Copy(PartTensor piece, Piece target)
    {
        var (to, offset) = (target.Value, target.Offset);
        var common = new (long From, long Count)[to.dim()];
        for (var dimension = 0; dimension < to.dim(); dimension++)
        {
            var (first, count) = (piece.Offset?[dimension] ?? 0, piece.Extent?[dimension] ?? piece.Shape[dimension]);
            var from = Math.Max(first, offset[dimension]);
            common[dimension] = (from, Math.Min(first + count, offset[dimension] + to.shape[dimension]) - from);
            if (common[dimension].Count <= 0)
            {
                return 0;
            }
        }
        using var value = Open(piece.File).Read(piece.Name);
        var source = value;
        if (common.Length > 0 && !source.shape.SequenceEqual(piece.Extent ?? piece.Shape))
        {
            throw new RefusedCheckpointException($"{piece.File} in {_folder} holds {piece.Name} as [{string.Join(", ", source.shape)}], "
                + $"where [{string.Join(", ", piece.Extent ?? piece.Shape)}] is expected");
        }
        for (var dimension = 0; dimension < common.Length; dimension++)
        {
            var (from, count) = common[dimension];
            source = source.narrow(dimension, from - (piece.Offset?[dimension] ?? 0), count);
            to = to.narrow(dimension, from - offset[dimension], count);
        }
        to.copy_(source);
        return to.numel();
    }

    private SafetensorsFile Open(string file)
    {
        if (!_files.TryGetValue(file, out var open))
        {
            _files[file] = open = SafetensorsFile.Open(Path.Combine(_folder, file));
        }
        return open;
    }
}
