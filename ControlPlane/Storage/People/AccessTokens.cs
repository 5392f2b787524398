using System.Collections.Concurrent;
using System.Collections.Immutable;
using System.Security.Cryptography;
using DeepSeekOps.ControlPlane.Storage.Tables;
using DeepSeekOps.Decisions.Audit;
using DeepSeekOps.Decisions.People;
using Microsoft.EntityFrameworkCore;

namespace DeepSeekOps.ControlPlane.Storage.People;

/// <param name="Ended">Empty: it opens until its time is over.</param>
public sealed record KnownToken(AccessToken Token, string Ended)
{
    public bool Opens(DateTimeOffset now) => Ended.Length == 0 && now < Token.ExpiresAt;
}

/// <summary>The API tokens of people. Each call that shows one asks; what was read is remembered for some seconds.</summary>
public sealed class AccessTokens(WriteLanes lanes, OpsConnections connections, TimeProvider clock)
{
    /// <summary>
    /// A page makes some calls a second. What this process revokes is refused at once; what another silo revoked, after so long.
    /// </summary>
    public static readonly TimeSpan RememberedFor = TimeSpan.FromSeconds(5);

    /// <summary>Another silo may have revoked it: not for a night, and long enough for whoever is called to come.</summary>
    private static readonly TimeSpan RecalledFor = TimeSpan.FromHours(1);

    /// <summary>Of ids that people show; beyond it all are read again, so that made-up ones fill nothing.</summary>
    private const int Remembered = 1_000;

    private const string Insert =
        "INSERT INTO access_token (id, digest, body, ended, made) VALUES (@id, @digest, @body, '', '') ON CONFLICT (id) DO NOTHING";

    private const string Use = "UPDATE access_token SET ended = 'used', made = @id WHERE id = @code AND ended = ''";

    private const string InsertByCode = """
        INSERT INTO access_token (id, digest, body, ended, made) SELECT @id, @digest, @body, '', ''
        WHERE EXISTS (SELECT 1 FROM access_token WHERE id = @code AND made = @id) ON CONFLICT (id) DO NOTHING
        """;

    private const string Revoking = "UPDATE access_token SET ended = 'revoked' WHERE id = @id AND ended = ''";

    private const string Ending = "UPDATE access_token SET ended = @why WHERE id = @id AND ended = ''";

    private const string Forgetting = "DELETE FROM access_token WHERE id = @id";

    /// <summary>Sign-ins that are over stand in the audit log; in the list they would only be in the way.</summary>
    private static readonly TimeSpan KeptAfterwards = TimeSpan.FromDays(1);

    private readonly ConcurrentDictionary<string, (long At, KnownToken? Token, byte[] Digest)> read = new(StringComparer.Ordinal);

    /// <summary>Null: no such token, or another secret.</summary>
    public async Task<KnownToken?> Shown(string text, CancellationToken cancellation)
    {
        if (AccessToken.Parse(text) is not { } said)
        {
            return null;
        }

        var (known, digest) = await Read(said.Id, cancellation);
        return known is { Token.SignIn: false } && CryptographicOperations.FixedTimeEquals(digest, said.Digest) ? known : null;
    }

    /// <summary>
    /// As <see cref="Shown"/> while the database gives no answer, by what was last read of it. For metrics alone: whoever watches has to
    /// hear that the database is away, and a token cannot be revoked here meanwhile.
    /// </summary>
    public KnownToken? Recalled(string text) => AccessToken.Parse(text) is { } said && read.TryGetValue(said.Id, out var known)
        && clock.GetElapsedTime(known.At) < RecalledFor && CryptographicOperations.FixedTimeEquals(known.Digest, said.Digest)
            ? known.Token : null;

    /// <summary>For who has shown by something else that it is his.</summary>
    public async Task<KnownToken?> Named(string id, CancellationToken cancellation) => (await Read(id, cancellation)).Token;

    public async Task<List<KnownToken>> All(CancellationToken cancellation)
    {
        await using var context = connections.Context();
        return (await context.AccessTokens.ToListAsync(cancellation)).ConvertAll(ToKnown);
    }

