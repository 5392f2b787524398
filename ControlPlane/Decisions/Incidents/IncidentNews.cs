using System.Collections.Immutable;

namespace DeepSeekOps.Decisions.Incidents;

/// <summary>What became of an incident, for who counts.</summary>
/// <param name="Cause">In words, as its diagnosis has it; "unknown" before there is one.</param>
public abstract record IncidentNews(string Cause)
{
    /// <summary>It was closed, or handed to a person.</summary>
    public sealed record Came(string Cause, IncidentState To) : IncidentNews(Cause);

    /// <summary>A rung of the ladder has decided.</summary>
    public sealed record Decided(string Cause, string Rung) : IncidentNews(Cause);

    /// <summary>The first step after what was decided.</summary>
    /// <param name="Took">From when it failed, as far as that is known, to that step.</param>
    public sealed record Back(string Cause, string Rung, TimeSpan Took) : IncidentNews(Cause);

    /// <summary>All that will be told of a recovery is: its trace is whole.</summary>
    /// <param name="Of">As it was then, which may be the incident before this one, or this one before it failed again.</param>
    public sealed record Traced(string Cause, Incident Of) : IncidentNews(Cause);

    /// <param name="before">As it was when it was last counted. Null: there was none.</param>
    public static ImmutableArray<IncidentNews> Between(Incident? before, Incident now)
    {
        if (ReferenceEquals(before, now))
        {
            return [];
        }

        var same = before?.Number == now.Number ? before : null;
        string cause = now.Diagnosis?.Cause ?? "unknown";
        var news = ImmutableArray.CreateBuilder<IncidentNews>();
        if (now.Decision is { } decision && decision.At != same?.Decision?.At && decision.Rung is not IncidentDecision.Withheld)
        {
            news.Add(new Decided(cause, decision.Rung));
        }

        // What was only told was not recovered from: the gang trained on.
        if (now is { Outcome: { } outcome, Decision: { } done } && same?.Outcome is null && done.Rung != IncidentDecision.Advice)
        {
            var took = outcome.FirstStepAt - (now.HappenedAt ?? now.OpenedAt);
            news.Add(new Back(cause, done.Rung, took > TimeSpan.Zero ? took : TimeSpan.Zero));
        }

        if (before is { LaunchDue: not null } waited && (now.LaunchDue is null || now.TraceId != waited.TraceId || same is null))
        {
            news.Add(new Traced(waited.Diagnosis?.Cause ?? "unknown", same?.TraceId == now.TraceId ? now : waited));
        }
        else if (now is { Outcome: not null, LaunchDue: null } && news.Any(n => n is Back))
        {
            news.Add(new Traced(cause, now));
        }
        else if (now is { State: IncidentState.NeedsHuman, Outcome: null, TakenBy: "" } && same?.State != now.State)
        {
            news.Add(new Traced(cause, now));
        }

        if (now.State is IncidentState.Closed or IncidentState.NeedsHuman && now.State != same?.State)
        {
            news.Add(new Came(cause, now.State));
        }

        return news.ToImmutable();
    }
}
