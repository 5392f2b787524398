namespace DeepSeekOps.Decisions.People;

/// <summary>Who may do what. Every refusal says what was shown, what is needed, and where to get it.</summary>
public static class Rights
{
    /// <summary>The one act that a one-time code is for.</summary>
    public const string CreateToken = "create-token";

    public static string TeamInWords(string team) => team.Length == 0 ? "every team" : $"team {team}";

    public static bool Reaches(Holder who, string team) =>
        who.Team.Length == 0 || string.Equals(who.Team, team, StringComparison.OrdinalIgnoreCase);

    /// <summary>Null: the call goes on. What it reaches of runs is asked by <see cref="RefusalOfRun"/>.</summary>
    /// <param name="run">Empty: the call names none.</param>
    public static string? Refusal(Holder who, string act, Need need, string run)
    {
        if (who.Once && act != CreateToken)
        {
            return $"{act} is not what a one-time code is for: it makes the first admin's token, once. "
                + "`dsops tokens create NAME --role admin` does.";
        }

        bool everyTeam = need.Reach is Reach.EveryTeam || (need.Reach is Reach.RunOrEveryTeam && run.Length == 0);
        if (who.Role < need.Role)
        {
            return $"{act} needs the role {Name(need.Role)}{(everyTeam ? " of every team" : "")}; what was shown is the {who.InWords}. "
                + Ask(need.Role, everyTeam ? "" : who.Team);
        }

        return everyTeam && who.Team.Length > 0
            ? $"{act} reaches what all teams share, so it needs the role {Name(need.Role)} of every team; what was shown is the "
                + $"{who.InWords}. " + Ask(need.Role, "")
            : null;
    }

    /// <param name="team">Of the run; null: there is no such run, which is told in the same words as one of another team.</param>
    public static string? RefusalOfRun(Holder who, string act, string run, string? team) =>
        who.Team.Length == 0 || (team is not null && Reaches(who, team)) ? null
            : $"{act} of {run}: what was shown is the {who.InWords}, and {run} is of another team, or is not there. "
                + "Use a token of its team, or of every team.";

    /// <summary>Nobody hands on more than he has.</summary>
    public static string? RefusalOfToken(Holder who, Role role, string team) => Reaches(who, team) && role <= who.Role ? null
        : $"A token with the role {Name(role)} of {TeamInWords(team)} is more than what was shown: the {who.InWords}. "
            + $"Choose --team {who.Team}, or ask an admin of every team.";

    /// <summary>Until when a new token opens doors, where nothing was asked for.</summary>
    public static DateTimeOffset UsualEnd(Holder who, DateTimeOffset now) =>
        Earlier(now + AccessToken.UsualLife, LatestEnd(who, now));

    /// <summary>
    /// What somebody of OIDC hands on ends soon, whoever holds it then: nobody here is told when he leaves. Otherwise an admin could sign
    /// in once and come for ever.
    /// </summary>
    public static DateTimeOffset LatestEnd(Holder who, DateTimeOffset now) => who.Person is null ? now + AccessToken.LongestLife
        : Earlier(who.MakesUntil ?? DateTimeOffset.MaxValue, now + AccessToken.LongestLifeOfPersons);

    private static DateTimeOffset Earlier(DateTimeOffset one, DateTimeOffset other) => one < other ? one : other;

    public static string Name(Role role) => role.ToString().ToLowerInvariant();

    private static string Ask(Role role, string team) =>
        $"Ask an admin for one: `dsops tokens create NAME --role {Name(role)}{(team.Length > 0 ? $" --team {team}" : "")}`.";
}