    /// <summary>Durable when it returns, with the acts that led to it.</summary>
    /// <param name="code">The one-time code that makes it; empty: none.</param>
    /// <returns>False: the code was used meanwhile.</returns>
    public async Task<bool> Add(
        AccessToken token, string text, string code, ImmutableArray<AuditAct> acts, CancellationToken cancellation)
    {
        byte[] digest = AccessToken.Parse(text)?.Digest ?? throw new ArgumentException("not the text of a token", nameof(text));
        (string, object)[] values = [("id", token.Id), ("digest", digest), ("body", LedgerJson.Write(token))];
        Statement[] statements = code.Length == 0 ? [new Statement(Insert, values) { Acts = acts }]
            :
            [
                new Statement(Use, ("id", token.Id), ("code", code)),
                new Statement(InsertByCode, [.. values, ("code", code)]) { Acts = acts },
            ];
        int[] rows = await lanes.Run("people", statements, cancellation);
        read.Clear();
        return rows[^1] == 1;
    }

    /// <summary>
    /// Somebody of OIDC was told by his provider what he is now: his sign-in is kept, and whatever of his is more than that ends with it.
    /// </summary>
    /// <param name="now">What he may now. Null: nothing any more.</param>
    /// <param name="signIn">Null: he was not let in.</param>
    /// <param name="ending">The act that tells of a token which ends.</param>
    public async Task Told(
        Person person, Grant? now, AccessToken? signIn, AuditAct act, Func<AccessToken, AuditAct> ending, CancellationToken cancellation)
    {
        var (at, all) = (clock.GetUtcNow(), await All(cancellation));
        // No text has this digest: its cookie alone opens for it.
        Statement[] statements =
        [
            signIn is null ? Statement.Of([act])
                : new Statement(Insert, ("id", signIn.Id), ("digest", Array.Empty<byte>()), ("body", LedgerJson.Write(signIn)))
                {
                    Acts = [act],
                },
            .. all.Where(t => t.Opens(at) && person.IsSame(t.Token.Person) && t.Token.IsMoreThan(now)).Select(t =>
                new Statement(Revoking, ("id", t.Token.Id)) { Acts = [ending(t.Token)] }),
            .. all.Where(t => t.Token.SignIn && t.Token.ExpiresAt + KeptAfterwards < at).Select(t =>
                new Statement(Forgetting, ("id", t.Token.Id))),
        ];
        await lanes.Run("people", statements, cancellation);
        read.Clear();
    }

    /// <summary>As <see cref="Revoke"/>, by who signs out himself.</summary>
    public async Task SignOut(string id, AuditAct act, CancellationToken cancellation)
    {
        await lanes.Run("people", [new Statement(Ending, ("id", id), ("why", "signed out")) { Acts = [act] }], cancellation);
        read.Clear();
    }

    /// <returns>False: it had ended already.</returns>
    public async Task<bool> Revoke(string id, ImmutableArray<AuditAct> acts, CancellationToken cancellation)
    {
        int[] rows = await lanes.Run("people", [new Statement(Revoking, ("id", id)) { Acts = acts }], cancellation);
        read.Clear();
        return rows[0] == 1;
    }

    private async Task<(KnownToken? Token, byte[] Digest)> Read(string id, CancellationToken cancellation)
    {
        if (read.TryGetValue(id, out var known) && clock.GetElapsedTime(known.At) < RememberedFor)
        {
            return (known.Token, known.Digest);
        }

        long at = clock.GetTimestamp();
        await using var context = connections.Context();
        var row = await context.AccessTokens.FirstOrDefaultAsync(t => t.Id == id, cancellation);
        if (read.Count >= Remembered)
        {
            read.Clear();
        }

        (KnownToken? Token, byte[] Digest) found = (row is null ? null : ToKnown(row), row?.Digest ?? []);
        read[id] = (at, found.Token, found.Digest);
        return found;
    }

    private static KnownToken ToKnown(AccessTokenRow row) => new(LedgerJson.Read<AccessToken>(row.Body), row.Ended);
}
