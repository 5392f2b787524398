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

    public void ReadInto(IEnumerable<(string Name, Tensor Value)> targets, string file)
    {
        using var untracked = no_grad();
        using var scope = NewDisposeScope();
        foreach (var (name, target) in targets)
        {
            if (_pieces is null)
            {
                Copy(file, name, target);
            }
            else
            {
                Assemble(file, name, target);
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

    private void Assemble(string file, string name, Tensor target)
    {
        var covered = 0L;
        foreach (var piece in _pieces![(file, name)])
        {
            if (!piece.Shape.SequenceEqual(target.shape) || !piece.Within)
            {
                throw new RefusedCheckpointException($"{piece.File} in {_folder} holds {name} of another shape than this model's "
                    + $"[{string.Join(", ", target.shape)}]");
            }
            var place = target;
            for (var dimension = 0; piece is { Offset: { } offset, Extent: { } extent } && dimension < extent.Count; dimension++)
            {
                place = place.narrow(dimension, offset[dimension], extent[dimension]);
            }
            Copy(piece.File, name, place);
            covered += place.numel();
        }
        if (covered != target.numel())
        {
            throw new RefusedCheckpointException($"the parts of {_folder} hold {covered} of the {target.numel()} "
                + $"numbers of {name} in {file}");
        }
    }

    private void Copy(string file, string name, Tensor target)
    {
        if (!_files.TryGetValue(file, out var open))
        {
            _files[file] = open = SafetensorsFile.Open(Path.Combine(_folder, file));
        }
        using var value = open.Read(name);
        target.copy_(value);
    }
}
