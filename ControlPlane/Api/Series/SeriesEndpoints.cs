using System.Buffers;
using System.Collections.Immutable;
using System.Globalization;
using System.Net.WebSockets;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using DeepSeekOps.ControlPlane.Storage;
using DeepSeekOps.ControlPlane.Storage.Series;
using Microsoft.Net.Http.Headers;

namespace DeepSeekOps.ControlPlane.Api.Series;

/// <summary>Series for charts: buckets by HTTP, samples as they come by one WebSocket for each page, and all points as CSV.</summary>
public static class SeriesEndpoints
{
    /// <summary>Follows what a page has been told is alive when no sample comes.</summary>
    private static readonly TimeSpan KeepAlive = TimeSpan.FromSeconds(15);

    /// <param name="simulated">The points were not measured: what is exported says so.</param>
    public static RouteGroupBuilder MapSeries(this IEndpointRouteBuilder endpoints, bool simulated = false)
    {
        ArgumentNullException.ThrowIfNull(endpoints);
        var group = endpoints.MapGroup("/series");
        group.MapGet("/buckets", Buckets);
        group.MapGet("/sparks", Sparks);
        group.MapGet("/export.csv", (HttpContext http, SeriesQueries series) => Export(http, series, simulated));
        group.MapGet("/trace.json", Recording);
        group.Map("/live", endpoints.CreateApplicationBuilder()
            .UseWebSockets(new WebSocketOptions { KeepAliveInterval = KeepAlive }).Use(_ => Live).Build());
        return group;
    }

    /// <summary>What is not there, or cannot be read now, is said before the first byte.</summary>
    public static void AddSeriesFilter(this RouteGroupBuilder series) => series.AddEndpointFilter<RouteGroupBuilder, SeriesFilter>();

