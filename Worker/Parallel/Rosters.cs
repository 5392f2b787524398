using Wire = DeepSeekOps.Contracts.Worker.V1;

namespace DeepSeekOps.Worker.Parallel;

/// <summary>Rosters as they travel.</summary>
public static class Rosters
{
    public static Roster Of(Wire.GangRoster roster) =>
        Roster.Of(roster.Gang, roster.Term, roster.Token, roster.Members.Select(m => new GangMember(m.Rank, m.Host, m.Port)));

    public static Wire.GangRoster ToProto(Roster roster) => new()
    {
        Gang = roster.Gang, Term = roster.Term, Token = roster.Token,
        Members = { roster.Members.Select(m => new Wire.GangMember { Rank = m.Rank, Host = m.Host, Port = m.Port }) },
    };
}
