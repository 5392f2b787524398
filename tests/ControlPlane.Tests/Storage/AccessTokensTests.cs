using DeepSeekOps.ControlPlane.Storage.Audit;
using DeepSeekOps.ControlPlane.Storage.People;
using DeepSeekOps.Decisions.Audit;
using DeepSeekOps.Decisions.People;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace DeepSeekOps.ControlPlane.Tests.Storage;

/// <summary>Tokens and sign-ins on both databases: what one silo writes another one sees. Two seconds of a core.</summary>
public sealed class AccessTokensTests(PrivatePostgres postgres)
{
    private static readonly DateTimeOffset Now = new(2026, 11, 29, 10, 0, 0, TimeSpan.Zero);
    private static readonly Person Ann = new("https://people.example", "17", "ann@example.com");
    private static readonly byte[] Random = [.. Enumerable.Range(0, 32).Select(i => (byte)i)];

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public static TheoryData<DatabaseKind> Databases => [DatabaseKind.Sqlite, DatabaseKind.Postgres];

    [Theory, MemberData(nameof(Databases))]
    public async Task A_sign_in_ends_what_is_more_than_it_and_forgets_what_is_long_over(DatabaseKind kind)
    {
        await using var database = await TestDatabase.Create(kind, postgres);
        var clock = new FakeTimeProvider(Now);
        var (here, there) = (Room(database, clock), Room(database, clock));
        var tokens = here.GetRequiredService<AccessTokens>();
        await tokens.Add(Token("admin", Role.Admin) with { Person = Ann }, Text("admin"), "", [Act("1")], Cancellation);
        await tokens.Add(Token("viewer", Role.Viewer) with { Person = Ann }, Text("viewer"), "", [Act("2")], Cancellation);
        await tokens.Add(Token("other", Role.Admin) with { Person = Ann with { Subject = "18" } }, Text("other"), "", [Act("3")],
            Cancellation);
        var first = Token("first", Role.Admin) with { Person = Ann, SignIn = true, ExpiresAt = Now.AddHours(8) };
        await tokens.Told(Ann, new Grant("platform", Role.Admin, ""), first, Act("4"), t => Act($"end-{t.Id}"), Cancellation);
        Assert.Equal(["", "", "", ""], await Ended(there, "admin", "viewer", "other", "first"));
        Assert.Null(await there.GetRequiredService<AccessTokens>().Shown(Text("first"), Cancellation));

        var second = Token("second", Role.Viewer) with { Person = Ann, SignIn = true, ExpiresAt = Now.AddHours(8) };
        await tokens.Told(Ann, new Grant("everyone", Role.Viewer, ""), second, Act("5"), t => Act($"end-{t.Id}"), Cancellation);
        clock.Advance(AccessTokens.RememberedFor);
        Assert.Equal(["revoked", "", "", "revoked", ""], await Ended(there, "admin", "viewer", "other", "first", "second"));
        var acts = await there.GetRequiredService<AuditLog>().Newest(null, null, null, 100, Cancellation);
        Assert.Equal(["1", "2", "3", "4", "5", "end-admin", "end-first"], acts.Select(l => l.Act.Id).Order(StringComparer.Ordinal));

        await tokens.SignOut("second", Act("6"), Cancellation);
        clock.Advance(AccessTokens.RememberedFor);
        Assert.Equal(["signed out"], await Ended(there, "second"));
        // A day after their end they are in the audit log alone; tokens stay in the list.
        clock.Advance(TimeSpan.FromHours(33));
        await tokens.Told(Ann, null, null, Act("7"), t => Act($"end-{t.Id}"), Cancellation);
        Assert.Equal(["admin", "other", "viewer"],
            (await there.GetRequiredService<AccessTokens>().All(Cancellation)).Select(t => t.Token.Id).Order(StringComparer.Ordinal));
        Assert.Equal(["revoked", "revoked", ""], await Ended(there, "admin", "viewer", "other"));
    }

    [Theory, MemberData(nameof(Databases))]
    public async Task A_code_makes_one_token_whoever_shows_it_at_once(DatabaseKind kind)
    {
        await using var database = await TestDatabase.Create(kind, postgres);
        var tokens = Room(database, new FakeTimeProvider(Now)).GetRequiredService<AccessTokens>();
        await tokens.Add(Token("code", Role.Admin) with { Once = true }, Text("code"), "", [Act("0")], Cancellation);
        bool[] made = await Task.WhenAll(Enumerable.Range(1, 8).Select(
            i => tokens.Add(Token($"t{i}", Role.Admin), Text($"t{i}"), "code", [Act($"{i}")], Cancellation)));
        int one = Assert.Single(Enumerable.Range(1, 8), i => made[i - 1]);
        Assert.Equal(["code", $"t{one}"], (await tokens.All(Cancellation)).Select(t => t.Token.Id).Order(StringComparer.Ordinal));
        Assert.Equal("used", (await tokens.Named("code", Cancellation))!.Ended);
        Assert.NotNull(await tokens.Shown(Text($"t{one}"), Cancellation));
        Assert.Null(await tokens.Shown(AccessToken.Text($"t{one}", [.. Random.Reverse()]), Cancellation));
        Assert.True(await tokens.Revoke($"t{one}", [Act("9")], Cancellation));
        Assert.False(await tokens.Revoke($"t{one}", [Act("10")], Cancellation));
    }

    private static async Task<string[]> Ended(ServiceProvider room, params string[] ids)
    {
        var tokens = room.GetRequiredService<AccessTokens>();
        return [.. (await Task.WhenAll(ids.Select(id => tokens.Named(id, Cancellation)))).Select(t => t!.Ended)];
    }

    private static ServiceProvider Room(TestDatabase database, TimeProvider clock) =>
        database.Room(services => services.AddSingleton(clock).AddSingleton(new AuditSeal([1, 2, 3], "key")));

    private static string Text(string id) => AccessToken.Text(id, Random);

    private static AccessToken Token(string id, Role role) => new(id, id, role, "", Now, Now.AddDays(30), "a test");

    private static AuditAct Act(string id) => new(id, Now, "ann", "a test", "", "sign-in", "", id, "", AuditAct.Done);
}
