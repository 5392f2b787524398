using System.Collections.Immutable;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using DeepSeekOps.Decisions.Health;

namespace DeepSeekOps.Decisions.Incidents;

/// <summary>What somebody did in a recovery.</summary>
/// <param name="Id">W3C span id, in hex.</param>
/// <param name="Parent">Of the span that it is part of. Empty: it is the whole.</param>
/// <param name="Node">Empty: the control plane did it.</param>
/// <param name="Rank">Null: the node's agent did it, or the control plane.</param>
public sealed record RecoverySpan(
    string Id, string Parent, string Name, DateTimeOffset Began, TimeSpan Took, string Node = "", int? Rank = null);

/// <summary>
/// A recovery as one trace: what is exported, what `dsops why` prints and what the incident's page draws. Ids are worked out from what it
/// is about, so that orders can name them before it is over and a control plane that tells it twice tells the same.
/// </summary>
public static class RecoveryTrace
{
    private const int TraceIdBytes = 16;
    private const int SpanIdBytes = 8;

    /// <summary>Of the recovery that begins with this failure.</summary>
    public static string IdOf(Incident incident, Failure failure) => Hex(
        TraceIdBytes, string.Create(CultureInfo.InvariantCulture,
            $"{incident.Stage}/{incident.Number}/{failure.Attempt}/{failure.NoticedAt.UtcTicks}"));

    /// <summary>Of an incident that an older version began it is worked out from what stands in it.</summary>
    public static string IdOf(Incident incident) => incident.TraceId.Length > 0 ? incident.TraceId : Hex(
        TraceIdBytes,
        string.Create(CultureInfo.InvariantCulture, $"{incident.Stage}/{incident.Number}/{incident.OpenedAt.UtcTicks}"));

    /// <summary>The whole recovery's span.</summary>
    public static string WholeOf(Incident incident) => SpanOf(IdOf(incident), "recovery");

    /// <summary>W3C traceparent that goes with the orders of an attempt. Empty: what is launched is told as part of no trace.</summary>
    public static string Traceparent(Incident incident, int attempt) =>
        incident.TraceId.Length == 0 ? "" : $"00-{incident.TraceId}-{LaunchOf(incident.TraceId, attempt)}-01";

    /// <summary>Each behind the one that it is part of. Empty: it has come to no end yet.</summary>
    public static ImmutableArray<RecoverySpan> Of(Incident incident)
    {
        var from = incident.HappenedAt ?? incident.OpenedAt;
        if (EndOf(incident) is not { } end)
        {
            return [];
        }

        var trace = IdOf(incident);
        var whole = new RecoverySpan(WholeOf(incident), "", "recovery", from, end > from ? end - from : TimeSpan.Zero);
        var spans = ImmutableArray.CreateBuilder<RecoverySpan>();
        spans.Add(whole);
        var at = from;
        foreach (var phase in incident.Phases)
        {
            spans.Add(new RecoverySpan(SpanOf(trace, $"phase {phase.Name}"), whole.Id, NameOf(phase), at, phase.Took));
            at += phase.Took;
        }

        if (incident.Launch is { } launch)
        {
            var ordered = incident.Diagnosis?.At ?? from;
            ordered = ordered < from ? from : ordered;
            var launched = new RecoverySpan(
                LaunchOf(trace, launch.Attempt), whole.Id, "launch", ordered, end > ordered ? end - ordered : TimeSpan.Zero);
            spans.Add(launched);
            AddShares(spans, launch, launched.Id, trace);
        }

        return spans.ToImmutable();
    }

    private static void AddShares(ImmutableArray<RecoverySpan>.Builder spans, LaunchAccount launch, string parent, string trace)
    {
        var taken = spans.Select(s => s.Id).ToHashSet();
        foreach (var node in launch.Shares.GroupBy(s => s.Node))
        {
            string above = parent;
            foreach (var share in node.OrderBy(s => s.Rank ?? -1))
            {
                string who = string.Create(CultureInfo.InvariantCulture, $"{launch.Attempt} {share.Node} {share.Rank}");
                // An agent chooses its own id, as its ranks got it; one that is another's would make the trace a knot.
                string id = share.Span.Length > 0 && taken.Add(share.Span) ? share.Span : SpanOf(trace, who);
                string name = share.Rank is { } rank ? $"rank {rank}" : $"agent on {share.Node}";
                spans.Add(new RecoverySpan(id, share.Rank is null ? parent : above, name, share.Began, share.Took, share.Node, share.Rank));
                above = share.Rank is null ? id : above;
                spans.AddRange(share.Parts.Select((part, place) => new RecoverySpan(
                    SpanOf(trace, $"{who} {place}"), id, part.What, part.Began, part.Took, share.Node, share.Rank)));
            }
        }
    }

    private static DateTimeOffset? EndOf(Incident incident) => incident switch
    {
        { Decision.Rung: IncidentDecision.Advice } => null,
        { Outcome: { } outcome } => outcome.FirstStepAt,
        { State: IncidentState.NeedsHuman, Steps: [.., var last] } => last.At,
        _ => null,
    };

    /// <summary>What control plane, agents and ranks did, one after the other, as the control plane has added it up.</summary>
    private static string NameOf(IncidentPhase phase) => phase.Name switch
    {
        "noticed" => "detect",
        "ended and placed" => "decide and act",
        var name => name,
    };

    private static string LaunchOf(string trace, int attempt) =>
        SpanOf(trace, string.Create(CultureInfo.InvariantCulture, $"launch {attempt}"));

    private static string SpanOf(string trace, string what) => Hex(SpanIdBytes, $"{trace} {what}");

    private static string Hex(int bytes, string of) =>
        Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(of)).AsSpan(0, bytes));
}
