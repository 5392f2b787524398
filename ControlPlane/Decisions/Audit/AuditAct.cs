using System.Collections.Immutable;

namespace DeepSeekOps.Decisions.Audit;

/// <summary>Something that a person or the system did, or was refused.</summary>
/// <param name="Id">The same act told twice is one line.</param>
/// <param name="Who">A person's name, or which part of the system: "recovery", "scheduler", "runs", "cluster".</param>
/// <param name="By">How that is known: "system", "owner's token", "token ci of team alpha (operator)".</param>
/// <param name="From">The door and where the call came from: "cli on laptop", "page, 127.0.0.1", "TrainingPipeline dsops/mini".</param>
/// <param name="Act">"cancel-run", "cordon-node"; of the system the kind of its event: "placed", "rank-exited".</param>
/// <param name="Run">Empty: of no run.</param>
/// <param name="Target">What it was done to: a run, run/stage, a node, a token.</param>
/// <param name="Why">The reason that was given, or the planner's own sentence. Empty: none was given.</param>
/// <param name="Outcome">"done", "begun" of what is written down before it is done, or "refused: " and why.</param>
public sealed record AuditAct(
    string Id, DateTimeOffset At, string Who, string By, string From, string Act, string Run, string Target, string Why, string Outcome)
{
    public const string Done = "done";

    public const string Begun = "begun";

    /// <summary>Ours: a planner's longest sentence has about 600 characters, and a person's reason at most 1,000.</summary>
    public const int WordsMost = 2_000;

    public static string Refused(string why) => $"refused: {why}";
}

/// <summary>A record that is written together with what was done to bring it about.</summary>
public interface IWithActs
{
    ImmutableArray<AuditAct> Acts { get; }
}
