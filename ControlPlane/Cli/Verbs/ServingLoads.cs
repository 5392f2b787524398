using System.Collections.Immutable;
using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using DeepSeekOps.Contracts.Ops.V1;
using DeepSeekOps.ControlPlane.Client;
using DeepSeekOps.ControlPlane.Pipelines;
using DeepSeekOps.Decisions.Serving;
using DeepSeekOps.Recipes;

namespace DeepSeekOps.ControlPlane.Cli.Verbs;

/// <summary>Expert loads from a file, or from the newest checkpoint of a run that has them beside its weights.</summary>
internal static class ServingLoads
{
    private const string FileName = "expert-loads.json";

    /// <summary>256 experts of 58 layers are 0.2 MB.</summary>
    private const int BytesMax = 64 << 20;

    private const string Shape =
        "Give {\"groups\": 8, \"expertsPerToken\": 8, \"loads\": [[tokens of expert 0, …], …]}, or CSV with a line per layer.";

    public static async Task<ExpertLoads> Read(string from, ParseResult parsed, CancellationToken cancellation)
    {
        string path = File.Exists(from) ? from
            : from.AsSpan().ContainsAny("/.\\") ? throw Missing(from) : await OfRun(from, parsed, cancellation);
        string text;
        try
        {
            text = await FileLooks.ReadText(path, BytesMax, cancellation);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or BadInputException)
        {
            throw new RefusalException($"'{path}' cannot be read: {e.Message}", Shape, cause: e);
        }

        var loads = text.AsSpan().TrimStart() is ['[' or '{', ..] ? FromJson(text, path) : FromCsv(text, path);
        var problems = loads.Problems();
        return problems.IsEmpty ? loads
            : throw new RefusalException(string.Join('\n', problems.Take(10).Select(p => $"{path}: {p}.")), Shape);
    }

    private static RefusalException Missing(string from) =>
        new($"--serving is '{from}', and there is no such file.", "Name a file of loads, or a run.");

    private static async Task<string> OfRun(string run, ParseResult parsed, CancellationToken cancellation)
    {
        using var connection = await VerbAction.Connect(parsed, cancellation);
        var reply =
            await connection.Client.ListCheckpointsAsync(new ListCheckpointsRequest { Run = run },
                ControlPlaneConnection.Options(cancellation));
        string root = Path.Combine(parsed.GetValue(CommonOptions.DataDirectory) ?? ControlFile.UsualDirectory, "checkpoints");
        return reply.Checkpoints.Where(c => c.At is not null).OrderByDescending(c => c.At.ToDateTimeOffset())
            .Select(c => Path.Combine(root, c.Path, FileName)).FirstOrDefault(File.Exists)
            ?? throw new RefusalException($"No checkpoint of run {run} under {root} has {FileName}.",
                "Pretraining and context extension write it; on another machine, copy it here and name the file.");
    }

    private static ExpertLoads FromJson(string text, string path)
    {
        try
        {
            using var document = JsonDocument.Parse(text);
            var root = document.RootElement;
            bool plain = root.ValueKind == JsonValueKind.Array;
            var layers = (plain ? root : root.GetProperty("loads")).EnumerateArray()
                .Select(layer => layer.EnumerateArray().Select(load => load.GetDouble()).ToImmutableArray()).ToImmutableArray();
            return plain ? Like(layers)
                : new ExpertLoads(layers, Number(root, "groups", Like(layers).Groups),
                    Number(root, "expertsPerToken", Like(layers).ExpertsPerToken));
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or KeyNotFoundException or FormatException)
        {
            throw new RefusalException($"{path} is not a list of loads per layer: {e.Message}", Shape, cause: e);
        }
    }

    private static int Number(JsonElement root, string name, int otherwise) =>
        root.TryGetProperty(name, out var value) ? value.GetInt32() : otherwise;

    private static ExpertLoads FromCsv(string text, string path) =>
        Like([.. text.Split('\n').Select((line, i) => (Line: line.Trim(), Number: i + 1)).Where(l => l.Line.Length > 0)
        .Select(l => l.Line.Split(',').Select((cell, i) => double.TryParse(cell, CultureInfo.InvariantCulture, out double load) ? load
            : throw new RefusalException($"{path}:{l.Number}: value {i + 1} is '{cell.Trim()}', not a number.", Shape))
            .ToImmutableArray())]);

    /// <summary>Where the file does not say: V3's eight groups and eight experts per token, as far as they fit.</summary>
    private static ExpertLoads Like(ImmutableArray<ImmutableArray<double>> layers)
    {
        int experts = layers.IsEmpty ? 0 : layers[0].Length;
        return new ExpertLoads(layers, experts % 8 == 0 ? 8 : 1, Math.Clamp(experts, 1, 8));
    }
}
