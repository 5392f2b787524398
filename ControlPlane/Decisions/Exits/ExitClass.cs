using System.Collections.Immutable;

namespace DeepSeekOps.Decisions.Exits;

/// <summary>Whether a launch that changes nothing may end better.</summary>
public enum Retry
{
    /// <summary>It may. The stage's budgets bound it.</summary>
    Again = 0,
    /// <summary>
    /// Only where steps were made before: memory, handles or time ran out by and by, and a new process begins with all of them. Before a
    /// first step the next launch runs into the same wall.
    /// </summary>
    AfterSteps = 1,
    /// <summary>Only from another checkpoint, which the stage falls back to by itself.</summary>
    OlderCheckpoint = 2,
    /// <summary>Somebody has to change something first.</summary>
    Never = 3,
}

public static class Retries
{
    /// <summary>As scripts and documents name it.</summary>
    public static string InWords(this Retry retry) => retry switch
    {
        Retry.Again => "again",
        Retry.AfterSteps => "after-steps",
        Retry.OlderCheckpoint => "older-checkpoint",
        Retry.Never => "never",
        _ => throw new System.Diagnostics.UnreachableException($"retry {retry}"),
    };
}

/// <summary>A kind of end.</summary>
/// <param name="Id">Stable: scripts and stored states know it by this.</param>
/// <param name="Cause">What happened, in one clause.</param>
/// <param name="Fix">What to do, in one sentence.</param>
public sealed record ExitClass(string Id, string Cause, string Fix, Retry Retry)
{
    /// <summary>A launch that changes nothing may be made without further knowledge.</summary>
    public bool Retryable => Retry == Retry.Again;

    /// <summary>The machine that it ran on broke: the next launch goes elsewhere.</summary>
    public bool OfTheMachine { get; init; }

    /// <summary>A warning says that it will come, and then a signal ends the process.</summary>
    public bool Announced { get; init; }
}

/// <summary>The kinds of end that are told apart, each once. docs/exits.md lists them; a test compares the two.</summary>
public static class ExitClasses
{
    public const string Unknown = "unknown";
    public const string Finished = "finished";
    public const string HostMemory = "host-out-of-memory";
    public const string PeerEnded = "peer-ended";
    public const string BadData = "bad-data";
    public const string CheckpointDamaged = "checkpoint-damaged";
    public const string NotFinite = "not-finite";
    public const string AgentGone = "agent-gone";
    public const string EndedEarly = "ended-early";

