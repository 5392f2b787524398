using System.Collections.Immutable;
using System.Security.Cryptography;
using System.Text;

namespace DeepSeekOps.Decisions.Audit;

/// <summary>
/// Which lines of a timeline tell of something that the system did by itself. What nobody thought of counts as an act: better a line
/// too many than one that is missing.
/// </summary>
public static class SystemActs
{
    /// <summary>What was only seen, or is the end of something that has a line of its own.</summary>
    public static readonly ImmutableHashSet<string> NoActs =
    [
        "agent-back", "approval-wanted", "checkpoint", "checkpoint-found", "completed", "disk-free", "disk-full", "loss-flagged",
        "loss-judged", "loss-verified", "note", "queued", "recovered", "started", "straggler", "verified",
    ];

    private static readonly ImmutableHashSet<string> Schedulers =
        ["placed", "joined", "preempted", "drained", "shrunk", "growing", "grown-back", "cluster-stopped"];

    /// <summary>What follows a person's word, which has a line of its own before it.</summary>
    private static readonly ImmutableHashSet<string> CarriedOut = ["paused", "resumed", "cancelled", "retried", "undone", "not-undone"];

    /// <summary>Null: nothing was done by the system.</summary>
    public static AuditAct? Of(RunEvent told, bool simulated)
    {
        if (NoActs.Contains(told.Kind))
        {
            return null;
        }

        string target = told.Stage.Length == 0 ? told.Run : told.Attempt > 0
            ? FormattableString.Invariant($"{told.Run}/{told.Stage} attempt {told.Attempt}") : $"{told.Run}/{told.Stage}";
        string who = told.Stage.Length == 0 || CarriedOut.Contains(told.Kind) ? "runs"
            : Schedulers.Contains(told.Kind) ? "scheduler" : "recovery";
        return new AuditAct(IdOf(told), told.At, who, "system", told.Node.Length > 0 ? $"about {told.Node}" : "", told.Kind, told.Run,
            target, simulated ? $"simulated: {told.Text}" : told.Text, AuditAct.Done);
    }

    /// <summary>What is new in an outbox that only grows at its end.</summary>
    public static ImmutableArray<AuditAct> Of(ImmutableArray<RunEvent> before, ImmutableArray<RunEvent> after, bool simulated) =>
        [.. after.Skip(before.Length).Select(told => Of(told, simulated)).OfType<AuditAct>()];

    /// <summary>Of what it says, so that an event that is told again after a crash is the same act.</summary>
    private static string IdOf(RunEvent told)
    {
        string said = FormattableString.Invariant(
            $"{told.At:O}\n{told.Run}\n{told.Stage}\n{told.Attempt}\n{told.Kind}\n{told.Node}\n{told.Text}");
        return Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(said)))[..32];
    }
}
