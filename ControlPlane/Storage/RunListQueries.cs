using System.Collections.Immutable;
using System.Linq.Expressions;
using DeepSeekOps.ControlPlane.Storage.Tables;
using DeepSeekOps.Decisions.Runs;
using Microsoft.EntityFrameworkCore;

namespace DeepSeekOps.ControlPlane.Storage;

/// <summary>Which part of the list of runs.</summary>
/// <param name="Search">As a person writes it; see <see cref="RunSearch"/>.</param>
/// <param name="State">Only these on the page, while the counts are of all that are found; empty: all. "active": not ended.</param>
/// <param name="After">Where the page begins; null: with the first.</param>
public sealed record RunListQuery(string Search, string State, RunListPlace? After, int Take)
{
    /// <summary>The only team whose runs may be seen; empty: all.</summary>
    public string Team { get; init; } = "";
}

/// <summary>
/// The last run of a page. Its place in the order, and not a number of rows: runs that come and end move none of the others.
/// </summary>
public sealed record RunListPlace(int Attention, DateTime SubmittedAt, string Name)
{
    public string ToToken() => PageToken.Write($"{Attention}", $"{SubmittedAt.Ticks}", Name);

    /// <summary>Null: it is none of ours.</summary>
    public static RunListPlace? FromToken(string token) => PageToken.Read(token, 3) is [var attention, var ticks, var name]
        && PageToken.Number(attention) is { } place && place <= int.MaxValue && PageToken.Number(ticks) is { } at
        && at <= DateTime.MaxValue.Ticks
        ? new RunListPlace((int)place, new DateTime(at, DateTimeKind.Utc), name) : null;
}

/// <summary>A page of the list.</summary>
/// <param name="Runs">Summaries as they were last written: those that run or fail first, then by time, newest first.</param>
/// <param name="States">How many are found in each state, on whatever page they are.</param>
/// <param name="Before">How many of the same query stand before this page.</param>
/// <param name="Total">How many there are of the same query.</param>
/// <param name="All">How many runs there are.</param>
/// <param name="Next">Where the next page begins; null: this is the last.</param>
/// <param name="Hint">What of the search could not be understood; empty: nothing.</param>
public sealed record RunListPage(
    ImmutableArray<RunView> Runs, ImmutableSortedDictionary<string, int> States, int Before, int Total, int All, RunListPlace? Next,
    string Hint);

/// <summary>Finds runs, whatever their number: search, order, counts and pages are the database's work.</summary>
public sealed class RunListQueries(OpsConnections connections)
{
    public async Task<RunListPage> Page(RunListQuery query, CancellationToken cancellation)
    {
        await using var context = connections.Context();
        var search = RunSearch.Parse(query.Search);
        string team = query.Team.ToLowerInvariant();
        var visible = team.Length == 0 ? context.RunList.AsQueryable() : context.RunList.Where(r => r.Team == team);
        var found = search.Terms.Aggregate(visible, (runs, term) => runs.Where(Fits(term)));
        var states = (await found.GroupBy(r => r.State).Select(g => new { State = g.Key, Runs = g.Count() }).ToListAsync(cancellation))
            .ToImmutableSortedDictionary(g => g.State, g => g.Runs, StringComparer.Ordinal);
        int all = search.Terms.IsEmpty ? states.Values.Sum() : await visible.CountAsync(cancellation);
        var ofState = query.State switch
        {
            "" => found,
            "active" => found.Where(NotEnded),
            var state => found.Where(r => r.State == state),
        };
        int total = query.State.Length == 0 ? states.Values.Sum()
            : query.State == "active" ? await ofState.CountAsync(cancellation) : states.GetValueOrDefault(query.State);
        int before = query.After is null ? 0 : total - await ofState.Where(After(query.After)).CountAsync(cancellation);
        var from = query.After is null ? ofState : ofState.Where(After(query.After));
        var rows = await from.OrderBy(r => r.Attention).ThenByDescending(r => r.SubmittedAt).ThenBy(r => r.Name).Take(query.Take)
            .Select(r => new { r.Attention, r.SubmittedAt, r.Name, r.Summary }).ToListAsync(cancellation);
        bool more = before + rows.Count < total && rows.Count > 0;
        return new RunListPage(
            [.. rows.Select(r => LedgerJson.Read<RunView>(r.Summary))], states, before, total, all,
            more ? new RunListPlace(rows[^1].Attention, rows[^1].SubmittedAt, rows[^1].Name) : null, search.Hint);
    }

