using System.Collections.Immutable;
using System.Diagnostics;

namespace DeepSeekOps.Decisions.Drills;

/// <summary>What a drill breaks.</summary>
public enum DrillFault
{
    /// <summary>SIGKILL of one rank.</summary>
    KillRank = 0,
    /// <summary>SIGKILL of one agent; its ranks end with it.</summary>
    KillAgent = 1,
    /// <summary>SIGKILL of an agent and all of its ranks at once.</summary>
    KillNode = 2,
    /// <summary>SIGSTOP of one rank: its sockets stay open, and it makes no progress.</summary>
    Hang = 3,
    /// <summary>One gradient of one rank becomes NaN, in one step.</summary>
    NotANumber = 4,
    /// <summary>The learning rate of the next steps is multiplied, once.</summary>
    Spike = 5,
    /// <summary>The newest checkpoint is damaged on disk, and the gang loses what it has in memory.</summary>
    CorruptCheckpoint = 6,
    /// <summary>SIGSTOP of one agent for a while: its ranks train on, and nobody hears of them.</summary>
    LoseContact = 7,
    /// <summary>One rank takes half as long again for its own work, for a while.</summary>
    Slow = 8,
    /// <summary>SIGKILL of the control plane; it is started again as it was.</summary>
    KillControlPlane = 9,
    /// <summary>Another program holds the database's write lock for a while.</summary>
    DatabaseDown = 10,
    /// <summary>The file system of the checkpoints has no room left for a while.</summary>
    FillDisk = 11,
}

public static class DrillFaults
{
    /// <summary>As `--fault` takes them.</summary>
    public static ImmutableArray<string> Names { get; } = [.. Enum.GetValues<DrillFault>().Select(NameOf)];

    public static string NameOf(this DrillFault fault) => fault switch
    {
        DrillFault.KillRank => "kill-rank",
        DrillFault.KillAgent => "kill-agent",
        DrillFault.KillNode => "kill-node",
        DrillFault.Hang => "hang",
        DrillFault.NotANumber => "nan",
        DrillFault.Spike => "spike",
        DrillFault.CorruptCheckpoint => "corrupt-checkpoint",
        DrillFault.LoseContact => "lose-contact",
        DrillFault.Slow => "slow",
        DrillFault.KillControlPlane => "kill-control-plane",
        DrillFault.DatabaseDown => "database-down",
        DrillFault.FillDisk => "fill-disk",
        _ => throw new UnreachableException($"fault {fault}"),
    };

    /// <summary>It strikes whoever would answer: the command that asks for it does it.</summary>
    public static bool IsOutage(this DrillFault fault) => fault is DrillFault.KillControlPlane or DrillFault.DatabaseDown;

    /// <summary>Null: there is none of that name.</summary>
    public static DrillFault? Parse(string name) =>
        Names.IndexOf(name) is var at and >= 0 ? Enum.GetValues<DrillFault>()[at] : null;
}
