using System.Collections.Immutable;
using System.Runtime.CompilerServices;
using DeepSeekOps.ControlPlane.Storage.Tables;
using DeepSeekOps.Decisions;
using DeepSeekOps.Decisions.Health;
using DeepSeekOps.Decisions.Runs;
using Microsoft.EntityFrameworkCore;

namespace DeepSeekOps.ControlPlane.Storage.ExpertLoads;

/// <summary>What a stage's worker told of its experts, by step.</summary>
public sealed record ExpertLoadHistory(string Stage, ExpertLoad First, ExpertLoad Newest, ImmutableArray<BusiestExperts> Points);

/// <summary>The busiest expert's ratio of each layer in one step.</summary>
public sealed record BusiestExperts(long Step, int Attempt, ImmutableArray<float> Ratios);

/// <summary>Reads loads of experts for people. As with the series, the newest attempt wins from the step it began at.</summary>
public sealed class ExpertLoadQueries(OpsConnections connections, ChangeFeed feed)
{
    /// <summary>How late another silo's write may be seen by a follower here.</summary>
    private static readonly TimeSpan LookAgain = TimeSpan.FromSeconds(2);

    /// <param name="stage">Null: the stage that told last.</param>
    /// <returns>Null: nothing was told.</returns>
    public async Task<ExpertLoadHistory?> History(string run, string? stage, CancellationToken cancellation)
    {
        await using var context = connections.Context();
        stage ??= await Newest(context, run, cancellation);
        return stage is null ? null
            : await Read(context, new StageId(run, stage), await Living(context, new StageId(run, stage), cancellation), cancellation);
    }

    /// <summary>The history now, null where nothing was told yet, and again whenever it is another one.</summary>
    public async IAsyncEnumerable<ExpertLoadHistory?> Follow(string run, string? stage, [EnumeratorCancellation]
        CancellationToken cancellation)
    {
        (string? Stage, List<(int, long)> Living)? told = null;
        await foreach (bool _ in feed.Follow(run, LookAgain, cancellation))
        {
            await using var context = connections.Context();
            string? of = stage ?? await Newest(context, run, cancellation);
            var living = of is null ? [] : await Living(context, new StageId(run, of), cancellation);
            if (told is not { } before || before.Stage != of || !before.Living.SequenceEqual(living))
            {
                told = (of, living);
                yield return of is null ? null : await Read(context, new StageId(run, of), living, cancellation);
            }
        }
    }

    private static Task<string?> Newest(OpsDb context, string run, CancellationToken cancellation) =>
        context.ExpertLoads.Where(l => l.Run == run).OrderByDescending(l => l.At).Select(l => (string?)l.Stage)
            .FirstOrDefaultAsync(cancellation);

    /// <summary>Attempt and step of what no newer attempt did again, by step.</summary>
    private static async Task<List<(int Attempt, long Step)>> Living(OpsDb context, StageId stage, CancellationToken cancellation)
    {
        var keys = await Of(context, stage).Select(l => new { l.Attempt, l.Step }).ToListAsync(cancellation);
        if (keys.Count == 0)
        {
            return [];
        }

        // Where an attempt began, its samples say sooner: it tells of its experts with some steps only.
        var begins = await context.SeriesChunks.Where(c => c.Run == stage.Run && c.Stage == stage.Stage)
            .GroupBy(c => c.Attempt).Select(g => new { Attempt = g.Key, Step = g.Min(c => c.FirstStep) }).ToListAsync(cancellation);
        begins.AddRange(keys);
        return [.. keys.Where(k => !begins.Any(b => b.Attempt > k.Attempt && b.Step <= k.Step)).OrderBy(k => k.Step)
            .Select(k => (k.Attempt, k.Step))];
    }

    private static async Task<ExpertLoadHistory?> Read(
        OpsDb context, StageId stage, List<(int Attempt, long Step)> living, CancellationToken cancellation)
    {
        if (living.Count == 0)
        {
            return null;
        }

        var lines = (await Of(context, stage).Select(l => new { l.Attempt, l.Step, l.Busiest }).ToListAsync(cancellation))
            .ToDictionary(l => (l.Attempt, l.Step), l => ExpertLoadBytes.Singles(l.Busiest));
        // One that is thinned between two reads is not drawn.
        return await One(context, stage, living[0], cancellation) is { } first
            && await One(context, stage, living[^1], cancellation) is { } newest
            ? new ExpertLoadHistory(stage.Stage, first, newest,
                [.. living.Where(lines.ContainsKey).Select(key => new BusiestExperts(key.Step, key.Attempt, lines[key]))])
            : null;
    }

    private static async Task<ExpertLoad?> One(OpsDb context, StageId stage, (int Attempt, long Step) key, CancellationToken cancellation)
    {
        var row = await Of(context, stage).SingleOrDefaultAsync(l => l.Attempt == key.Attempt && l.Step == key.Step, cancellation);
        return row is null ? null : new ExpertLoad(
            row.Step, new DateTimeOffset(DateTime.SpecifyKind(row.At, DateTimeKind.Utc)), row.Attempt, row.FirstLayer, row.MtpBlocks,
            row.Experts,
            ExpertLoadBytes.Halves(row.Body));
    }

    private static IQueryable<ExpertLoadRow> Of(OpsDb context, StageId stage) =>
        context.ExpertLoads.Where(l => l.Run == stage.Run && l.Stage == stage.Stage);
}