    private static async Task<IResult> Buckets(HttpContext http, SeriesQueries series)
    {
        var (query, problems) = SeriesParameters.Buckets(http.Request.Query);
        if (query is null)
        {
            return Refusal(problems);
        }

        var (picture, version) = await series.Buckets(query, http.RequestAborted);
        string tag = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes($"{version} {http.Request.QueryString}"))[..12]);
        // Also a range that has passed may change, when a restart goes back behind it: the browser asks each time, a tag answers.
        http.Response.Headers.CacheControl = "no-cache";
        return Results.Bytes(PictureBytes.Write(picture), "application/octet-stream", entityTag: new EntityTagHeaderValue($"\"{tag}\""));
    }

    /// <summary>Recorded steps as chrome://tracing and Perfetto open them.</summary>
    private static async Task<IResult> Recording(HttpContext http, TraceStore traces)
    {
        string said = http.Request.Query["id"].ToString();
        long id = 0;
        if (said.Length > 0 && !long.TryParse(said, NumberStyles.None, CultureInfo.InvariantCulture, out id))
        {
            return Refusal([new ParameterProblem("id", Checked.Shown(said), "write a recording's number, or leave it out for the newest")]);
        }

        string run = http.Request.Query["run"].ToString();
        if (await traces.Read(run, id > 0 ? id : null, http.RequestAborted) is not { } trace)
        {
            return Results.Problem(statusCode: StatusCodes.Status404NotFound, title: "Not found",
                detail: $"{Checked.Shown(run)} has no such recording. GET /v1/runs/RUN/traces lists those there are.");
        }

        http.Response.Headers.CacheControl = "no-store";
        return Results.Stream(async to =>
        {
            await using var json = new Utf8JsonWriter(to);
            TraceFile.Write(json, trace.ToProto(withSpans: true));
        }, "application/json");
    }

    private static async Task<IResult> Sparks(HttpContext http, SeriesQueries series)
    {
        var (stages, name, px, problems) = SeriesParameters.Sparks(http.Request.Query);
        if (!problems.IsEmpty)
        {
            return Refusal(problems);
        }

        var pictures = await series.Sparks(stages, name, px, http.RequestAborted);
        http.Response.Headers.CacheControl = "no-store";
        return Results.Json(stages.Zip(pictures, (stage, picture) => new
        {
            run = stage.Run, stage = stage.Stage, mean = picture.Lines[0].Mean.Select(v => float.IsFinite(v) ? v : (float?)null),
            notFinite = picture.Lines[0].NotFinite.Sum(), ended = picture.Lines[0].Last is [.., var last] && !float.IsFinite(last),
        }));
    }

    private static async Task<IResult> Export(HttpContext http, SeriesQueries series, bool simulated)
    {
        var (query, problems) = SeriesParameters.Export(http.Request.Query);
        if (query is null)
        {
            return Refusal(problems);
        }

        var names = query.Names;
        if (names.IsEmpty)
        {
            names = [.. (await series.Summaries(query.Run, query.Stage, http.RequestAborted)).Select(s => s.Name)];
        }

        // The first row is there before the first byte: what fails until then still has a status of its own, and what fails later breaks
        // the transfer off.
        var rows = series.Export(query, names, http.RequestAborted).GetAsyncEnumerator(http.RequestAborted);
        http.Response.RegisterForDisposeAsync(rows);
        bool any = await rows.MoveNextAsync();
        return Results.Stream(body => WriteCsv(body, any, rows, names, simulated), "text/csv; charset=utf-8",
            $"{query.Run}-{query.Stage}{(simulated ? "-simulated" : "")}.csv");
    }

    private static async Task WriteCsv(Stream body, bool any, IAsyncEnumerator<ExportRow> rows, ImmutableArray<string> names,
        bool simulated)
    {
        await using var writer = new StreamWriter(body, new UTF8Encoding(false), leaveOpen: true);
        string last = simulated ? ",simulated" : "";
        await writer.WriteAsync($"attempt,superseded,step,tokens,time,{string.Join(',', names.Select(Quote))}{last}\n");
        for (; any; any = await rows.MoveNextAsync())
        {
            var row = rows.Current;
            string time = DateTimeOffset.FromUnixTimeMilliseconds((long)Math.Round(row.UnixSeconds * 1000))
                .ToString("O", CultureInfo.InvariantCulture);
            string values = string.Join(',', row.Values.Select(v => v?.ToString("R", CultureInfo.InvariantCulture) ?? ""));
            await writer.WriteAsync(string.Create(CultureInfo.InvariantCulture,
                $"{row.Attempt},{(row.Superseded ? 1 : 0)},{row.Step},{row.Tokens},{time},{values}{(simulated ? ",1" : "")}\n"));
        }
    }

    private static readonly SearchValues<char> FormulaStarts = SearchValues.Create("=+-@＝＋－＠");

    /// <summary>
    /// A spreadsheet computes what begins like a formula, and runs some of it; behind a ' it is text. Names come from workers.
    /// </summary>
    internal static string Quote(string text)
    {
        bool formula = text.AsSpan().TrimStart().IndexOfAny(FormulaStarts) == 0 || text.AsSpan().IndexOfAny("\t\r\n") == 0;
        string harmless = formula ? $"'{text}" : text;
        return harmless.AsSpan().IndexOfAny(",\"\r\n") < 0 ? harmless : $"\"{harmless.Replace("\"", "\"\"", StringComparison.Ordinal)}\"";
    }

    private static async Task Live(HttpContext http)
    {
        var (query, problems) = SeriesParameters.Live(http.Request.Query);
        if (!http.WebSockets.IsWebSocketRequest)
        {
            problems =
                problems.Add(
                    new ParameterProblem("Upgrade", http.Request.Headers.Upgrade.ToString(), "open /series/live?run=NAME as a WebSocket"));
        }
        else if (IsForeign(http.Request))
        {
            problems =
                problems.Add(new ParameterProblem("Origin", http.Request.Headers.Origin.ToString(), "open it from a page of this server"));
        }

        if (query is null || !problems.IsEmpty)
        {
            await Refusal(problems).ExecuteAsync(http);
            return;
        }

        using var subscription = http.RequestServices.GetRequiredService<LiveSeries>().Subscribe(query.Run);
        using var socket = await http.WebSockets.AcceptWebSocketAsync();
        var stopping = http.RequestServices.GetRequiredService<IHostApplicationLifetime>().ApplicationStopping;
        using var ending = CancellationTokenSource.CreateLinkedTokenSource(http.RequestAborted, stopping);
        await Task.WhenAny(Send(socket, subscription, ending), UntilClosed(socket, ending));
        await ending.CancelAsync();
        if (socket.State is WebSocketState.CloseReceived)
        {
            await socket.CloseOutputAsync(WebSocketCloseStatus.NormalClosure, null, CancellationToken.None);
        }
    }

    /// <summary>A browser tells the page's origin. Another site's page must not read the runs through its visitor's browser.</summary>
    private static bool IsForeign(HttpRequest request) =>
        request.Headers.Origin.ToString() is { Length: > 0 } origin && !HostFilter.IsOwn(origin, request);

    private static async Task Send(WebSocket socket, LiveSeries.Subscription subscription, CancellationTokenSource ending)
    {
        try
        {
            while (true)
            {
                byte[] frame = await subscription.NextFrame(ending.Token);
                await socket.SendAsync(frame, WebSocketMessageType.Binary, endOfMessage: true, ending.Token);
            }
        }
        catch (Exception e) when (e is OperationCanceledException or WebSocketException)
        {
            // The page is gone or the server ends; nobody is left to be told.
        }
    }

    private static async Task UntilClosed(WebSocket socket, CancellationTokenSource ending)
    {
        byte[] ignored = new byte[256];
        try
        {
            while ((await socket.ReceiveAsync(ignored, ending.Token)).MessageType != WebSocketMessageType.Close)
            {
            }
        }
        catch (Exception e) when (e is OperationCanceledException or WebSocketException)
        {
            // As in Send.
        }
    }

    private static IResult Refusal(ImmutableArray<ParameterProblem> problems) => Results.Problem(
        statusCode: StatusCodes.Status400BadRequest, title: "Parameters that are not right",
        detail: string.Join("; ", problems.Select(p => $"{p.Field} '{p.Value}': {p.Fix}")),
        extensions: new Dictionary<string, object?> { ["errors"] = problems });
}

