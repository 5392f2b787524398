using System.Text.Json.Serialization;

namespace DeepSeekOps.Decisions.Incidents;

/// <summary>
/// A person keeps automation from acting on a run: it watches on, and says what it would have done. A step that is not finite is acted on
/// all the same, since what comes after it is worth nothing.
/// </summary>
/// <param name="By">Who, as they named themselves.</param>
public sealed record PersonsHold(string By, string Why, DateTimeOffset Since)
{
    /// <summary>When it lets go by itself. Null: only a person ends it.</summary>
    public DateTimeOffset? Until { get; init; }

    /// <summary>The stage that it is for. Empty: whichever stage the run is at.</summary>
    public string Stage { get; init; } = "";

    /// <summary>The stage's incident that it is for, with whose end it lets go. 0: for none in particular.</summary>
    public int Incident { get; init; }

    /// <summary>The person works on the incident themselves, until they give it back.</summary>
    public bool Taken { get; init; }

    /// <summary>Null: nobody has ended it.</summary>
    public DateTimeOffset? EndedAt { get; init; }

    public string EndedBy { get; init; } = "";

    public string EndedWhy { get; init; } = "";

    public bool StandsFor(string stage, DateTimeOffset now) => Stands(now) && (Stage.Length == 0 || Stage == stage);

    public bool Stands(DateTimeOffset now) => EndedAt is null && !(Until is { } until && now >= until);

    /// <summary>"held by ann since 2026-01-01 12:00:00 UTC until 13:00:00".</summary>
    [JsonIgnore]
    public string InWords => $"{(Taken ? "taken over" : "held")} by {By} since {Since:yyyy-MM-dd HH:mm:ss} UTC"
        + (Until is { } until ? $" until {until:yyyy-MM-dd HH:mm:ss} UTC" : "");
}

/// <summary>A person takes back what was done for an incident. Grows with each asking, so that none is answered twice.</summary>
public sealed record UndoWish(int Asked, string Stage, int Incident, string By, string Why);

/// <summary>Whether what was done for an incident can be taken back.</summary>
/// <param name="Words">What taking it back does; or why it cannot be, and what may be done instead.</param>
public sealed record UndoAnswer(bool Can, string Words);
