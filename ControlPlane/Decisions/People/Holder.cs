namespace DeepSeekOps.Decisions.People;

/// <summary>Each may all that those before it may.</summary>
public enum Role
{
    Viewer = 1,
    Operator = 2,
    Admin = 3,
}

/// <summary>Whose things an act touches.</summary>
public enum Reach
{
    /// <summary>Nobody's in particular: whoever was let in.</summary>
    Any = 0,

    /// <summary>One run: whoever is of its team, or of every team.</summary>
    Run = 1,

    /// <summary>As <see cref="Run"/>; where it names no run it is a list, which has the caller's team alone.</summary>
    RunOrList = 2,

    /// <summary>As <see cref="Run"/>; where it names no run it is about everything, for who is of every team.</summary>
    RunOrEveryTeam = 3,

    /// <summary>Nodes, queue and settings that all teams share.</summary>
    EveryTeam = 4,

    /// <summary>The team stands in what is sent; the call asks when it has read it.</summary>
    InTheText = 5,
}

/// <summary>What an act asks of who wants to do it.</summary>
public sealed record Need(Role Role, Reach Reach);

/// <summary>Who was let in.</summary>
/// <param name="Name">Of the token; empty: nobody said.</param>
/// <param name="Team">Empty: of every team.</param>
/// <param name="TokenId">Empty: the owner's token, which is no entry of the list.</param>
public sealed record Holder(string Name, Role Role, string Team, string TokenId)
{
    /// <summary>Whoever can read the data directory.</summary>
    public static readonly Holder Owner = new("", Role.Admin, "", "");

    /// <summary>Printed at a start, to make the first admin's token and for nothing else.</summary>
    public bool Once { get; init; }

    /// <summary>Who came by OIDC, or made the token. Null: nobody of OIDC.</summary>
    public Person? Person { get; init; }

    /// <summary>By OIDC, with his own name; not by a token that was made.</summary>
    public bool SignedIn { get; init; }

    /// <summary>No token that is made with this one lasts longer. Null: there is no such end.</summary>
    public DateTimeOffset? MakesUntil { get; init; }

    public bool IsOwner => TokenId.Length == 0;

    public string InWords => IsOwner ? "owner's token" : Once ? "one-time code"
        : SignedIn && Person is not null ? $"sign-in of {Name} ({RoleInWords}; {Person.Subject} at {Person.Issuer})"
        : $"token {Name} ({RoleInWords})";

    private string RoleInWords => $"{Role.ToString().ToLowerInvariant()} of {Rights.TeamInWords(Team)}";
}
