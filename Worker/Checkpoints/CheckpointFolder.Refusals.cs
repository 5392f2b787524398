using DeepSeekOps.Contracts.Worker.V1;
using DeepSeekOps.Worker.Agent;

namespace DeepSeekOps.Worker.Checkpoints;

/// <summary>What a launch would not load: told, and moved aside.</summary>
public sealed partial class CheckpointFolder
{
    private string NoneLeft(List<string> refusals)
    {
        var aside = Directory.EnumerateDirectories(Folder, $"{RefusedPrefix}*").Any()
            ? $"damaged ones lie in {Folder} as {RefusedPrefix}…" : $"none is left in {Folder}";
        var more = refusals.Count > RefusalsTold ? $"; and {refusals.Count - RefusalsTold} more" : "";
        var what = refusals.Count == 0 ? "" : $" ({string.Join("; ", refusals.Take(RefusalsTold))}{more})";
        return $"no checkpoint can be used: {aside}{what}";
    }

    /// <summary>The one that the control plane knows is not there, or is not what it was.</summary>
    private void RefuseWanted(CheckpointRef wanted, List<CheckpointSeen> onDisk, List<string> refusals)
    {
        var path = Path.Combine(_root, wanted.Path);
        var other = onDisk.FirstOrDefault(c => c.Path == path);
        var reason = other is not null ? $"its manifest has SHA-256 {other.Digest}; {wanted.Digest} was registered"
            : Directory.Exists(path) ? $"{Path.Combine(path, Manifest.FileName)} is not there" : $"{path} is not there";
        Refuse(path, wanted.Step, reason, wanted.Digest, refusals, beyondStart: true);
    }

    /// <param name="beyondStart">It shows that this round of the stage has been beyond step 0.</param>
    private void Refuse(string path, long step, string reason, string digest, List<string> refusals, bool beyondStart)
    {
        if (refusals.Any(r => r.StartsWith($"step {step}: ", StringComparison.Ordinal)))
        {
            return;
        }
        refusals.Add($"step {step}: {reason}");
        _link.Refused(Path.GetRelativePath(_root, path), reason, digest);
        var aside = Aside(RefusedPrefix, step, _bounds.Attempt);
        if (Directory.Exists(path) && StepOf(Path.GetFileName(path)) is not null && MoveAside(path, aside, step))
        {
            Leave(aside, $"{reason}\nrefused by attempt {_bounds.Attempt} of "
                + $"{_bounds.Run}/{_bounds.Stage}{(beyondStart ? OfThisRound : "")}\n");
        }
    }

    private string OfThisRound => $", registration '{_bounds.Registration}', round after attempt {_bounds.RoundBegan}.";

    /// <summary>This launch or an earlier one refused a checkpoint of this round, so the stage has been beyond step 0.</summary>
    private bool RefusedInThisRound() => Directory.EnumerateDirectories(Folder, $"{RefusedPrefix}step-*")
        .Select(d => new FileInfo(Path.Combine(d, RefusalName)))
        .Any(f =>
            f is { Exists: true, LinkTarget: null, Length: > 0 and < RefusalBytesMax }
                && File.ReadAllText(f.FullName).Contains(OfThisRound, StringComparison.Ordinal));

    private static void Leave(string folder, string refusal)
    {
        try
        {
            File.WriteAllText(Path.Combine(folder, RefusalName), refusal);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // For people, and for a launch that nobody was told of; the control plane has been told.
        }
    }
}
