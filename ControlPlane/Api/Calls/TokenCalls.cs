using System.Security.Cryptography;
using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.ControlPlane.Api.People;
using DeepSeekOps.ControlPlane.Grains;
using DeepSeekOps.ControlPlane.Storage.People;
using DeepSeekOps.Decisions.People;
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using Proto = DeepSeekOps.Contracts.Ops.V1;
using AccessToken = DeepSeekOps.Decisions.People.AccessToken;

namespace DeepSeekOps.ControlPlane.Api.Calls;

/// <summary>API tokens: made, listed, revoked.</summary>
internal sealed class TokenCalls(AccessTokens tokens, TimeProvider clock)
{
    /// <summary>Random bytes of an id: enough that no two are alike.</summary>
    private const int IdBytes = 5;

    public async Task<CreateTokenReply> CreateToken(CreateTokenRequest request, ServerCallContext context)
    {
        var who = Gate.Of(context);
        var role = RoleOf(request.Role);
        string team = Checked.OptionalName(request.Team, "team") ?? "";
        Gate.Demand(Rights.RefusalOfToken(who, role, team));
        var now = clock.GetUtcNow();
        string code = who.Once ? await Code(who, role, team, context) : "";
        var token = new AccessToken(NewId(), Checked.Name(request.Name, "name"), role, team, now, End(request.Lasting, who, now),
            Caller.Of(context).Who)
        {
            Person = who.Person,
        };
        string text = AccessToken.Text(token.Id, RandomNumberGenerator.GetBytes(32));
        if (!await tokens.Add(token, text, code, Asked.Acts, context.CancellationToken))
        {
            throw new RpcException(new Status(StatusCode.PermissionDenied, "The one-time code was used already."));
        }

        return new CreateTokenReply { Token = ToProto(new KnownToken(token, ""), now), Text = text };
    }

    public async Task<ListTokensReply> ListTokens(ListTokensRequest request, ServerCallContext context)
    {
        var who = Gate.Of(context);
        var now = clock.GetUtcNow();
        var all = await tokens.All(context.CancellationToken);
        return new ListTokensReply
        {
            Tokens =
            {
                all.Where(t => !t.Token.Once && Rights.Reaches(who, t.Token.Team)).OrderBy(t => t.Token.CreatedAt)
                    .Select(t => ToProto(t, now)),
            },
        };
    }

    public async Task<Proto.AccessToken> RevokeToken(RevokeTokenRequest request, ServerCallContext context)
    {
        string id = Checked.Name(request.Id, "id");
        var known = await tokens.Named(id, context.CancellationToken);
        if (known is null || !Rights.Reaches(Gate.Of(context), known.Token.Team))
        {
            throw new RpcException(new Status(StatusCode.NotFound, $"There is no token {id}; `dsops tokens list` has their ids."));
        }

        await tokens.Revoke(id, Asked.Acts, context.CancellationToken);
        return ToProto(known with { Ended = known.Ended.Length > 0 ? known.Ended : "revoked" }, clock.GetUtcNow());
    }

    /// <summary>A code that makes the first admin's token; earlier ones stay good for their hour, as long as there is no admin.</summary>
    /// <returns>Null: there is an admin.</returns>
    public async Task<string?> FirstAdminsCode(CancellationToken cancellation)
    {
        var now = clock.GetUtcNow();
        if (await HasAdmin(now, cancellation))
        {
            return null;
        }

        var code = new AccessToken(NewId(), "first-admin", Role.Admin, "", now, now + AccessToken.LifeOfOnce, "dsops serve")
        {
            Once = true,
        };
        string text = AccessToken.Text(code.Id, RandomNumberGenerator.GetBytes(32));
        await tokens.Add(code, text, "", [], cancellation);
        return text;
    }

    private async Task<string> Code(Holder who, Role role, string team, ServerCallContext context)
    {
        if (role != Role.Admin || team.Length > 0)
        {
            throw Checked.Invalid("A one-time code makes a token with the role admin of every team, and no other: write --role admin and "
                + "leave --team out.");
        }

        return await HasAdmin(clock.GetUtcNow(), context.CancellationToken)
            ? throw new RpcException(new Status(StatusCode.PermissionDenied,
                "There is an admin already, so the one-time code makes no other. Ask an admin for a token."))
            : who.TokenId;
    }

    private async Task<bool> HasAdmin(DateTimeOffset now, CancellationToken cancellation) => (await tokens.All(cancellation))
        .Any(t => t.Token is { Once: false, SignIn: false, Role: Role.Admin, Team: "" } && t.Opens(now));

    private static Role RoleOf(string text) => text switch
    {
        "viewer" => Role.Viewer,
        "operator" => Role.Operator,
        "admin" => Role.Admin,
        _ => throw Checked.Invalid($"role is '{Checked.Shown(text)}'; it is viewer, operator or admin."),
    };

    private static TimeSpan Life(Duration? asked)
    {
        var life = asked is null ? AccessToken.UsualLife : Checked.Span(asked, "lasting");
        return life == TimeSpan.Zero || life > AccessToken.LongestLife
            ? throw Checked.Invalid($"lasting is {life.TotalDays:0.##} days; a token lasts more than none and at most "
                + $"{AccessToken.LongestLife.TotalDays:0}.")
            : life;
    }

    private static DateTimeOffset End(Duration? asked, Holder who, DateTimeOffset now)
    {
        var (end, latest) = (now + Life(asked), Rights.LatestEnd(who, now));
        return asked is null ? Rights.UsualEnd(who, now) : end <= latest ? end
            : throw Checked.Invalid($"lasting is {(end - now).TotalDays:0.##} days; what was shown is the {who.InWords}, and a token that "
                + FormattableString.Invariant($"is made with it ends by {latest:yyyy-MM-dd HH:mm} UTC. ")
                + "Choose a shorter time, or use the owner's token.");
    }

    internal static string NewId() => Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(IdBytes));

    private static Proto.AccessToken ToProto(KnownToken known, DateTimeOffset now) => new()
    {
        Id = known.Token.Id, Name = known.Token.Name, Role = Rights.Name(known.Token.Role), Team = known.Token.Team, By = known.Token.By,
        CreatedAt = Timestamp.FromDateTimeOffset(known.Token.CreatedAt), ExpiresAt = Timestamp.FromDateTimeOffset(known.Token.ExpiresAt),
        State = known.Ended.Length > 0 ? known.Ended : known.Opens(now) ? "live" : "expired",
    };
}
