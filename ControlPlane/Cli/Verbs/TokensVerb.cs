using System.CommandLine;
using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.ControlPlane.Client;
using DeepSeekOps.Decisions;
using Google.Protobuf.WellKnownTypes;

namespace DeepSeekOps.ControlPlane.Cli.Verbs;

/// <summary>`dsops tokens create|list|revoke`: who is let in beside the owner, and as what.</summary>
internal static class TokensVerb
{
    private static readonly Column[] Table =
    [
        new("ID", 1), new("NAME", 1), new("ROLE", 1), new("TEAM", 1), new("STATE", 1), new("EXPIRES", 2), new("MADE", 4), new("BY", 3),
    ];

    public static Command Build(Terminal terminal) => new("tokens",
        "API tokens of people and programs: a role (viewer, operator, admin) of one team or of every team, for a time. They are shown as "
        + "DSOPS_TOKEN with --server, as Authorization: Bearer, or on the page that asks who is there.")
    {
        Create(terminal), List(terminal), Revoke(terminal),
    };

    private static Command Create(Terminal terminal)
    {
        var name = new Argument<string>("name") { Description = "Whose it is: a person or a program." };
        var role = new Option<string>("--role") { Description = "viewer, operator or admin.", Required = true, HelpName = "ROLE" };
        role.AcceptOnlyFromAmong("viewer", "operator", "admin");
        var team = new Option<string?>("--team")
        {
            Description = "The team whose runs it reaches. Default: every team.", HelpName = "TEAM",
        };
        var expires = new Option<TimeSpan?>("--expires")
        {
            Description = "How long it opens doors: 12h, 30d, at most 366d. Default: 90d.", HelpName = "TIME",
            CustomParser = result => IncidentsVerb.ParseSpan(result, "--expires"),
        };
        var command = new Command("create", "Makes a token and prints it, this once: only its hash is kept.") { name, role, team, expires };
        command.SetClientAction(async (client, parsed, cancellation) =>
        {
            var request = new CreateTokenRequest
            {
                Name = parsed.GetValue(name) ?? "", Role = parsed.GetValue(role) ?? "", Team = parsed.GetValue(team) ?? "",
            };
            if (parsed.GetValue(expires) is { } span)
            {
                request.Lasting = Duration.FromTimeSpan(span);
            }

            var reply = await client.CreateTokenAsync(request, ControlPlaneConnection.Options(cancellation));
            await terminal.Document.WriteLineAsync(parsed.WantsJson() ? ProtoJson.Document(reply) : reply.Text);
            if (!parsed.WantsJson())
            {
                await terminal.Error.WriteLineAsync(Columns.Clean(
                    $"{reply.Token.Name} is {InWords(reply.Token)} until {Day(reply.Token.ExpiresAt)}. The line above is not shown again; "
                    + $"`dsops tokens revoke {reply.Token.Id}` ends it."));
            }

            return ExitCode.Ok;
        });
        return command;
    }

    private static Command List(Terminal terminal)
    {
        var command = new Command("list", "Lists the tokens that were made: whose, as what, until when. None of them is shown.");
        command.SetClientAction(async (client, parsed, cancellation) =>
        {
            var reply = await client.ListTokensAsync(new ListTokensRequest(), ControlPlaneConnection.Options(cancellation));
            if (parsed.WantsJson())
            {
                await terminal.Document.WriteLineAsync(ProtoJson.Document(reply.Tokens));
            }
            else if (reply.Tokens.Count == 0)
            {
                await terminal.Output.WriteLineAsync("No token was made: only the owner of the data directory is let in.");
            }
            else
            {
                Columns.Write(terminal, Table, [.. reply.Tokens.Select(t => (string[])
                [
                    t.Id, t.Name, t.Role, t.Team.Length > 0 ? t.Team : "(every)", t.State, Day(t.ExpiresAt), Day(t.CreatedAt), t.By,
                ])]);
            }

            return ExitCode.Ok;
        });
        return command;
    }

    private static Command Revoke(Terminal terminal)
    {
        var id = new Argument<string>("id") { Description = "As the list has it." };
        var command = new Command("revoke", "Ends a token: calls and open pages of it are refused within five seconds.") { id };
        command.SetClientAction(async (client, parsed, cancellation) =>
        {
            var token = await client.RevokeTokenAsync(
                new RevokeTokenRequest { Id = parsed.GetValue(id) ?? "" }, ControlPlaneConnection.Options(cancellation));
            await terminal.Answer(parsed.WantsJson()).WriteLineAsync(parsed.WantsJson() ? ProtoJson.Document(token)
                : Columns.Clean($"Token {token.Id} of {token.Name} ({InWords(token)}) is {token.State}."));
            return ExitCode.Ok;
        });
        return command;
    }

    private static string InWords(AccessToken token) => $"{token.Role} of {(token.Team.Length > 0 ? $"team {token.Team}" : "every team")}";

    private static string Day(Timestamp at) => FormattableString.Invariant($"{at.ToDateTimeOffset():yyyy-MM-dd}");
}
