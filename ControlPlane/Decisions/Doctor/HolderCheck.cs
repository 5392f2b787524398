using System.Collections.Immutable;

namespace DeepSeekOps.Decisions.Doctor;

/// <summary>The key of an installation, as it lies there.</summary>
/// <param name="Given">It was named by --key-file, and is not the data directory's own.</param>
public sealed record KeyFacts(string Path, bool Given)
{
    public bool Exists { get; init; }

    public int? Mode { get; init; }

    public string? Owner { get; init; }

    /// <summary>Why it could not be looked at; empty: it could.</summary>
    public string Unseen { get; init; } = "";

    /// <summary>Why it is no key; empty: it is one.</summary>
    public string Trouble { get; init; } = "";

    /// <summary>The folder was in use before: another key shuts out whoever had the old one.</summary>
    public bool FolderUsed { get; init; }
}

/// <summary>Who works on the data directory.</summary>
public sealed record HolderFacts(string Folder)
{
    /// <summary>Another process has the folder's lock. Null: not known.</summary>
    public bool? Locked { get; init; }

    /// <summary>As dsops.pid says; empty: it says nothing.</summary>
    public string LockPid { get; init; } = "";

    public bool ControlFile { get; init; }

    /// <summary>The folder is not ours to enter.</summary>
    public bool Unseen { get; init; }

    /// <summary>Why control-plane.json could not be read.</summary>
    public string ControlFileTrouble { get; init; } = "";

    public int ControlPid { get; init; }

    public bool ControlProcessLives { get; init; }

    public string ControlAddress { get; init; } = "";

    /// <summary>Whether it answers at its address. Null: it was not asked.</summary>
    public bool? Answers { get; init; }

    /// <summary>What it says that it misses; empty: nothing, or it was not asked.</summary>
    public string NotReady { get; init; } = "";
}

/// <summary>The key file, and whether another control plane has the folder.</summary>
public static class HolderCheck
{
    private const int Others = 0b111_111;

    public static Finding Of(KeyFacts seen, string user)
    {
        const string check = "data.key";
        if (seen.Unseen.Length > 0)
        {
            return Finding.NotKnown(check, $"{seen.Path} could not be looked at: {seen.Unseen}", "Run as the user that dsops runs as.");
        }

        if (!seen.Exists)
        {
            return seen.Given
                ? Finding.Fault(check, $"--key-file {seen.Path} is not there",
                    "Copy dsops.key of the data directory of the first control plane there.")
                : seen.FolderUsed
                ? Finding.Warning(check, $"{seen.Path} is gone, and the folder was in use: a start makes a new key, and everybody needs "
                    + "the new token and address", "Put the old one back from a backup, if there is one.")
                : Finding.Ok(check, "no key yet; the first start makes one");
        }

        string shut = $"`chmod 600 {seen.Path}`{(seen.Given ? "" : "; who may have read it? To renew it: stop dsops, delete it, start")}.";
        string open = seen.Mode is { } mode && (mode & Others) != 0
            ? $"{seen.Path} has mode {FolderCheck.Octal(mode)}: others may read what opens every door" : "";
        return seen.Trouble.Length > 0
            ? Finding.Fault(check, $"{seen.Path} {seen.Trouble}", "Put the right one back, or move it away: a new key is made, and "
                + "everybody needs the new token and address.")
            // A secret that Kubernetes mounts is 0644 in a pod that nobody else is in.
            : open.Length > 0 ? new Finding(check, seen.Given ? FindingLevel.Warning : FindingLevel.Fault, open, shut)
            : seen.Owner is { } owner && owner != user && !seen.Given
            ? Finding.Fault(check, $"{seen.Path} belongs to {owner}, and dsops runs as {user}", $"`chown {user} {seen.Path}`.")
            : seen.Mode is null ? Finding.NotKnown(check, $"{seen.Path} is a key; who may read it this system does not tell")
            : Finding.Ok(check, $"{seen.Path} is a key that nobody else may read");
    }

    public static ImmutableArray<Finding> Of(HolderFacts seen) => [Lock(seen), Control(seen)];

    private static Finding Lock(HolderFacts seen)
    {
        const string check = "data.holder";
        string who = seen.LockPid.Length > 0 ? $"pid {seen.LockPid}" : "another process";
        return seen.Locked switch
        {
            null => Finding.NotKnown(check, "whether another control plane has the folder could not be seen"),
            false => Finding.Ok(check, "no other control plane has the folder"),
            true when seen.Answers == false => Finding.Fault(check,
                $"{who} has the folder, and nothing answers at {seen.ControlAddress}: it hangs, or is only starting",
                $"Look at {seen.Folder}/logs/control-plane.log; if it hangs, `kill -9 {seen.LockPid}`, and start again: workers train on."),
            true when seen.NotReady.Length > 0 => Finding.Fault(check,
                $"the control plane of this folder runs ({who}) and is not ready: {seen.NotReady}",
                $"Mend what it names; {seen.Folder}/logs/control-plane.log has more."),
            true when seen.Answers == true => Finding.Ok(check, $"the control plane of this folder runs ({who}) and is ready; what follows "
                + "is looked at beside it"),
            true => Finding.Warning(check, $"a control plane has the folder ({who}): a second start here is refused (exit code 3)",
                "Stop that one, or choose another folder: --data-dir DIR."),
        };
    }

    private static Finding Control(HolderFacts seen)
    {
        const string check = "data.control-file";
        string fix = $"Start dsops, which writes it anew, or delete {seen.Folder}/control-plane.json.";
        return seen.Unseen ? Finding.NotKnown(check, "whether there is a control-plane.json could not be seen")
            : seen.ControlFileTrouble.Length > 0
            ? Finding.Warning(check, $"control-plane.json cannot be read ({seen.ControlFileTrouble}): verbs find no control plane", fix)
            : !seen.ControlFile ? Finding.Ok(check, "no control-plane.json: none runs here")
            : !seen.ControlProcessLives
            ? Finding.Warning(check, $"control-plane.json is stale: it names pid {seen.ControlPid}, which is no dsops that runs (killed, "
                + "or the machine was restarted)", fix)
            : seen.Answers == false
            ? Finding.Warning(check, $"control-plane.json names {seen.ControlAddress}, where nothing answers", fix)
            : Finding.Ok(check, $"control-plane.json names {seen.ControlAddress}, pid {seen.ControlPid}");
    }
}
