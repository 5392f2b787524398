using System.Collections.Immutable;

namespace DeepSeekOps.Decisions.People;

/// <summary>What a value of the roles claim gives.</summary>
/// <param name="Team">Empty: of every team.</param>
public sealed record Grant(string Value, Role Role, string Team);

/// <summary>Values of the roles claim, and the role and team that each gives.</summary>
public sealed record Grants(ImmutableArray<Grant> All)
{
    /// <summary>Somebody can come in who may make tokens for everybody.</summary>
    public bool HaveAdmin => All.Any(g => g is { Role: Role.Admin, Team: "" });

    /// <summary>
    /// A sign-in has one role and one team: the highest role; of every team before one team; of several teams the one written first.
    /// </summary>
    /// <returns>Null: none of the values gives anything, and who has them is let in nowhere.</returns>
    public Grant? Of(IEnumerable<string> values)
    {
        var had = values.ToHashSet(StringComparer.Ordinal);
        return All.Where(g => had.Contains(g.Value)).OrderByDescending(g => g.Role).ThenBy(g => g.Team.Length > 0).FirstOrDefault();
    }
}