    public static ImmutableArray<ExitClass> All { get; } =
    [
        // Memory.
        new(HostMemory, "the host's memory, or the limit of its container, ran out",
            "Ask for more memory, or make the program need less: fewer loader workers, smaller buffers, fewer ranks on the node.",
            Retry.AfterSteps)
        {
            Announced = true,
        },
        new("cuda-out-of-memory", "the GPU's memory ran out",
            "Make the micro-batch or the sequence smaller, recompute activations, or spread the model over more GPUs.", Retry.Never),
        new("shared-memory", "the container's shared memory (/dev/shm) ran out",
            "Give the container a larger /dev/shm, or the loader fewer workers.", Retry.Never),
        // GPU.
        new("gpu-broken", "the GPU or its link reported a hardware fault",
            "Take the node out and have the GPU looked at; the stage goes on elsewhere.", Retry.Again) { OfTheMachine = true },
        new("cuda-error", "a CUDA call failed while the GPU worked",
            "If it comes again on other nodes it is the program: run it with CUDA_LAUNCH_BLOCKING=1. On one node only: suspect its GPU.",
            Retry.Again),
        new("cuda-assert", "a kernel's own check failed on the device: most often an index outside a table",
            "Look for token ids or labels outside the vocabulary; CUDA_LAUNCH_BLOCKING=1 names the kernel.", Retry.Never),
        new("cuda-unusable", "no GPU can be used here: driver, device and program do not fit each other",
            "Match driver, CUDA version and GPU of the node with what the program was built for, or train on cpu.", Retry.Never),
        // Ranks together.
        new("nccl-timeout", "a collective call was waited for in vain: some rank did not come",
            "Look for the rank that is behind: its log has the cause, those of the others have only this.", Retry.Again),
        new("nccl-error", "NCCL failed below the program: network, driver or a peer",
            "If it comes again, run with NCCL_DEBUG=INFO and look at the network of the nodes named.", Retry.Again),
        new("nccl-misuse", "ranks called NCCL with arguments that do not fit together",
            "Check that each rank has a GPU of its own, the same program and the same order of calls.", Retry.Never),
        new(PeerEnded, "another rank ended first, and this one with it",
            "Look at the rank that ended first: nothing is wrong with this one.", Retry.Again),
        new("network", "another machine could not be reached or broke the connection off",
            "If it comes again, check that the nodes see each other: names, routes, firewalls.", Retry.Again),
        new("port-in-use", "a port that it has to listen on is taken",
            "End what holds the port, or let the system choose one; it is often free again soon.", Retry.Again),
        // The process.
        new("segmentation-fault", "the process touched memory that it does not have",
            "If it comes again at the same place it is the program or a library: keep the core file and its stack.", Retry.Again),
        new("bus-error", "the process touched memory whose file or page is gone",
            "Look for files that became shorter while they were mapped, and for a full /dev/shm.", Retry.Again),
        new("illegal-instruction", "the processor does not know an instruction of the program",
            "Use a build for this processor (most often AVX-512 or AVX2 is missing).", Retry.Never),
        new("arithmetic-fault", "the processor stopped at an integer division by zero or the like",
            "It is the program: keep the core file and its stack.", Retry.Again),
        new("aborted", "the process ended itself by abort()", "Its last words on standard error say why.", Retry.Again),
        new("killed", "something ended the process by SIGKILL", "Ask who did: a person, a script, or the kernel for lack of memory.",
            Retry.Again),
        new("terminated", "somebody asked the process to end", "Ask who did: a person, a launcher, a shutdown of the node.", Retry.Again),
        new("preempted", "its place was taken for other work", "It goes on when it has a place again.", Retry.Again) { Announced = true },
        new("node-lost", "the machine went away", "Look at the machine; the stage goes on elsewhere.", Retry.Again)
        {
            OfTheMachine = true, Announced = true,
        },
        new("time-limit", "the time that it was given ran out",
            "Give it more time; what was saved goes on from its checkpoint.", Retry.AfterSteps) { Announced = true },
        new("limit-reached", "a limit of the system on files or processes was reached",
            "Raise the limit (ulimit -n, ulimit -u, pids of the container), or find what opens without closing.", Retry.AfterSteps),
        new(EndedEarly, "the process ended itself with code 0 before its work was done",
            "Look for what calls exit: the program, a library, or a signal handler.", Retry.Again),
        new(AgentGone, "the agent that started the rank is gone", "Look at the agent's log of that node.", Retry.Again),
        // Programs and libraries.
        new("missing-library", "a library or module that the program needs is not there or does not fit",
            "Install what the line names, in the version that the program was built with.", Retry.Never),
        new("program-not-found", "the program is not there or cannot be run",
            "Check path, permission to run, and that it was built for this kind of machine.", Retry.Never),
        new("image-not-found", "the container's image cannot be had", "Check the image's name and the right to pull it.", Retry.Never),
        new("container-failed", "the container could not be made or started",
            "Read the reason that the line gives; if it comes again on one node only, look at that node's container runtime.", Retry.Again),
        new("no-place", "no node has room for what it asks for", "Ask for less, wait until others end, or add nodes of that kind.",
            Retry.Again),
        // Files.
        new("disk-full", "no space is left on a disk", "Free space, or write elsewhere.", Retry.Never),
        new("quota-exceeded", "the quota on a file system is used up", "Free space, or have the quota raised.", Retry.Never),
        new("no-permission", "a right is missing", "Give the user the right to what the line names.", Retry.Never),
        new("read-only", "the file system may only be read", "Mount it for writing, or write elsewhere.", Retry.Never),
        new("disk-error", "a disk or its path failed", "Take the node out and have its disk looked at.", Retry.Again)
        {
            OfTheMachine = true,
        },
        new("storage-lost", "the network file system went away", "Check the file server and the mount.", Retry.Again),
        new("file-missing", "a file that it should read is missing", "Put it where every node sees it, or correct the path.",
            Retry.Never),
        // What it was given.
        new(BadData, "the data, tokenizer or numbers that it was given cannot be trained on", "Mend what the line names.", Retry.Never),
        new(CheckpointDamaged, "a checkpoint is damaged or not whole", "Go on from an older checkpoint; keep the damaged one for a look.",
            Retry.OlderCheckpoint),
        new("checkpoint-mismatch", "the checkpoint is of another model or another layout",
            "Name a checkpoint of this model, or the shape that it was made with.", Retry.Never),
        new(NotFinite, "a loss, a gradient or a weight became NaN or infinite",
            "Leave the batch out, lower the learning rate or clip the gradient; the same numbers would break again.", Retry.Never),
        new("recipe-error", "the recipe or the command line asks for something that cannot be", "Correct what the line names.",
            Retry.Never),
        new("program-error", "the program has an error that the same input finds again",
            "Mend the program at the place that the line names.", Retry.Never),
        // What is not known closer.
        new("exception", "an exception ended it that is not known closer", "Read the line and what is above it.", Retry.Again),
        new(Finished, "it ended well", "There is nothing to do.", Retry.Never),
        new(Unknown, "its output does not say why", "Look at its whole output and at the node's own log (dmesg).", Retry.Again),
    ];

    private static readonly Dictionary<string, ExitClass> ById = All.ToDictionary(c => c.Id, StringComparer.Ordinal);

    /// <summary>A class that a newer version stored is one of which nothing is known.</summary>
    public static ExitClass Of(string id) => ById.GetValueOrDefault(id) ?? ById[Unknown];
}