/// <summary>
/// The answer of /series/buckets, little-endian: int32 version, lines, buckets n, columns; float64 x[n]; then for each line int32 index
/// of its name, int32 attempt (0: the line, otherwise a ghost), and float32 min[n], max[n], mean[n], last[n], the number of points that are
/// no numbers[n] and, with smoothing, its value[n]. Last is NaN or infinite where the newest point of the bucket is.
/// </summary>
internal static class PictureBytes
{
    public const int Version = 2;

    public static byte[] Write(SeriesPicture picture)
    {
        using var bytes = new MemoryStream();
        using var writer = new BinaryWriter(bytes);
        writer.Write(Version);
        writer.Write(picture.Lines.Count);
        writer.Write(picture.X.Length);
        writer.Write(picture.Lines.Exists(l => l.Smoothed is not null) ? 6 : 5);
        WriteAll(picture.X, writer.Write);
        foreach (var line in picture.Lines)
        {
            writer.Write(line.NameIndex);
            writer.Write(line.Attempt);
            foreach (float[]? column in new[] { line.Min, line.Max, line.Mean, line.Last, line.NotFinite, line.Smoothed })
            {
                WriteAll(column ?? [], writer.Write);
            }
        }

        return bytes.ToArray();
    }

    private static void WriteAll<T>(T[] values, Action<T> write) => Array.ForEach(values, write);
}
