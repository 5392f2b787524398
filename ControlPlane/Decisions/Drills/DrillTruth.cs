namespace DeepSeekOps.Decisions.Drills;

/// <summary>What was injected: what an incident is held against.</summary>
/// <param name="Rank">Null: no single rank was struck.</param>
/// <param name="Step">The newest that was told when it was injected.</param>
/// <param name="IncidentsBefore">Number of the stage's newest incident then; 0: there was none.</param>
/// <param name="What">In words, with pids and names of files.</param>
public sealed record DrillTruth(
    DrillFault Fault, StageId Stage, int Attempt, int? Rank, string Node, long Step, DateTimeOffset At, int IncidentsBefore, string What)
{
    /// <summary>Of a checkpoint that was damaged: its path as the stage knows it. Empty: none was.</summary>
    public string Checkpoint { get; init; } = "";

    /// <summary>The file in it.</summary>
    public string File { get; init; } = "";

    /// <summary>Of a fault that strikes the control plane itself: what the command saw of it. Null: any other.</summary>
    public OutageSeen? Outage { get; init; }
}
