using System.Globalization;
using System.Text.Json;
using DeepSeekOps.Worker.Data;
using DeepSeekOps.Worker.Data.Preparing;

namespace DeepSeekOps.Worker.Cli;

/// <summary>`dsops-worker data …`: exit 0 ok, 1 failed, 2 usage.</summary>
internal static class DataVerbs
{
    private static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web) { WriteIndented = true };

    public static int Run(string[] args, TextWriter output, TextWriter errors)
    {
        var json = args.Contains("--json");
        try
        {
            switch (args.Where(a => a != "--json").ToArray())
            {
                case ["prepare", .. var rest]:
                    if (PrepareOptions.Parse(rest, out var problem) is not { } order)
                    {
                        errors.WriteLine($"{problem} See `dsops data prepare --help`.");
                        return 2;
                    }
                    Prepare(order, json, output, errors);
                    return 0;
                case ["check", var folder] when !folder.StartsWith('-'):
                    Check(folder, json, output);
                    return 0;
                default:
                    errors.WriteLine("""
                        Usage: dsops data prepare SOURCES... --out DIR [--tokenizer byte|FILE]
                               [--weight SOURCE=W]... [--workers N] [--share K/N] [--json]
                               dsops data check DIR [--json]
                        """);
                    return 2;
            }
        }
        catch (Exception e) when (e is BadInputException or IOException or UnauthorizedAccessException or InvalidDataException
            or DllNotFoundException or PlatformNotSupportedException)
        {
            var (message, fix) = e is BadInputException bad ? (bad.What, bad.Fix) : (e.Message, "");
            errors.WriteLine(json ? JsonSerializer.Serialize(new { error = new { message, fix, exitCode = 1 } }, Json)
                : $"error: {message}{(fix.Length == 0 ? "" : $"{Environment.NewLine}  fix: {fix}")}");
            return 1;
        }
    }

    private static void Prepare(PrepareOrder order, bool json, TextWriter output, TextWriter errors)
    {
        var outcome = new Preparation(order, TimeProvider.System, errors.WriteLine).Run();
        var rate = outcome.MadeBytes / 1e6 / Math.Max(outcome.Seconds, 1e-3);
        if (json)
        {
            output.WriteLine(JsonSerializer.Serialize(
                new
                {
                    folder = order.Folder, digest = outcome.Digest, missingParts = outcome.Missing, shards = outcome.Manifest?.Shards,
                    documents = outcome.Manifest?.Documents, tokens = outcome.Manifest?.Tokens, textBytes = outcome.Manifest?.TextBytes,
                    samplesPerEpoch = outcome.Manifest?.Samples, madeBytes = outcome.MadeBytes, outcome.Seconds, workers = order.Workers,
                }, Json));
            return;
        }
        if (outcome.Manifest is not { } manifest)
        {
            output.WriteLine(
                $"share {order.Share.Number} of {order.Share.Of} is made; {outcome.Missing:N0} parts of other shares are missing");
            output.WriteLine("Once all shares are made, run any of them again: it writes the manifest.");
            return;
        }
        output.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"prepared {manifest.Documents:N0} documents, {manifest.Tokens:N0} tokens in {manifest.Shards:N0} shards"));
        if (outcome.MadeBytes > 0)
        {
            output.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"{outcome.MadeBytes / 1e6:N1} MB of text in {outcome.Seconds:N1} s, {rate:N1} MB/s by {order.Workers} threads"));
        }
        Sources(manifest, output);
        output.WriteLine($"set {outcome.Digest}");
        output.WriteLine("In a pipeline:");
        output.WriteLine($"  data: {{source: {order.Folder}, tokenizer: "
            + $"{(manifest.TokenizerSha256.Length == 0 ? "byte" : Path.Combine(order.Folder, PreparedSet.TokenizerName))}}}");
    }

    private static void Sources(PreparedManifest manifest, TextWriter output)
    {
        foreach (var source in manifest.Sources.Where(_ => manifest.Sources.Count > 1))
        {
            output.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"  {source.Name}: {source.Documents:N0} documents, weight {source.Weight:0.###}: {source.Samples:N0} an epoch"));
        }
    }

    private static void Check(string folder, bool json, TextWriter output)
    {
        using var set = PreparedSet.Open(folder);
        set.CheckAll(_ => { });
        output.WriteLine(json
            ? JsonSerializer.Serialize(
                new { folder, digest = set.Digest, shards = set.Manifest.Shards, documents = set.Manifest.Documents }, Json)
            : $"whole: {Of(set.Manifest.Documents, "document")} in {Of(set.Manifest.Shards, "shard")}, set {set.Digest}");
    }

    private static string Of(long count, string thing) => $"{count:N0} {thing}{(count == 1 ? "" : "s")}";
}
