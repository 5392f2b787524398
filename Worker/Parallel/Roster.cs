using System.Collections.Immutable;

namespace DeepSeekOps.Worker.Parallel;

/// <summary>Where a rank of the gang is reached.</summary>
public sealed record GangMember(int Rank, string Host, int Port);

/// <summary>Who is in a gang, by rank, in one forming of it. No rank hosts the meeting: whoever formed it tells everybody.</summary>
/// <param name="Gang">Its name: ranks of different gangs never talk.</param>
/// <param name="Term">Grows with each forming; what comes from an older one is refused.</param>
/// <param name="Token">Known to the gang's ranks alone.</param>
public sealed record Roster(string Gang, long Term, string Token, ImmutableArray<GangMember> Members)
{
    /// <exception cref="InvalidDataException">Ranks are missing, or named twice.</exception>
    public static Roster Of(string gang, long term, string token, IEnumerable<GangMember> members)
    {
        ImmutableArray<GangMember> ordered = [.. members.OrderBy(m => m.Rank)];
        for (var rank = 0; rank < ordered.Length; rank++)
        {
            if (ordered[rank].Rank != rank)
            {
                throw new InvalidDataException($"The roster of {gang} names {ordered.Length} ranks but not each of 0 to "
                    + $"{ordered.Length - 1} once: rank {rank} is missing.");
            }
        }
        return new Roster(gang, term, token, ordered);
    }
}
