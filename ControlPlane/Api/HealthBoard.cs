using System.Globalization;
using DeepSeekOps.ControlPlane.Api.Notices;
using DeepSeekOps.ControlPlane.Api.Telemetry;
using DeepSeekOps.ControlPlane.Grains;
using DeepSeekOps.ControlPlane.Storage;
using DeepSeekOps.Decisions.Health;
using Google.Protobuf.WellKnownTypes;
using Proto = DeepSeekOps.Contracts.Ops.V1;

namespace DeepSeekOps.ControlPlane.Api;

/// <summary>What is wrong with the control plane itself, for pages, verbs, probes and those whose call it fails.</summary>
internal sealed class HealthBoard(StoreWatch store, StrayAgents strays, Notifier notifier)
{
    private const string Meanwhile =
        "Training goes on meanwhile and its reports are kept until they can be written; submissions and commands are refused.";

    /// <summary>What a command is refused with while nothing can be written. Null: it can.</summary>
    public string? StoreRefusal => store.Now is StoreState.Unwritable away ? $"{away.Sentence} {away.Trouble.Fix} Then try again." : null;

    /// <summary>Null: the database has nothing to do with that failure.</summary>
    public string? WordsFor(Exception failure) =>
        StoreRefusal
            ?? (store.TroubleIn(failure) is { } trouble
                ? $"The database cannot be used: {trouble.Why}. {trouble.Fix} Then try again." : null);

    public Proto.Health ToProto()
    {
        var health = new Proto.Health();
        if (store.Now is StoreState.Unwritable away)
        {
            health.Problems.Add(new Proto.HealthProblem
            {
                Kind = "store", Level = "error", Since = away.Since.ToTimestamp(), Text = away.Sentence,
                Fix = $"{away.Trouble.FixWhileRunning} {Meanwhile}",
            });
        }

        if (strays.Seen is { IsEmpty: false } alone)
        {
            string who = string.Join(", ", alone.Select(p => $"{p.Gang.Stage} on {p.Node} (pid {p.Pid})"));
            health.Problems.Add(new Proto.HealthProblem
            {
                Kind = "stray-agents", Level = "warning", Since = strays.Since.ToTimestamp(),
                Text = $"Agents run here for stages that this database does not know: {who}. They are left alone.",
                Fix = $"Start with the database that they belong to, or end them: kill {string.Join(' ', alone.Select(p => p.Pid))}",
            });
        }

        foreach (var trouble in notifier.Troubles)
        {
            health.Problems.Add(new Proto.HealthProblem
            {
                Kind = "notifications", Level = "warning", Since = trouble.Since.ToTimestamp(), Text = Sentence(trouble),
                Fix = "It is retried automatically; `dsops notify --test` tries it now. docs/operating.md, Being told.",
            });
        }

        return health;
    }

    /// <summary>People who could not be told; empty: all could.</summary>
    public string Untold => string.Join(' ', notifier.Troubles.Select(Sentence));

    private static string Sentence(NoticeTrouble trouble) =>
        $"{Decisions.Words.Count(trouble.Untold, "message", "messages")} could not be delivered by {trouble.Channel}: {trouble.Why}.";
}

internal static class HealthEndpoint
{
    private const string ForAnybody = "The control plane cannot write its database; ask with the token for the reason.";

    /// <summary>
    /// For probes of load balancers and people with curl: 503 while commands are refused, with the words for those whom they concern, since
    /// they name folders and hosts.
    /// </summary>
    public static void MapHealth(this IEndpointRouteBuilder routes) =>
        routes.MapGet("/healthz", (HealthBoard health, HttpContext context) =>
        health.StoreRefusal is { } words
            ? Results.Text(string.Create(CultureInfo.InvariantCulture, $"{(AccessGuard.IsPerson(context) ? words : ForAnybody)}\n"),
                statusCode: StatusCodes.Status503ServiceUnavailable)
            : Results.Text(
                AccessGuard.IsPerson(context) && health.Untold is { Length: > 0 } untold ? $"ok; {untold}\n" : "ok\n"))
            .WithMetadata(new OpenToAll(), new ForMonitoring());
}
