using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Serialization;

namespace DeepSeekOps.Decisions.People;

/// <summary>An API token as the list has it; what opens a door, the secret, is nowhere but with who holds it.</summary>
/// <param name="Team">Empty: of every team.</param>
/// <param name="By">Who made it.</param>
public sealed record AccessToken(
    string Id, string Name, Role Role, string Team, DateTimeOffset CreatedAt, DateTimeOffset ExpiresAt, string By)
{
    /// <summary>Ours: as long as a quarter's work; who wants a year says so.</summary>
    public static readonly TimeSpan UsualLife = TimeSpan.FromDays(90);

    /// <summary>Ours: a token that nobody renews within a year is one that nobody remembers.</summary>
    public static readonly TimeSpan LongestLife = TimeSpan.FromDays(366);

    /// <summary>Ours: who starts a control plane for the first time sits before it.</summary>
    public static readonly TimeSpan LifeOfOnce = TimeSpan.FromHours(1);

    /// <summary>
    /// Ours: of what a person of OIDC made, and all that is made with it. Who has left is off the provider's list the same day, and off
    /// ours within a month, since nobody tells us.
    /// </summary>
    public static readonly TimeSpan LongestLifeOfPersons = TimeSpan.FromDays(30);

    private const string Begins = "dsops";
    private const int SecretBytes = 32;

    /// <summary>Printed at a start; makes one token and is used up by it.</summary>
    public bool Once { get; init; }

    /// <summary>Who signed in, or made it. Null: nobody of OIDC.</summary>
    public Person? Person { get; init; }

    /// <summary>No text opens a door for it: it is what the cookie of a person names who signed in by OIDC.</summary>
    public bool SignIn { get; init; }

    [JsonIgnore]
    public Holder Holder => new(Name, Role, Team, Id)
    {
        Once = Once, Person = Person, SignedIn = SignIn, MakesUntil = Person is null || SignIn ? null : ExpiresAt,
    };

    /// <summary>Of the same person, with more than he has been given now.</summary>
    public bool IsMoreThan(Grant? now) => now is null || Role > now.Role
        || (now.Team.Length > 0 && !string.Equals(Team, now.Team, StringComparison.OrdinalIgnoreCase));

    /// <summary>"dsops_ID_SECRET": scanners of repositories find it by its beginning.</summary>
    /// <param name="random">At least 32 bytes that nobody can guess.</param>
    public static string Text(string id, ReadOnlySpan<byte> random) =>
        $"{Begins}_{id}_{Base64Url.EncodeToString(random[..SecretBytes]).Replace('_', '.')}";

    /// <summary>Null: no token of this form.</summary>
    public static (string Id, byte[] Digest)? Parse(string text) => text.Split('_') is [Begins, { Length: > 0 } id, { Length: > 0 } secret]
        && id.All(char.IsAsciiLetterOrDigit) ? (id, DigestOf(secret)) : null;

    /// <summary>256 random bits need no slow hash: nobody guesses them, and a list of digests opens nothing.</summary>
    private static byte[] DigestOf(string secret) => SHA256.HashData(Encoding.UTF8.GetBytes(secret));
}
