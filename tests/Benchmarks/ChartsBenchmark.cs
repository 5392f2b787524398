using System.Diagnostics;
using DeepSeekOps.ControlPlane.Api.Series;
using DeepSeekOps.ControlPlane.Storage;
using DeepSeekOps.ControlPlane.Storage.Series;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace DeepSeekOps.Benchmarks;

/// <summary>
/// A run page at its worst: ten series of a million points each, asked for over HTTP as a page of 1440 pixels asks. The database is
/// SQLite, or the one that DSOPS_BENCH_DATABASE names; a page is warm when somebody looked at it before.
/// </summary>
internal static class ChartsBenchmark
{
    private const int Series = 10;
    private const int Points = 1_000_000;
    private const int ChunkPoints = 512;

    private const string Insert = """
        INSERT INTO series_chunk (run, stage, name, attempt, first_step, last_step, points, min, max, sum, last, body)
        VALUES (@run, 'pretrain', @name, 1, @first, @last_step, @points, @min, @max, @sum, @last, @body)
        """;

    /// <summary>What a person does not wait for.</summary>
    private const double LimitMilliseconds = 500;

    public static async Task Run()
    {
        string folder = Directory.CreateTempSubdirectory("dsops-bench-").FullName;
        var database = OpsDatabase.Parse(Environment.GetEnvironmentVariable("DSOPS_BENCH_DATABASE"), folder);
        await StorageHosting.Prepare(database, CancellationToken.None);
        string run = $"bench-{Environment.ProcessId}";
        long began = Stopwatch.GetTimestamp();
        await using var server = await Serve(database);
        await Write(server.Services.GetRequiredService<WriteLanes>(), run);
        double seconds = Stopwatch.GetElapsedTime(began).TotalSeconds;
        Table.Title(Table.Say($"charts: {Series} series of {Points:N0} points on {database.Kind}, 1440 px (written in {seconds:0.0} s)"));
        using var client = new HttpClient { BaseAddress = new Uri(server.Urls.First()), Timeout = TimeSpan.FromMinutes(5) };
        string names = string.Join(',', Enumerable.Range(0, Series).Select(Name));
        string all = $"/series/buckets?run={run}&stage=pretrain&names={names}";
        Table.Line("first look after a start", Table.Say($"{await Time(client, $"{all}&px=1440"):0.00} s"));
        foreach (string query in (string[])["", "&x=tokens", "&x=time", "&smooth=0.98", "&x=tokens&smooth=0.9", "&from=250000&to=750000",
            "&from=499000&to=501000"])
        {
            string url = $"{all}&px=1440{query}";
            await Time(client, url);
            double[] tries = [await Time(client, url), await Time(client, url), await Time(client, url)];
            double middle = tries.Order().ElementAt(1);
            Table.AtMost($"{(query.Length == 0 ? "by step" : query[1..])}, warm", middle * 1000, LimitMilliseconds);
        }

        await server.StopAsync();
        if (database is OpsDatabase.Sqlite)
        {
            Microsoft.Data.Sqlite.SqliteConnection.ClearAllPools();
        }

        Directory.Delete(folder, recursive: true);
    }

    private static string Name(int series) => series == 0 ? "loss" : $"series_{series}";

    private static async Task<double> Time(HttpClient client, string url)
    {
        long began = Stopwatch.GetTimestamp();
        using var answer = await client.GetAsync(new Uri(url, UriKind.Relative));
        answer.EnsureSuccessStatusCode();
        await answer.Content.ReadAsByteArrayAsync();
        return Stopwatch.GetElapsedTime(began).TotalSeconds;
    }

    private static async Task<WebApplication> Serve(OpsDatabase database)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        builder.Services.AddStorage(database);
        var server = builder.Build();
        server.MapSeries();
        await server.StartAsync();
        return server;
    }

    /// <summary>Chunk after chunk as the writer leaves them; samples that came one by one would take minutes to say the same.</summary>
    private static async Task Write(WriteLanes lanes, string run)
    {
        for (int s = 0; s < Series; s++)
        {
            var random = new Random(s);
            foreach (int[] firsts in Enumerable.Range(0, (Points + ChunkPoints - 1) / ChunkPoints).Select(c => 1 + (c * ChunkPoints))
                .Chunk(64))
            {
                await lanes.Run(run,
                    [.. firsts.Select(first => Chunk(run, Name(s), first, Math.Min(Points, first + ChunkPoints - 1), random))],
                    CancellationToken.None);
            }
        }
    }

    private static Statement Chunk(string run, string name, int first, int last, Random random)
    {
        var points = new SeriesPoints();
        for (int step = first; step <= last; step++)
        {
            points.Add(step, step * 4096.0, 1.7e9 + step, Value(step, random));
        }

        var head = SeriesHead.Of(points.Value);
        return new Statement(Insert, ("run", run), ("name", name), ("first", (long)first), ("last_step", (long)last),
            ("points", head.Points),
            ("min", head.Min), ("max", head.Max), ("sum", head.Sum), ("last", head.Last), ("body", points.ToBody()));
    }

    private static double Value(long step, Random random) => step switch
    {
        654_321 => 7.5,
        300_000 => double.NaN,
        _ => 1.8 + (9 / Math.Sqrt(step)) + (0.05 * (random.NextDouble() - 0.5)),
    };
}