    /// <summary>How many runs are in each state, on however many pages.</summary>
    public async Task<ImmutableSortedDictionary<string, int>> States(CancellationToken cancellation)
    {
        await using var context = connections.Context();
        return (await context.RunList.GroupBy(r => r.State).Select(g => new { State = g.Key, Runs = g.Count() }).ToListAsync(cancellation))
            .ToImmutableSortedDictionary(g => g.State, g => g.Runs, StringComparer.Ordinal);
    }

    /// <summary>Names of all that have not ended.</summary>
    public async Task<ImmutableArray<string>> Unfinished(CancellationToken cancellation)
    {
        await using var context = connections.Context();
        return [.. await context.RunList.Where(NotEnded).Select(r => r.Name).ToListAsync(cancellation)];
    }

    /// <summary>All names, newest first: for who mistypes one.</summary>
    /// <summary>A small question, of one row: how long it takes tells of the database and not of the answer.</summary>
    public async Task<bool> Knows(string name, CancellationToken cancellation)
    {
        await using var context = connections.Context();
        return await context.RunList.AnyAsync(r => r.Name == name, cancellation);
    }

    public async Task<List<string>> Names(int take, CancellationToken cancellation)
    {
        await using var context = connections.Context();
        return await context.RunList.OrderByDescending(r => r.SubmittedAt).Select(r => r.Name).Take(take).ToListAsync(cancellation);
    }

    private static readonly Expression<Func<RunListRow, bool>> NotEnded =
        r => r.State != "completed" && r.State != "failed" && r.State != "cancelled";

    private static Expression<Func<RunListRow, bool>> After(RunListPlace place)
    {
        var (attention, at, name) = place;
        return r => r.Attention > attention
            || (r.Attention == attention && (r.SubmittedAt < at || (r.SubmittedAt == at && string.Compare(r.Name, name) > 0)));
    }

    private static Expression<Func<RunListRow, bool>> Fits(RunTerm term)
    {
        // A group's list has a line for each, so that a whole one is found among several.
        bool lines = term is { Whole: true, Field: RunField.Group };
        string parts = string.Join('%', term.Text.Split('*').Select(Escaped));
        string pattern = lines ? $"%\n{parts}\n%" : term.Whole ? parts : $"%{parts}%";
        bool not = term.Not;
        return term.Field switch
        {
            RunField.Name => r => EF.Functions.Like(r.Name.ToLower(), pattern, "\\") != not,
            RunField.Team => r => EF.Functions.Like(r.Team, pattern, "\\") != not,
            RunField.Group => r => EF.Functions.Like("\n" + r.Groups + "\n", pattern, "\\") != not,
            RunField.State => r => EF.Functions.Like(r.State, pattern, "\\") != not,
            _ => r => EF.Functions.Like(r.Search, pattern, "\\") != not,
        };
    }

    private static string Escaped(string text) =>
        text.Replace("\0", "", StringComparison.Ordinal).Replace("\\", "\\\\", StringComparison.Ordinal)
        .Replace("%", "\\%", StringComparison.Ordinal).Replace("_", "\\_", StringComparison.Ordinal);
}

/// <summary>Runs that were recorded before there was a list of them get their line in it.</summary>
internal static class RunListFill
{
    /// <summary>A body may hold a megabyte of text.</summary>
    private const int AtOnce = 50;

    public static async Task Run(OpsConnections connections, CancellationToken cancellation)
    {
        await using var connection = await connections.Open(cancellation);
        List<string> bodies;
        do
        {
            await using var context = connections.Context();
            bodies = await context.Runs.Where(r => !context.RunList.Any(l => l.Name == r.Name)).OrderBy(r => r.Name).Select(r => r.Body)
                .Take(AtOnce).ToListAsync(cancellation);
            await using var transaction = await connection.BeginTransactionAsync(cancellation);
            foreach (var (sql, parameters) in bodies.Select(body => RunRegistry.Listed(LedgerJson.Read<RunView>(body))))
            {
                await using var command = connection.CreateCommand();
                (command.CommandText, command.Transaction) = (sql, transaction);
                Array.ForEach(parameters, p => command.Add(p.Name, p.Value));
                await command.ExecuteNonQueryAsync(cancellation);
            }

            await transaction.CommitAsync(cancellation);
        }
        while (bodies.Count == AtOnce);
    }
}
