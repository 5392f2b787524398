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

    /// <summary>
    /// What an agent found damaged beside the training. It lies where a launch would have put it, so that no retention counts it for a good
    /// one; that the ranks write into the same folder meanwhile is nothing to either.
    /// </summary>
    /// <param name="path">Relative to the root.</param>
    /// <returns>Why it could not be moved; null: it is, or is gone, or another one lies there by now.</returns>
    public static string? SetAside(LaunchBounds bounds, string root, string path, string digest, string reason)
    {
        var from = Path.Combine(root, path);
        var folder = Path.Combine(root, bounds.Run, bounds.Stage);
        if (!Directory.Exists(from) || Path.GetDirectoryName(from) != folder || StepOf(Path.GetFileName(from)) is not { } step
            || (Read(from, out _) is { Sized: true } there && there.Digest != digest))
        {
            return null;
        }
        var aside = Aside(folder, RefusedPrefix, step, bounds.Attempt);
        try
        {
            Directory.Move(from, aside);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return e.Message.TrimEnd('.');
        }
        Leave(aside, $"{reason}\nrefused beside attempt {bounds.Attempt} of {bounds.Run}/{bounds.Stage}{RoundOf(bounds)}\n");
        return null;
    }

    private string OfThisRound => RoundOf(_bounds);

    private static string RoundOf(LaunchBounds bounds) =>
        $", registration '{bounds.Registration}', round after attempt {bounds.RoundBegan}.";

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
